"""What a caller is told when a request is not served: OpenAI's error shape, a stable code, a way out.

`type` and `code` are those that OpenAI's SDKs turn into their exception classes; where OpenAI has no
code for a case, ours says what happened. A message names what is wrong and what to do about it.
"""

from typing import NoReturn

import msgspec

INVALID_REQUEST = "invalid_request_error"
INSUFFICIENT_QUOTA = "insufficient_quota"
RATE_LIMIT = "rate_limit_error"
SERVER = "server_error"
PERMISSION = "permission_error"

#: How much of what a caller sent is shown again; a body may be 32 MiB.
MOST_SHOWN = 200

_encode = msgspec.json.Encoder().encode


class ErrorDetail(msgspec.Struct):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(msgspec.Struct):
    error: ErrorDetail


class Refusal(Exception):
    """A request that is answered with an error. `headers` are extra ones, `close` ends the connection;
    `lines` are headers of the caller's key, as they are sent."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind
        self.param = param
        self.headers = headers
        self.close = close
        self.lines = b""

    def body(self) -> bytes:
        return error_body(self.message, self.kind, self.param, self.code)


def error_body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    return _encode(ErrorBody(ErrorDetail(message, kind, param, code)))


def error_event(message: str, kind: str, code: str, *, mid_event: bool) -> bytes:
    """The last event of a stream that broke. `mid_event`: a half-relayed event has to be ended first."""
    lead = b"\n\n" if mid_event else b""
    return b"%bdata: %b\n\n" % (lead, error_body(message, kind, None, code))


def invalid(message: str, *, param: str | None = None, code: str = "invalid_value") -> NoReturn:
    raise Refusal(400, code, message, param=param)


def missing_api_key() -> Refusal:
    return Refusal(
        401,
        "invalid_api_key",
        "You didn't provide an API key. Send it in the header 'Authorization: Bearer YOUR_KEY'; "
        "keys are issued on your award's page in the portal.",
        headers=(("www-authenticate", 'Bearer realm="dure"'),),
    )


def invalid_api_key(shown: str, reason: str) -> Refusal:
    """`shown` is the key's public prefix, never the key; `reason` finishes the sentence about it."""
    return Refusal(
        401,
        "invalid_api_key",
        f"Incorrect API key provided: {shown}. {reason}",
        headers=(("www-authenticate", 'Bearer realm="dure", error="invalid_token"'),),
    )


def key_revoked(shown: str) -> Refusal:
    return invalid_api_key(
        shown,
        "It is unknown or has been revoked, by itself or because its award was ended; look at your award's"
        " page in the portal, where keys are issued.",
    )


def award_ended() -> Refusal:
    return Refusal(
        403,
        "award_ended",
        "The award that this API key belongs to has ended, so it no longer pays for calls. "
        "Ask your programme officer about an extension, or use a key of another award.",
        kind=PERMISSION,
    )


def award_not_started(starts: str) -> Refusal:
    return Refusal(
        403,
        "award_not_started",
        f"The award that this API key belongs to starts on {starts} (UTC). Call again after that.",
        kind=PERMISSION,
    )


def award_held() -> Refusal:
    return Refusal(
        403,
        "own_contribution_due",
        "The award that this API key belongs to waits for your organisation's own contribution. "
        "Calls work within a second of an officer's confirmation that it has arrived; the award's page says how much is due.",
        kind=PERMISSION,
    )


def endpoint_not_allowed(path: str, allowed: tuple[str, ...]) -> Refusal:
    return Refusal(
        403,
        "endpoint_not_allowed",
        f"Your award does not pay for calls of {path}. It pays for: {', '.join(allowed)}. "
        "Ask your programme officer if your work needs another.",
        kind=PERMISSION,
    )


def model_not_found(name: str) -> Refusal:
    if len(name) > MOST_SHOWN:
        name = f"{name[:MOST_SHOWN]}…"
    return Refusal(
        404,
        "model_not_found",
        f"The model '{name}' does not exist or your award does not include it. "
        "GET /v1/models lists the models that this key may use.",
        param="model",
    )


def endpoint_not_supported(model: str, path: str, supported: tuple[str, ...]) -> Refusal:
    return Refusal(
        400,
        "endpoint_not_supported",
        f"The model '{model}' is not served on {path}. It is offered on: {', '.join(supported)}.",
        param="model",
    )


