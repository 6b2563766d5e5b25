"""The states of what an organisation shows and asks, and every allowed change.

*Verification*: an administrator asks, an officer decides. Who is refused repairs and asks again; who is verified and
changes a fact that was verified waits again.

*Documents* are accepted or refused by an officer, or taken back while they wait. *Ownership links* are declared by one
side and confirmed or refused by the other or by an officer; a confirmed one stays on record and ends by its date alone, which
an officer sets, for who could end it could slip out of a group. *Invitations* are answered once.

*Erasure* of a person waits for some days, in which they can take it back; then it is done for good.
"""

from collections.abc import Mapping
from typing import Final

VERIFICATION: Final[Mapping[str, frozenset[str]]] = {
    "unverified": frozenset({"asked"}),
    "asked": frozenset({"verified", "refused"}),
    "verified": frozenset({"asked"}),
    "refused": frozenset({"asked"}),
}

DOCUMENT: Final[Mapping[str, frozenset[str]]] = {
    "asked": frozenset({"accepted", "refused", "withdrawn"}),
    "accepted": frozenset({"refused"}),
    "refused": frozenset({"accepted"}),
    "withdrawn": frozenset(),
}

LINK: Final[Mapping[str, frozenset[str]]] = {
    "declared": frozenset({"confirmed", "refused", "withdrawn"}),
    "confirmed": frozenset(),
    "refused": frozenset({"confirmed"}),
    "withdrawn": frozenset(),
}

INVITATION: Final[Mapping[str, frozenset[str]]] = {
    "open": frozenset({"accepted", "declined", "revoked"}),
    "accepted": frozenset(),
    "declined": frozenset(),
    "revoked": frozenset(),
}


ERASURE: Final[Mapping[str, frozenset[str]]] = {
    "waiting": frozenset({"withdrawn", "done"}),
    "withdrawn": frozenset(),
    "done": frozenset(),
}


def may_become(table: Mapping[str, frozenset[str]], before: str, after: str) -> bool:
    return after in table[before]
