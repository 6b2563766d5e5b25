"""The endpoints: each of them one module that knows everything about its path, and nothing else does.

To add one: a module with a subclass of `ModelEndpoint` (in `base.py`, which says what each method is for), an
entry below, and the meters it cannot be charged without in the catalogue's `REQUIRED_METERS`.
"""

from dure.contracts.directory import Endpoint
from dure.gateway.protocol.endpoints.base import ModelEndpoint
from dure.gateway.protocol.endpoints.chat import ChatCompletions
from dure.gateway.protocol.endpoints.completions import Completions
from dure.gateway.protocol.endpoints.embeddings import Embeddings
from dure.gateway.protocol.endpoints.images import Images
from dure.gateway.protocol.endpoints.messages import Messages
from dure.gateway.protocol.endpoints.moderations import Moderations
from dure.gateway.protocol.endpoints.rerank import Rerank
from dure.gateway.protocol.endpoints.responses import Responses
from dure.gateway.protocol.endpoints.speech import Speech
from dure.gateway.protocol.endpoints.transcriptions import Transcriptions, Translations

__all__ = ["ENDPOINTS", "ModelEndpoint"]

ENDPOINTS: dict[Endpoint, ModelEndpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        ChatCompletions(),
        Completions(),
        Responses(),
        Messages(),
        Embeddings(),
        Moderations(),
        Rerank(),
        Transcriptions(),
        Translations(),
        Speech(),
        Images(),
    )
}
