"""On what terms a programme grants: its budget lines, the own shares it asks, and what its money may be used for."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.access import services as access
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Invalid
from dure.control.programmes import checks, selectors
from dure.control.programmes.models import BudgetLine, EligibleUse, OwnContributionRule
from dure.control.programmes.own_share import SIZE_CLASSES, OwnShareRule
from dure.control.programmes.selectors import BudgetLineView, EligibleUseView, OwnContributionView
from dure.control.programmes.units import KRW


def set_budget_line(
    *,
    actor: Actor,
    programme_slug: str,
    key: str,
    name_ko: str,
    name_en: str | None = None,
    ceiling: int,
    unit: str = KRW,
) -> BudgetLineView:
    """Add a budget line, or change the name or the ceiling of one; never below what is committed on it already."""
    checks.line_key(key)
    names = checks.names(name_ko, name_en)
    checks.amount_in_range(ceiling, unit)
    with transaction.atomic():
        programme = checks.programme_to_move(actor, programme_slug)
        row = BudgetLine.objects.select_for_update(no_key=True).filter(programme=programme, key=key).first()
        before = {"name_ko": row.name_ko, "ceiling": row.ceiling} if row else None
        if row is None:
            row = BudgetLine(programme=programme, key=key, unit=unit, created_at=clock.now())
        if row.unit != unit:
            raise checks.units_differ(row.unit, unit)
        if ceiling < row.committed:
            raise Conflict(
                "ceiling_below_committed",
                _("%(committed)s of the line “%(key)s” is granted already; its ceiling cannot be less.")
                % {"committed": checks.shown(row.committed, unit), "key": key},
                field="ceiling",
                data={"committed": row.committed},
            )
        row.name_ko, row.name_en, row.ceiling = *names, ceiling
        row.save()
        audit.record(
            actor=actor,
            action="programme.line_set",
            subject_kind="programme",
            subject_id=programme.pk,
            before=before,
            after={"key": key, "name_ko": names[0], "ceiling": ceiling, "unit": unit},
        )
    return next(line for line in selectors.budget_lines(programme_id=programme.pk) if line.key == key)


def set_own_contribution(
    *, actor: Actor, programme_slug: str, rules: dict[str, OwnShareRule], due: str = "after"
) -> OwnContributionView:
    """Set what own share a programme asks of each size, and whether it is due before the first call or after.

    Sizes that `rules` leaves out owe nothing. Awards that were granted before keep what was agreed for them.
    """
    checks.own_due(due)
    for size, rule in rules.items():
        _check_rule(size, rule)
    with transaction.atomic():
        programme = checks.programme_to_move(actor, programme_slug)
        before = selectors.own_contribution(programme_id=programme.pk).as_dict()
        OwnContributionRule.objects.filter(programme=programme).exclude(size_class__in=rules).delete()
        for size, rule in rules.items():
            OwnContributionRule.objects.update_or_create(
                programme=programme,
                size_class=size,
                defaults={
                    "share_bp": rule.share_bp,
                    "least_micro_won": rule.least_micro_won,
                    "most_micro_won": rule.most_micro_won,
                },
            )
        programme.own_contribution_due = due
        programme.save(update_fields=["own_contribution_due"])
        view = selectors.own_contribution(programme_id=programme.pk)
        audit.record(
            actor=actor,
            action="programme.own_contribution_set",
            subject_kind="programme",
            subject_id=programme.pk,
            before=before,
            after=view.as_dict(),
        )
    return view


def set_eligible_use(
    *,
    actor: Actor,
    programme_slug: str,
    models: Iterable[str] = (),
    endpoints: Iterable[str] = (),
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> EligibleUseView:
    """Set what a programme's money may be used for; nothing named means no limit. It holds for new awards."""
    wanted = {
        "model_names": access.known_models(models),
        "endpoint_names": access.known_endpoints(endpoints),
        "valid_from": valid_from,
        "valid_until": valid_until,
    }
    checks.dates(valid_from, valid_until)
    with transaction.atomic():
        programme = checks.programme_to_move(actor, programme_slug)
        before = selectors.eligible_use(programme_id=programme.pk)
        EligibleUse.objects.update_or_create(programme=programme, defaults=wanted)
        view = selectors.eligible_use(programme_id=programme.pk)
        audit.record(
            actor=actor,
            action="programme.use_set",
            subject_kind="programme",
            subject_id=programme.pk,
            before=before.as_dict(),
            after=view.as_dict(),
        )
    return view


def _check_rule(size: str, rule: OwnShareRule) -> None:
    if size not in SIZE_CLASSES:
        raise Invalid(
            "size_class_unknown",
            _("There is no size “%(size)s”.") % {"size": size[:40]},
            field="size_class",
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(SIZE_CLASSES)},
        )
    if not 0 <= rule.share_bp < 10_000:
        raise Invalid(
            "share_out_of_range",
            _("An own share is from 0% to less than 100% of the whole sum."),
            field=f"share_{size}",
        )
    most = rule.most_micro_won
    if (
        not 0
        <= rule.least_micro_won
        <= (checks.MAX_MICRO_WON if most is None else most)
        <= checks.MAX_MICRO_WON
    ):
        raise Invalid(
            "bounds_clash",
            _("The least own contribution cannot be more than the most."),
            field=f"least_{size}",
        )
