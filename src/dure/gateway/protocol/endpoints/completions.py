"""`/v1/completions`: bare prompts."""

from dure.gateway.protocol.calls import Call, model_name, number_of_prompts, whole
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.generating import MAX_COPIES, NAMES, Generating
from dure.gateway.protocol.errors import invalid

#: OpenAI's documented default of `max_tokens`.
DEFAULT_MAX_TOKENS = 16


class Completions(Generating):
    name = "completions"
    path = "/v1/completions"
    limit_names = ("max_tokens", "n_predict")
    least_limit = 0

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        self.read_stream(call)
        call.prompts = number_of_prompts(fields, "prompt", required=False)
        self.read_output(call)
        if call.output_tokens is None:
            call.output_tokens = DEFAULT_MAX_TOKENS
        if "best_of" in fields:
            best_of = whole(fields, "best_of", least=1, most=MAX_COPIES)
            if best_of is not None and best_of < call.copies:
                invalid("'best_of' must be at least 'n'.", param="best_of")
            call.copies = best_of or call.copies
        return call
