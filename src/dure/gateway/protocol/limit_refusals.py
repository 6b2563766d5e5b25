"""What a caller is told when a limit of its key or award refuses a request.

Type and code are OpenAI's (`requests` or `tokens`, `rate_limit_exceeded`), for its SDKs wait as `retry-after`
says and try again, unless `x-should-retry` forbids it.
"""

from dure.gateway.protocol.errors import PERMISSION, Refusal
from dure.gateway.protocol.limits import Exceeded, Owner, duration_text

CODE = "rate_limit_exceeded"
_OF: dict[Owner, str] = {"award": "your award", "key": "this API key"}
_COUNTED = {"requests": "requests per minute", "tokens": "tokens per minute"}
_LOOK = "The award's page in the portal shows the limits of the award and of its keys."


def rate_exceeded(over: Exceeded) -> Refusal:
    """`retry-after` is when the database's minute ends, in whole seconds."""
    limit = f"the limit of {over.limit} {_COUNTED[over.kind]} of {_OF[over.owner]}"
    if over.too_large:
        return Refusal(
            429,
            CODE,
            f"This request counts as {over.amount} tokens (the estimated input and the largest possible output), "
            f"which is more than {limit}: it can never be admitted. "
            f"Lower max_tokens or shorten the input. {_LOOK}",
            kind=over.kind,
            headers=(("x-should-retry", "false"),),
        )
    asked = f" This request counts as {over.amount}." if over.kind == "tokens" else ""
    share = (
        ""
        if over.share is None
        else f" The ledger cannot be reached, so this gateway process admits its share of {over.share}."
    )
    return Refusal(
        429,
        CODE,
        f"Rate limit reached: {limit} leaves {over.remaining} in this minute.{asked}{share} "
        f"The next minute begins in {duration_text(over.ends_in)}: try again then.",
        kind=over.kind,
        headers=(("retry-after", str(whole_seconds(over.ends_in))),),
    )


def too_many_at_once(owner: Owner, limit: int, share: int | None) -> Refusal:
    """`share` is this process's while the database is away, else None."""
    if share is None:
        state = f"{limit} requests of {_OF[owner]} are running, and {limit} is the most at one time."
    else:
        state = (
            f"{limit} requests of {_OF[owner]} may run at one time. The ledger cannot be reached, so this gateway "
            f"process admits its share of {share}, and that many are running."
        )
    return Refusal(
        429,
        CODE,
        f"Rate limit reached: {state} Wait until one has finished. {_LOOK}",
        kind="requests",
        headers=(("retry-after", "1"),),
    )


def network_not_allowed(address: str, owner: Owner) -> Refusal:
    return Refusal(
        403,
        "network_not_allowed",
        f"{_OF[owner][0].upper()}{_OF[owner][1:]} may not be used from {address}. Call from one of its networks; "
        "they are shown on the award's page in the portal.",
        kind=PERMISSION,
    )


def key_not_started(starts: str) -> Refusal:
    return Refusal(
        403,
        "key_not_started",
        f"This API key works from {starts} (UTC). Call again after that, or use another key.",
        kind=PERMISSION,
    )


def whole_seconds(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
