"""What the gateway must know of an endpoint, and what holds for most of them.

A request's way is the same for all: `read` a call, take its worst case (`bounds`), write it anew for the
provider (`upstream_body`), and then either `meter` the whole answer or follow it with a `scanner`. Where something
fails, `refusal_body` and `break_event` say so in the words that the endpoint's clients understand. An endpoint is
one object for the whole process and keeps nothing of a call.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from mypy_extensions import mypyc_attr

from dure.contracts.directory import AwardEntry, Dialect, Endpoint, ModelEntry
from dure.gateway.protocol import http1, openai
from dure.gateway.protocol.admission import Bounds, bounds_of
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.errors import Refusal, error_event, upstream_credential, upstream_error
from dure.gateway.protocol.metering import Quantities
from dure.gateway.protocol.sse import Scanner

Headers = dict[bytes, bytes]


@mypyc_attr(allow_interpreted_subclasses=True)
class ModelEndpoint(ABC):
    """An endpoint that speaks JSON and OpenAI's error shape, unless a method says otherwise."""

    #: As in the directory, the journal and the usage record.
    name: ClassVar[Endpoint]
    #: Of the gateway, and of the provider behind its `base_url`.
    path: ClassVar[str]
    #: The dialects whose deployments serve it.
    dialects: ClassVar[frozenset[Dialect]] = frozenset({"openai", "llama.cpp"})
    #: The headers of a caller that go to the provider, lower case.
    forwarded_headers: ClassVar[frozenset[bytes]] = http1.FORWARDED_REQUEST_HEADERS

    # Before the provider

    @abstractmethod
    def read(self, body: bytes, headers: Headers) -> Call:
        """The call in `body`, of the type that `headers` say. Raises `Refusal` (400) that names the field at fault."""

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        """The worst case of every meter."""
        return bounds_of(call, model, award)

    def refuse_dialect(  # noqa: B027 - most have nothing to refuse
        self, call: Call, dialect: Dialect, model: str
    ) -> None:
        """Raise `Refusal` where a deployment of `dialect` could not serve or meter this call."""

    @abstractmethod
    def upstream_body(
        self, call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None
    ) -> bytes:
        """The body for the provider, of the type `call.content_type`: its own name for the model, the admitted limit.

        `output_limit` is the limit on each answer's tokens that was admitted; None where there is none to set.
        """

    def upstream_headers(self, headers: Headers) -> bytes:
        """Header lines for the provider, from the caller's `headers`."""
        return http1.forwarded(self.forwarded_headers, headers)

    # The provider's answer

    @abstractmethod
    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        """The provider's count in a whole answer; None where it is missing or makes no sense."""

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        """Our own count of a whole answer, for a provider that sent none."""
        return bounds.estimate(0)

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        """What follows an answer of this type as it passes by; None where it is taken whole."""
        return None

    # What clients are told

    def answer_headers(self, request_id: bytes, elapsed_ms: int) -> bytes:
        return b"x-request-id: %b\r\nopenai-processing-ms: %d\r\n" % (request_id, elapsed_ms)

    def refusal_body(self, refusal: Refusal, request_id: bytes | None = None) -> bytes:
        return refusal.body()

    def break_event(self, refusal: Refusal, scanner: Scanner) -> bytes | None:
        """The last bytes of a stream that broke; None where only the connection's end can tell."""
        return error_event(refusal.message, refusal.kind, refusal.code, mid_event=scanner.mid_event)

    def error_body(self, status: int, body: bytes) -> bytes | None:
        """A provider's error as it can go to clients; None where it is none in the endpoint's shape."""
        return openai.error_body(status, body)

    def upstream_refusal(
        self, model: str, dialect: Dialect, status: int, body: bytes, request_id: bytes
    ) -> tuple[int, bytes]:
        """Status and body for the client when the provider answered with an error.

        An error in the endpoint's own shape goes through as it is; anything else is put into that shape. A
        refused credential is the platform's, and must not look as if the caller's key were wrong; a request that
        no deployment could read must not look as if this one had failed.
        """
        if status in http1.CREDENTIAL_STATUSES:
            refusal = upstream_credential(model)
        else:
            shown = openai.blamed_status(dialect, status, body)
            told = self.error_body(shown, body) if 400 <= shown <= 599 else None
            if told is not None:
                return shown, told
            refusal = upstream_error(model, shown)
        return refusal.status, self.refusal_body(refusal, request_id)
