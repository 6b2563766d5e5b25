"""What a grant would come to, decided before anything is written: terms, own share, line, and whose money it is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.access.services import Limits
from dure.control.foundation.errors import Conflict, Invalid, NotFound
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger
from dure.control.programmes import checks
from dure.control.programmes.models import (
    BudgetLine,
    EligibleUse,
    Funding,
    OwnContributionRule,
    Programme,
)
from dure.control.programmes.own_share import OwnShareRule, Split, divide, on_top
from dure.control.programmes.sharing import apportion
from dure.control.programmes.units import KRW

#: Kinds of organisation that are enterprises; all others have no size class and owe what `none` owes.
_ENTERPRISES = frozenset({"sme", "startup", "provider"})

Sources = Mapping[str, int] | Collection[str]


@dataclass(frozen=True, slots=True)
class Share:
    """Micro-won of one source."""

    funding: Funding
    micro_won: int


@dataclass(frozen=True, slots=True)
class OwnShare:
    """What the organisation brings, and by which share of the whole that was reckoned."""

    size_class: str
    share_bp: int
    split: Split


def own_share(
    programme: Programme,
    organisation: OrganisationView,
    micro_won: int,
    *,
    size_class: str | None,
    of_total: bool,
) -> OwnShare:
    """The public money and the own share; `micro_won` is the public money, or with `of_total` both together."""
    rules = {
        row.size_class: OwnShareRule(row.share_bp, row.least_micro_won, row.most_micro_won)
        for row in OwnContributionRule.objects.filter(programme=programme)
    }
    size = size_class or size_of(organisation)
    if not rules:
        return OwnShare(size or "", 0, Split(micro_won, 0))
    if size is None:
        raise Conflict(
            "size_class_not_stated",
            _("The own contribution follows from the organisation's size, which “%(slug)s” has not stated.")
            % {"slug": organisation.slug},
            field="size_class",
            remedy=_("Have the organisation state its size, or name it with this grant."),
        )
    rule = rules.get(size, OwnShareRule())
    split = divide(micro_won, rule) if of_total else on_top(micro_won, rule)
    if split.public_micro_won <= 0:
        raise Invalid(
            "own_share_is_everything",
            _("The own contribution would be the whole sum; nothing would be left to grant."),
            field="krw",
        )
    return OwnShare(size, rule.share_bp, split)


def size_of(organisation: OrganisationView) -> str | None:
    """The size class an organisation has stated; `none` for those that are no enterprise; None where it is not known."""
    stated = identity.profile(organisation.id).size_class
    return stated or (None if organisation.kind in _ENTERPRISES else "none")


def line(programme: Programme, key: str | None, micro_won: int) -> BudgetLine | None:
    """The budget line, locked, with room for this much; the only one where none is named."""
    rows = BudgetLine.objects.select_for_update(no_key=True).filter(programme=programme)
    if key:
        row = rows.filter(key=key).first()
        if row is None:
            raise NotFound(
                _("This programme has no budget line “%(key)s”.") % {"key": key[:60]},
                code="line_not_found",
                field="line",
            )
        if row.unit != KRW:
            raise checks.not_awarded_yet(row.unit)
    else:
        found = list(rows.filter(unit=KRW).order_by("key")[:20])
        if len(found) > 1:
            raise Invalid(
                "line_missing",
                _("This programme has several budget lines; which one pays?"),
                field="line",
                remedy=_("Name one of: %(keys)s.") % {"keys": ", ".join(one.key for one in found)},
            )
        row = found[0] if found else None
    if row is not None and row.ceiling - row.committed < micro_won:
        raise checks.line_exceeded(row, micro_won)
    return row


def shares(programme: Programme, micro_won: int, sources: Sources | None) -> list[Share]:
    """Whose money it is: what was chosen, or in proportion to what each source (of those named) has left to grant."""
    fundings = {
        row.source.slug: row
        for row in Funding.objects.filter(programme=programme, unit=KRW)
        .select_related("source")
        .order_by("created_at", "pk")
    }
    for slug in sources or ():
        if slug not in fundings:
            raise _not_a_source(programme, slug)
    held = ledger.balances_of(account_ids=[row.account_id for row in fundings.values()])
    left = {slug: held.get(row.account_id, 0) for slug, row in fundings.items()}
    if isinstance(sources, Mapping):
        chosen = {slug: amount for slug, amount in sources.items() if amount}
        _check_chosen(fundings, left, chosen, micro_won)
    else:
        named = {slug: left[slug] for slug in fundings if not sources or slug in sources}
        if sum(named.values()) < micro_won:
            if sources and len(named) == 1:
                (slug,) = named
                raise checks.source_exceeded(fundings[slug].source, left[slug], micro_won, KRW)
            raise checks.appropriation_exceeded(programme, micro_won, sum(named.values()))
        chosen = dict(zip(named, _proportional(micro_won, list(named.values())), strict=True))
    return [Share(fundings[slug], chosen[slug]) for slug in fundings if chosen.get(slug)]


def _proportional(micro_won: int, left: Sequence[int]) -> tuple[int, ...]:
    """In whole won where that is possible, exact in any case; never more of a source than it has."""
    if micro_won % MICRO_WON_PER_WON == 0:
        whole = tuple(one // MICRO_WON_PER_WON for one in left)
        if micro_won // MICRO_WON_PER_WON <= sum(whole):
            parts = apportion(micro_won // MICRO_WON_PER_WON, whole)
            return tuple(part * MICRO_WON_PER_WON for part in parts)
    return apportion(micro_won, left)


def _check_chosen(
    fundings: Mapping[str, Funding], left: Mapping[str, int], chosen: Mapping[str, int], micro_won: int
) -> None:
    if any(amount < 0 for amount in chosen.values()) or sum(chosen.values()) != micro_won:
        raise Invalid(
            "sources_do_not_add_up",
            _("What is taken of each source must come to the public money granted, %(sum)s.")
            % {"sum": checks.won(micro_won)},
            field="sources",
            data={"sum_micro_won": sum(chosen.values()), "granted_micro_won": micro_won},
        )
    for slug, amount in chosen.items():
        if amount > left[slug]:
            raise checks.source_exceeded(fundings[slug].source, left[slug], amount, KRW)


def _not_a_source(programme: Programme, slug: str) -> Exception:
    other = Funding.objects.filter(programme=programme, source__slug=slug).first()
    if other is not None:
        return checks.not_awarded_yet(other.unit)
    return NotFound(
        _("The source “%(slug)s” gives this programme no money.") % {"slug": slug[:80]},
        code="source_not_found",
        field="sources",
    )


def dates(
    programme: Programme, starts: datetime, until: datetime | None, *, chosen_start: bool
) -> tuple[datetime, datetime | None]:
    """The award's term within the programme's: what was not chosen is taken from there."""
    use = EligibleUse.objects.filter(programme=programme).first()
    if use is None:
        return starts, until
    if use.valid_from is not None and starts < use.valid_from:
        if chosen_start:
            raise _outside("valid_from")
        starts = use.valid_from
    if use.valid_until is not None:
        until = until or use.valid_until
        if until > use.valid_until:
            raise _outside("valid_until")
    if until is not None and until <= starts:
        raise _outside("valid_until")
    return starts, until


def _outside(field: str) -> Invalid:
    return Invalid(
        "outside_eligible_dates",
        _("The programme's money may not be used on all days of this term."),
        field=field,
        remedy=_("The programme's page says from when until when it may be used."),
    )


def limits(programme: Programme, wanted: Limits | None) -> Limits:
    """The award's limits: never wider than what the programme's money may be used for."""
    asked = wanted or Limits()
    use = EligibleUse.objects.filter(programme=programme).first()
    if use is None:
        return asked
    return replace(
        asked,
        models=_narrowed("models", asked.models, use.model_names),
        endpoints=_narrowed("endpoints", asked.endpoints, use.endpoint_names),
    )


def _narrowed(field: str, asked: Sequence[str], eligible: Sequence[str]) -> tuple[str, ...]:
    if not eligible:
        return tuple(asked)
    if beyond := [name for name in asked if name not in eligible]:
        raise Invalid(
            "not_eligible",
            _("The programme's money may not be used for “%(name)s”.") % {"name": beyond[0][:120]},
            field=field,
            remedy=_("It may be used for: %(names)s.") % {"names": ", ".join(eligible)},
        )
    return tuple(asked or eligible)
