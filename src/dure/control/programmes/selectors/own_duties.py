"""What own contributions ask of people: paying one in, confirming that one has arrived, paying the rest back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Coalesce

from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.ledger import selectors as ledger
from dure.control.programmes.models import Award

_SHOWN = 20
#: Who of an organisation sees to it that its contribution is paid.
_PAYERS = ("administrator", "developer")


@dataclass(frozen=True, slots=True)
class OwnContributionDuty:
    """`pay` is the organisation's; `confirm` and `repay` are those of the programme's officers. `stops_calls`: until
    it has arrived, calls are refused."""

    kind: Literal["pay", "confirm", "repay"]
    award_id: UUID
    award_name_ko: str
    award_name_en: str
    organisation_name_ko: str
    organisation_name_en: str
    micro_won: int
    since: datetime
    stops_calls: bool = False


def own_contribution_duties(*, actor: Actor) -> list[OwnContributionDuty]:
    """Own contributions that wait for this actor, what stops calls first, then the oldest; in a fixed number
    of queries."""
    found: list[OwnContributionDuty] = []
    if actor.organisation_id is not None and actor.has(*_PAYERS):
        found += _outstanding(Award.objects.filter(organisation_id=actor.organisation_id), "pay")
    if actor.has(*OFFICERS):
        theirs = Award.objects.filter(_of_officer(actor))
        found += _outstanding(theirs, "confirm") + _to_repay(theirs)
    return found


def _of_officer(actor: Actor) -> Q:
    seen = Q(programme__in=actor.officer_programmes, programme__agency_id=actor.organisation_id)
    if actor.has("officer"):
        seen |= Q(programme__agency=None) | Q(programme__agency_id=actor.organisation_id)
    return seen


def _outstanding(rows: QuerySet[Award], kind: Literal["pay", "confirm"]) -> list[OwnContributionDuty]:
    waiting = rows.filter(state="open", own_share_micro_won__gt=F("own_paid_micro_won"))
    since = Coalesce(Max("own_payments__created_at"), F("created_at"))
    # Backwards by the alphabet, "before" the first call comes first.
    ordered = waiting.annotate(since=since).order_by("-own_contribution_due", "since", "pk")
    return [
        _duty(row, kind, row.own_share_micro_won - row.own_paid_micro_won, row.since)
        for row in ordered.select_related("organisation")[:_SHOWN]
    ]


def _to_repay(rows: QuerySet[Award]) -> list[OwnContributionDuty]:
    # A subquery, not a list: the database joins, however many have ended.
    ended: Any = rows.exclude(state="open").filter(own_returned_micro_won__gt=0).values("pk")
    held = ledger.balances(owner_ids=ended, kind="own_contribution")
    owed = {award_id: sum_ for award_id, sum_ in held.items() if sum_}
    if not owed:
        return []
    found = Award.objects.filter(pk__in=owed).select_related("organisation").order_by("ended_at", "pk")
    return [_duty(row, "repay", owed[row.pk], row.ended_at or row.created_at) for row in found[:_SHOWN]]


def _duty(
    row: Award, kind: Literal["pay", "confirm", "repay"], micro_won: int, since: datetime
) -> OwnContributionDuty:
    return OwnContributionDuty(
        kind=kind,
        award_id=row.pk,
        award_name_ko=row.name_ko,
        award_name_en=row.name_en,
        organisation_name_ko=row.organisation.name_ko,
        organisation_name_en=row.organisation.name_en,
        micro_won=micro_won,
        since=since,
        stops_calls=kind != "repay" and row.own_contribution_due == "before",
    )
