"""The one thing that a reader of a call's page does next.

Whoever may apply and meets the rules applies. Everybody else is first told what stands in between, and led to what
removes it: signing in, founding an organisation, the rule that is not met, the opening, another call. Beginning a draft
is not refused to anybody who may apply (submitting is, while a rule is not met), so it stays possible, second to that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dure.control.calls.eligibility import Finding
from dure.control.calls.hooks import Applying
from dure.control.calls.workflow import Phase

Kind = Literal[
    "apply", "begun", "sign_in", "found", "ask", "not_yours", "verify", "document", "state",
    "not_met", "upcoming", "judging", "closed",
]  # fmt: skip
_WORST = ("not_met", "unknown", "needs_document")
#: What an organisation can state about itself at any time; the others follow from what it is.
_STATED = "organisation."


@dataclass(frozen=True, slots=True)
class Reader:
    """`applies`: acts for an organisation of a kind that can apply; `applying`: what is known of them in this round."""

    signed_in: bool
    has_organisation: bool
    applies: bool
    applying: Applying


@dataclass(frozen=True, slots=True)
class NextThing:
    """`finding` is the rule that stands in between. `draft`: whether an application may be begun all the same."""

    kind: Kind
    finding: Finding | None = None
    draft: bool = False


def next_thing(phase: Phase, reader: Reader, findings: Iterable[Finding]) -> NextThing:
    """`findings` are those about the reader's organisation, none where it has none."""
    if reader.applying.path:
        return NextThing("begun")
    if phase not in {"open", "upcoming"}:
        return NextThing("judging" if phase == "judging" else "closed")
    finding = _in_between(findings)
    if phase == "upcoming":
        found = _remedy(finding, draft=False) if reader.applies and finding else None
        return found or NextThing("upcoming")
    if not reader.signed_in:
        return NextThing("sign_in")
    if not reader.has_organisation:
        return NextThing("found")
    if not reader.applies:
        return NextThing("not_yours")
    if not reader.applying.may:
        return NextThing("ask", finding)
    return _remedy(finding, draft=True) if finding else NextThing("apply")


def _in_between(findings: Iterable[Finding]) -> Finding | None:
    """The worst; of several, the first."""
    wrong = [one for one in findings if one.state in _WORST]
    return min(wrong, key=lambda one: _WORST.index(one.state), default=None)


def _remedy(finding: Finding, *, draft: bool) -> NextThing:
    if "organisation.verified" in finding.attributes:
        return NextThing("verify", finding, draft)
    if finding.state == "needs_document" or any(one.startswith("document.") for one in finding.attributes):
        return NextThing("document", finding, draft)
    if finding.state == "unknown" and any(one.startswith(_STATED) for one in finding.attributes):
        return NextThing("state", finding, draft)
    return NextThing("not_met", finding, draft)
