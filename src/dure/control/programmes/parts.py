"""Whose money an award is: its shares by source, and its organisation's own contribution as the last part."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from dure.control.programmes.models import Award, AwardShare, OwnPayment
from dure.control.programmes.sharing import Step, cumulative


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one award in their fixed order; the last one is the own contribution, zero where there is none."""

    shares: tuple[AwardShare, ...]
    steps: tuple[Step, ...]
    given_back: int

    @classmethod
    def of(cls, award: Award) -> Self:
        return cls.of_all([award])[award.pk]

    @classmethod
    def of_all(cls, awards: Iterable[Award]) -> Mapping[UUID, Self]:
        """The parts of several awards, in two queries."""
        rows = {row.pk: row for row in awards}
        shares: dict[UUID, list[AwardShare]] = {award_id: [] for award_id in rows}
        for share in (
            AwardShare.objects.filter(award_id__in=rows)
            .select_related("funding", "funding__source")
            .order_by("award_id", "position")
        ):
            shares[share.award_id].append(share)
        paid: dict[UUID, list[tuple[int, int]]] = {}
        if any(row.own_paid_micro_won for row in rows.values()):
            payments = OwnPayment.objects.filter(award_id__in=rows).order_by(
                "spent_before_micro_won", "created_at", "pk"
            )
            for award_id, *payment in payments.values_list(
                "award_id", "spent_before_micro_won", "amount_micro_won"
            ):
                paid.setdefault(award_id, []).append((payment[0], payment[1]))
        return {
            award_id: cls(
                tuple(shares[award_id]),
                steps_of([share.granted_micro_won for share in shares[award_id]], paid.get(award_id, ())),
                row.returned_micro_won + row.own_returned_micro_won,
            )
            for award_id, row in rows.items()
        }

    @property
    def put_in(self) -> tuple[int, ...]:
        return tuple(map(sum, zip(*(step.added for step in self.steps), strict=True)))

    def spent(self, total: int) -> tuple[int, ...]:
        """What of the first `total` micro-won spent was whose."""
        return cumulative(total, self.steps)

    def spent_between(self, before: int, after: int) -> tuple[int, ...]:
        """Whose money was spent from one cumulative sum to the next: a call, for instance."""
        earlier, later = self.spent(before), self.spent(after)
        return tuple(b - a for a, b in zip(earlier, later, strict=True))

    def returned_next(self, amount: int) -> tuple[int, ...]:
        """Whose it is when this much more goes back. What is kept is divided like what is spent, from the other end.

        So at the end each part has back exactly what it put in less what was spent of it.
        """
        kept = sum(self.put_in) - self.given_back
        return self.spent_between(kept - amount, kept)


def steps_of(public: Sequence[int], paid: Sequence[tuple[int, int]]) -> tuple[Step, ...]:
    """What was granted, then each own contribution as (what had been spent before it, its amount)."""
    nothing = tuple(0 for _ in public)
    return (Step(0, (*public, 0)), *(Step(before, (*nothing, amount)) for before, amount in paid))
