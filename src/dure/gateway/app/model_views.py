"""What `GET /v1/models` says of a model."""

import msgspec


class ModelView(msgspec.Struct):
    """A model in OpenAI's list shape, with its ceilings and present price beside it."""

    id: str
    created: int
    owned_by: str
    context_length: int
    max_output_tokens: int
    endpoints: tuple[str, ...]
    price_micro_won_per_million: dict[str, int]
    object: str = "model"


class ModelList(msgspec.Struct):
    data: list[ModelView]
    object: str = "list"
