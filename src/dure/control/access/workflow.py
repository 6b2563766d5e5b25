"""The life of a key, told from its times rather than kept as a state that could lag behind them.

*active* until it *expired* or was *revoked*; *replaced* while a successor exists and both still work
(the overlap of a rotation). Revoked and expired keys never come back.
"""

from datetime import datetime
from typing import Final, Literal

KeyState = Literal["active", "replaced", "expired", "revoked"]

TRANSITIONS: Final[dict[KeyState, frozenset[KeyState]]] = {
    "active": frozenset({"replaced", "expired", "revoked"}),
    "replaced": frozenset({"expired", "revoked"}),
    "expired": frozenset(),
    "revoked": frozenset(),
}

#: States in which a key still opens the gateway.
WORKING: Final = frozenset({"active", "replaced"})


def key_state(
    *, now: datetime, revoked_at: datetime | None, expires_at: datetime | None, replaced: bool
) -> KeyState:
    if revoked_at is not None:
        return "revoked"
    if expires_at is not None and expires_at <= now:
        return "expired"
    return "replaced" if replaced else "active"
