"""What a programme's money is promised to. A published round's budget is a promise; what was granted from it is one
kept."""

from uuid import UUID

from django.db import connection

from dure.control.calls import hooks
from dure.control.calls.models import Call, Round
from dure.control.foundation.actors import Actor
from dure.control.programmes import selectors as programmes

#: First half of the advisory lock that lets a programme's promises take turns; the other is the programme.
_PROMISES = 0x6475


def take_turns(round_id: UUID) -> UUID | None:
    """Two rounds of one programme are not promised the same money at one moment. Answers the programme's id."""
    found = Round.objects.filter(pk=round_id).values_list("call__programme_id", flat=True).first()
    if found is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_PROMISES, str(found)])
    return found


def unpromised_micro_won(programme_id: UUID, *, but: UUID | None = None) -> int:
    """What a programme has left to grant less what its published rounds may still grant (but for one)."""
    slug = Call.objects.filter(programme_id=programme_id).values_list("programme__slug", flat=True).first()
    left = programmes.programme(actor=Actor.system("promises"), slug=slug or "").left_to_grant_micro_won
    rounds = Round.objects.filter(call__programme_id=programme_id, state="published").exclude(
        pk__in=[but] if but else []
    )
    budgets = dict(rounds.values_list("pk", "budget_micro_won"))
    granted = hooks.granted_micro_won([*budgets, *([but] if but else [])])
    own = granted.get(but, 0) if but else 0
    return left + own - sum(max(budget - granted.get(pk, 0), 0) for pk, budget in budgets.items())
