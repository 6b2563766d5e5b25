"""What a programme's money is promised to. A published round's budget is a promise; what was granted from it is one
kept."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection

from dure.control.calls import hooks
from dure.control.calls.models import Round
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


def unpromised_by_round(programme: Any, round_ids: Collection[UUID]) -> dict[UUID, int]:
    """For each of these rounds, what its programme has left to grant less what the other published rounds may still
    grant; what the round itself has granted is not taken from it."""
    left = programmes.programme(actor=Actor.system("promises"), slug=programme.slug).left_to_grant_micro_won
    rounds = Round.objects.filter(call__programme_id=programme.pk, state="published")
    budgets = dict(rounds.values_list("pk", "budget_micro_won"))
    granted = hooks.granted_micro_won([*budgets, *(one for one in round_ids if one not in budgets)])
    promised = {pk: max(budget - granted.get(pk, 0), 0) for pk, budget in budgets.items()}
    total = sum(promised.values())
    return {one: left + granted.get(one, 0) - (total - promised.get(one, 0)) for one in round_ids}
