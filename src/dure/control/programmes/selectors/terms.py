"""Questions about a programme's terms: its budget lines, the own shares it asks, what its money may be used for.

All of it is public: nobody should have to apply to learn it.
"""

from uuid import UUID

from dure.control.programmes.models import BudgetLine, EligibleUse, OwnContributionRule, Programme
from dure.control.programmes.own_share import SIZE_CLASSES
from dure.control.programmes.selectors.values import (
    BudgetLineView,
    EligibleUseView,
    OwnContributionView,
    OwnRuleView,
    line_view,
)


def budget_lines(*, programme_id: UUID) -> list[BudgetLineView]:
    """By their keys."""
    return [line_view(row) for row in BudgetLine.objects.filter(programme_id=programme_id).order_by("key")]


def own_contribution(*, programme_id: UUID) -> OwnContributionView:
    """The rules in the order of sizes, small ones first."""
    rows = sorted(
        OwnContributionRule.objects.filter(programme_id=programme_id),
        key=lambda row: SIZE_CLASSES.index(row.size_class),
    )
    due = Programme.objects.values_list("own_contribution_due", flat=True).get(pk=programme_id)
    return OwnContributionView(
        due,
        tuple(
            OwnRuleView(row.size_class, row.share_bp, row.least_micro_won, row.most_micro_won) for row in rows
        ),
    )


def eligible_use(*, programme_id: UUID) -> EligibleUseView:
    row = EligibleUse.objects.filter(programme_id=programme_id).first()
    if row is None:
        return EligibleUseView()
    return EligibleUseView(
        models=tuple(row.model_names),
        endpoints=tuple(row.endpoint_names),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
    )
