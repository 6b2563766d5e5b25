"""JSON endpoints whose body goes to the provider as it is, but for the model's name."""

from typing import Any

from dure.contracts.directory import Dialect
from dure.gateway.protocol.calls import Call, encode_fields
from dure.gateway.protocol.endpoints.base import ModelEndpoint


class Renaming(ModelEndpoint):
    def upstream_body(
        self, call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None
    ) -> bytes:
        fields: dict[str, Any] = dict(call.fields)
        fields["model"] = upstream_model
        return encode_fields(fields)


def charged_by_tokens(call: Call) -> bool:
    return "input" in call.meters or "output" in call.meters