def model_unavailable(model: str) -> Refusal:
    return Refusal(
        503,
        "model_unavailable",
        f"The model '{model}' is on offer, but its provider has no deployment of it at the moment. "
        "Nothing was charged. Try again later or use another model.",
        kind=SERVER,
        headers=(("retry-after", "30"),),
    )


def not_found(method: str, path: str) -> Refusal:
    return Refusal(
        404,
        "unknown_url",
        f"Unknown request URL: {method} {path}. The paths served here are listed in docs/gateway-api.md; "
        "an OpenAI client's base_url must end in /v1.",
    )


def tokens_not_counted() -> Refusal:
    return Refusal(
        404,
        "unknown_url",
        "Tokens are not counted in advance here. Send the message itself: its answer says what it used, and a call that "
        "the award cannot cover is refused before it costs anything.",
    )


def method_not_allowed(method: str, path: str, allowed: str) -> Refusal:
    return Refusal(
        405,
        "method_not_allowed",
        f"{path} does not support {method}. Use {allowed}.",
        headers=(("allow", allowed),),
    )


def body_too_large(limit_bytes: int) -> Refusal:
    return Refusal(
        413,
        "request_too_large",
        f"The request's body is larger than the {limit_bytes} bytes allowed. "
        "Shorten the input or split it over several requests.",
        close=True,
    )


def headers_too_large(limit_bytes: int) -> Refusal:
    return Refusal(
        431,
        "headers_too_large",
        f"The request's line and headers are larger than the {limit_bytes} bytes allowed. "
        "Send fewer or shorter headers.",
        close=True,
    )


def request_timeout() -> Refusal:
    return Refusal(
        408,
        "request_timeout",
        "The request did not arrive in time. Send it again over a faster connection.",
        close=True,
    )


def too_many_connections() -> Refusal:
    return Refusal(
        503,
        "too_many_connections",
        "This gateway process has as many connections as it can hold. Nothing was charged. "
        "Try again shortly, over fewer connections or one that is open already.",
        kind=SERVER,
        headers=(("retry-after", "1"),),
        close=True,
    )


def too_much_waiting() -> Refusal:
    return Refusal(
        503,
        "overloaded",
        "This gateway process holds as many bytes of requests as it can. Nothing was charged. "
        "Try again shortly, or send a shorter request.",
        kind=SERVER,
        headers=(("retry-after", "1"),),
        close=True,
    )


def bad_framing(detail: str) -> Refusal:
    return Refusal(
        400,
        "bad_http",
        f"This is not a well-formed HTTP/1.1 request ({detail}). Check the client or proxy that sent it.",
        close=True,
    )


def unsupported_encoding(encoding: str) -> Refusal:
    return Refusal(
        415,
        "unsupported_content_encoding",
        f"A body with content-encoding '{encoding}' is not accepted. Send the JSON uncompressed.",
    )


def journal_unhealthy() -> Refusal:
    return Refusal(
        503,
        "journal_unavailable",
        "The gateway cannot record usage at the moment, so it takes no new requests. "
        "Nothing was charged. Try again shortly.",
        kind=SERVER,
        headers=(("retry-after", "5"),),
    )


def not_ready() -> Refusal:
    return Refusal(
        503,
        "not_ready",
        "The gateway has only just started and has not loaded its directory yet. Try again in a second.",
        kind=SERVER,
        headers=(("retry-after", "1"),),
    )


def draining() -> Refusal:
    return Refusal(
        503,
        "shutting_down",
        "This gateway process is shutting down. Nothing was charged. Try again: another process will answer.",
        kind=SERVER,
        headers=(("retry-after", "1"),),
        close=True,
    )


def insufficient_quota(
    *, hold: int, left: int, largest_output_tokens: int | None, output_field: str
) -> Refusal:
    """Not enough money in the whole award. `largest_output_tokens` None: the input alone is too expensive."""
    needs = (
        f"This request may cost up to {hold} micro-won (₩{won(hold)}), "
        f"and your award has {left} micro-won (₩{won(left)}) left to set aside. Nothing was charged."
    )
    if largest_output_tokens is None:
        remedy = (
            "Even the shortest answer to this input does not fit: send less at once, or ask for more funds."
        )
    else:
        remedy = (
            f"Set {output_field} to {largest_output_tokens} or less to make it fit, or ask for more funds."
        )
    return Refusal(
        429,
        INSUFFICIENT_QUOTA,
        f"{needs} {remedy}",
        kind=INSUFFICIENT_QUOTA,
        headers=(("x-should-retry", "false"), ("x-dure-award-left-micro-won", str(left))),
    )


