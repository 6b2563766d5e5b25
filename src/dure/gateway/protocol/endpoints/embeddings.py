"""`/v1/embeddings`: input only."""

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.admission import Bounds, input_bounds
from dure.gateway.protocol.calls import (
    Call,
    model_name,
    number_of_prompts,
)
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.generating import NAMES
from dure.gateway.protocol.endpoints.renaming import Renaming
from dure.gateway.protocol.metering import Quantities
from dure.gateway.protocol.openai import quantities_in


class Embeddings(Renaming):
    name = "embeddings"
    path = "/v1/embeddings"

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        call.prompts = number_of_prompts(fields, "input")
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        return input_bounds(call, model)

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        counted = quantities_in(body)
        if counted is None:
            return None
        # What the total has beyond the prompt was read too: nothing is written here.
        return Quantities(counted.input + counted.output, 0, counted.cached)
