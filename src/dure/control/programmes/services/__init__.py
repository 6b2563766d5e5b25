"""Verbs of programmes: found, fund and appropriate; set lines, own shares and eligible uses; grant, confirm, end, return.

Money moves treasury → appropriation → award, and back award → appropriation; each source of a programme has an
appropriation account of its own. An organisation's own contribution comes in through its award's own treasury. That no
source is overspent, however many grants come at one moment, is the ledger's guarantee; this room turns its
refusal into a sentence. Callers may choose a thing's id (`request_id`): asked again with the same id, a
service answers what it made the first time.

Order of locks, as in every room: rows (award, or programme, before budget line), ledger books, audit trail, directory. So a
verb calls the rooms below before it writes its own audit event: what they lock must not come after the trail.
"""

from dure.control.programmes.services.awards import (
    Granted,
    end_award,
    end_expired_awards,
    grant_award,
    preview_award,
    return_closed_awards,
)
from dure.control.programmes.services.own_contributions import (
    confirm_own_contribution,
    confirm_own_contribution_repaid,
)
from dure.control.programmes.services.programmes import (
    Added,
    add_programme,
    add_source,
    appropriate,
    pass_on,
)
from dure.control.programmes.services.terms import (
    set_budget_line,
    set_eligible_use,
    set_own_contribution,
)

__all__ = [
    "Added",
    "Granted",
    "add_programme",
    "add_source",
    "appropriate",
    "confirm_own_contribution",
    "confirm_own_contribution_repaid",
    "end_award",
    "end_expired_awards",
    "grant_award",
    "pass_on",
    "preview_award",
    "return_closed_awards",
    "set_budget_line",
    "set_eligible_use",
    "set_own_contribution",
]