def audio_unreadable() -> Refusal:
    return Refusal(
        400,
        "audio_unreadable",
        "The recording's length cannot be told, and this model is priced by the second. "
        "Send a whole file as WAV, MP3, FLAC, Ogg, MP4/M4A or WebM.",
        param="file",
    )


def database_away() -> Refusal:
    return Refusal(
        503,
        "ledger_unavailable",
        "The ledger cannot be reached, and what this gateway process holds of your award "
        "does not cover the request. "
        "Nothing was charged. Try again shortly.",
        kind=SERVER,
        headers=(("retry-after", "2"),),
    )


def deployments_busy(model: str, retry_after: int, *, waited_seconds: float | None = None) -> Refusal:
    """No place at any deployment: the line is full, or, after `waited_seconds`, it was not this call's turn."""
    happened = (
        "and as many requests as may wait are waiting already"
        if waited_seconds is None
        else f"and none had a place for this request within {waited_seconds:.1f} seconds"
    )
    return Refusal(
        503,
        "model_busy",
        f"Every deployment of '{model}' is at its limit of concurrent requests, {happened}. "
        f"Nothing was charged. Try again in {retry_after} s.",
        kind=SERVER,
        headers=(("retry-after", str(retry_after)),),
    )


def deployments_rest(model: str, retry_after: int) -> Refusal:
    return Refusal(
        503,
        "model_unavailable",
        f"Every deployment of '{model}' has failed lately and is left alone for a moment. "
        f"Nothing was charged. Try again in {retry_after} s or use another model.",
        kind=SERVER,
        headers=(("retry-after", str(retry_after)),),
    )


def upstream_unreachable(model: str, detail: str) -> Refusal:
    return Refusal(
        502,
        "upstream_unreachable",
        f"The provider of '{model}' could not be reached ({detail}). Nothing was charged. Try again shortly.",
        kind=SERVER,
    )


def upstream_timeout(model: str, seconds: float) -> Refusal:
    return Refusal(
        504,
        "upstream_timeout",
        f"The provider of '{model}' sent nothing for {seconds:g} seconds. Nothing was charged. "
        'Try again, ask for fewer tokens, or use "stream": true.',
        kind=SERVER,
    )


def upstream_broke(model: str, detail: str) -> Refusal:
    return Refusal(
        502,
        "upstream_broke",
        f"The provider of '{model}' broke off before its answer was whole ({detail}). "
        "Nothing was charged. Try again.",
        kind=SERVER,
    )


def stream_broke(model: str, reason: str) -> Refusal:
    """After the first bytes: told within the stream."""
    return Refusal(
        502,
        "upstream_broke",
        f"The provider of '{model}' broke off ({reason}). "
        "What was sent until here is charged; request the rest again.",
        kind=SERVER,
    )


def one_answer_at_a_time(model: str, param: str) -> Refusal:
    return Refusal(
        400,
        "one_answer_at_a_time",
        f"The provider of '{model}' counts one answer to a request. Send one prompt and ask for one answer "
        "('n' left out or 1); send more requests for more.",
        param=param,
    )


def runs_at_the_provider(param: str, message: str) -> Refusal:
    """Something whose cost could neither be bounded before it is sent nor metered after."""
    return Refusal(400, "not_meterable", message, param=param)


def upstream_credential(model: str) -> Refusal:
    return Refusal(
        502,
        "upstream_credential_refused",
        f"The provider of '{model}' refused the gateway's own credential. "
        "Your key is fine and nothing was charged; "
        "the platform's operators have to renew the provider's credential.",
        kind=SERVER,
    )


def upstream_error(model: str, status: int) -> Refusal:
    """An upstream error whose body is not OpenAI's shape. Redirects and odd statuses become 502."""
    shown = status if 400 <= status <= 599 else 502
    return Refusal(
        shown,
        "upstream_error",
        f"The provider of '{model}' answered with HTTP status {status} and no readable error. "
        "Nothing was charged.",
        kind=SERVER if shown >= 500 else INVALID_REQUEST,
    )


def won(micro_won: int) -> str:
    """Micro-won as won with six places at most: 1_500_000 → "1.5"."""
    whole, part = divmod(micro_won, 1_000_000)
    return f"{whole:,}" if not part else f"{whole:,}.{part:06d}".rstrip("0")
