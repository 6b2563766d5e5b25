"""What organisations have received, and what they bring themselves: asked by calls before anyone applies."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, Max, Q, QuerySet, Sum

from dure.control.foundation.reading import once_each
from dure.control.programmes.models import Award, OwnContributionRule
from dure.control.programmes.own_share import OwnShareRule, Split, divide, on_top


def support_received(
    *, organisation_ids: Collection[UUID], programme_id: UUID | None = None, since: datetime | None = None
) -> int:
    """Micro-won of public money granted to these organisations together, less what came back unspent.

    Of one programme if it is named, and of awards granted at or after `since`. Own contributions are not support.
    """
    rows = Award.objects.filter(organisation_id__in=organisation_ids)
    if programme_id is not None:
        rows = rows.filter(programme_id=programme_id)
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    total = rows.aggregate(total=Sum(F("granted_micro_won") - F("returned_micro_won")))["total"]
    return int(total or 0)


def open_awards_count(*, organisation_ids: Collection[UUID]) -> int:
    """How many awards of these organisations together are open."""
    return Award.objects.filter(organisation_id__in=organisation_ids, state="open").count()


@once_each
def support_of(organisation_ids: Collection[UUID]) -> dict[UUID, tuple[int, int]]:
    """The same for some organisations; those that never had an award are absent."""
    return _support(Award.objects.filter(organisation_id__in=organisation_ids))


def support_by_organisation() -> dict[UUID, tuple[int, int]]:
    """Organisation → (micro-won received less what came back, open awards), for all that ever had an award."""
    return _support(Award.objects.all())


def _support(awards: QuerySet[Award]) -> dict[UUID, tuple[int, int]]:
    rows = awards.values_list("organisation_id").annotate(
        received=Sum(F("granted_micro_won") - F("returned_micro_won")),
        running=Count("pk", filter=Q(state="open")),
    )
    return {organisation_id: (int(received), running) for organisation_id, received, running in rows}


def own_contribution_bp(programme_id: UUID, size_class: str | None) -> int:
    """The own share that a programme asks of organisations of this size, in basis points of the whole sum.

    A size for which the programme has no rule owes nothing. Where the size is not stated (None), the highest share that
    the programme asks of anyone: what an applicant must reckon with until it is.
    """
    rules = OwnContributionRule.objects.filter(programme_id=programme_id)
    if size_class is None:
        return rules.aggregate(most=Max("share_bp"))["most"] or 0
    return rules.filter(size_class=size_class).values_list("share_bp", flat=True).first() or 0


def own_split(*, programme_id: UUID, size_class: str | None, micro_won: int, of_total: bool = True) -> Split:
    """The public money and own share that a grant would come to: of a whole sum, or on top of public money.

    As `grant_award` reckons it. Where the size is not stated (None), with the rule of the highest share.
    """
    rules = OwnContributionRule.objects.filter(programme_id=programme_id).order_by("-share_bp")
    row = (rules if size_class is None else rules.filter(size_class=size_class)).first()
    rule = OwnShareRule(row.share_bp, row.least_micro_won, row.most_micro_won) if row else OwnShareRule()
    return divide(micro_won, rule) if of_total else on_top(micro_won, rule)
