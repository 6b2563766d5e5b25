"""Names, badges and drawings that every room's pages share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django import template
from django.core.paginator import Page
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import audit, money
from dure.control.foundation.actors import Actor
from dure.control.foundation.templatetags.dure_format import won_short
from dure.control.portal import charts

register = template.Library()

_GOOD, _WARN, _BAD, _PLAIN, _INFO = (
    "bg-light-success",
    "bg-light-warning",
    "bg-light-danger",
    "bg-light-gray",
    "bg-light-primary",
)


@dataclass(frozen=True, slots=True)
class Badge:
    text: Any
    style: str


@dataclass(frozen=True, slots=True)
class BarPart:
    name: str
    x: int
    width: int


_USAGE = {
    "completed": Badge(_("completed"), _GOOD),
    "cancelled": Badge(_("cancelled by caller"), _WARN),
    "truncated": Badge(_("cut off by provider"), _WARN),
    "failed": Badge(_("failed"), _BAD),
    "interrupted": Badge(_("interrupted"), _WARN),
}
STATES = {
    "open": Badge(_("open"), _GOOD),
    "returning": Badge(_("returning the rest"), _WARN),
    "closed": Badge(_("closed"), _PLAIN),
    "upcoming": Badge(_("not yet begun"), _INFO),
    "ended": Badge(_("ended"), _PLAIN),
    "active": Badge(pgettext_lazy("state of a key", "active"), _GOOD),
    "available": Badge(_("available"), _GOOD),
    "valid": Badge(_("valid"), _GOOD),
    "retired": Badge(_("retired"), _PLAIN),
    "unreachable": Badge(_("not reachable"), _WARN),
    "reachable": Badge(_("reachable"), _GOOD),
    "revoked": Badge(_("revoked"), _BAD),
    "expired": Badge(_("expired"), _PLAIN),
    "replaced": Badge(_("replaced"), _PLAIN),
    "silent": Badge(_("silent"), _BAD),
    "lost": Badge(_("declared lost"), _PLAIN),
    "running": Badge(_("running"), _GOOD),
    "finished": Badge(_("finished"), _PLAIN),
    "in_force": Badge(_("in force"), _GOOD),
    "coming": Badge(_("to come"), _INFO),
    "past": Badge(_("past"), _PLAIN),
    "withdrawn": Badge(_("withdrawn"), _PLAIN),
    "demo": Badge(_("Demonstration"), _PLAIN),
}
#: What gateways make of a deployment (`settlement.operations.RouteHealth`).
_ROUTES = {
    "closed": Badge(_("takes calls"), _GOOD),
    "half_open": Badge(_("on trial"), _WARN),
    "open": Badge(_("resting after failures"), _BAD),
    "unusable": Badge(_("cannot be used"), _BAD),
}
_LOSSES = {
    "requested": Badge(_("waits for a second officer"), _WARN),
    "confirmed": Badge(_("confirmed"), _PLAIN),
    "withdrawn": Badge(pgettext_lazy("request", "withdrawn"), _PLAIN),
    "expired": Badge(pgettext_lazy("request", "expired"), _PLAIN),
}
ACCOUNT_KINDS = {
    "treasury": _("treasury"),
    "deposits": _("paid in by organisations"),
    "appropriation": _("appropriation"),
    "award": _("award"),
    "escrow": _("held by a gateway"),
    "payable": _("owed to provider"),
    "own_contribution": _("own contribution"),
    "returned": _("returned"),
    "disputed": _("disputed"),
}
TRANSFER_KINDS = {
    "appropriation": _("appropriation"),
    "award": _("grant"),
    "lease": _("set aside at a gateway"),
    "give_back": _("given back by a gateway"),
    "usage": _("calls charged"),
    "late_usage": _("late calls charged"),
    "award_return": _("rest returned"),
    "passed_on": _("passed on to another programme"),
    "own_contribution_paid": _("own contribution paid in"),
    "own_contribution": _("own contribution joined the award"),
    "own_contribution_return": _("rest of the own contribution"),
    "own_contribution_repaid": _("own contribution paid back"),
    "correction": _("correction"),
}
_ORGANISATION_KINDS = {
    "ministry": _("ministry"),
    "agency": _("agency"),
    "provider": _("model provider"),
    "sme": _("small firm"),
    "startup": _("start-up"),
    "public_body": _("public body"),
    "university": _("university"),
    "institute": _("research institute"),
}
_ENDPOINTS = {
    "chat.completions": _("chat"),
    "completions": _("text completion"),
    "embeddings": _("embeddings"),
    "responses": _("responses"),
    "messages": _("messages (Anthropic)"),
    "moderations": _("moderation"),
    "rerank": _("reranking"),
    "audio.transcriptions": _("speech to text"),
    "audio.translations": _("speech to English text"),
    "audio.speech": _("text to speech"),
    "images.generations": _("image generation"),
}
_METERS = {
    "input": _("Input, per million tokens"),
    "output": _("Output, per million tokens"),
    "cached_input": _("Cached input, per million tokens"),
    "cache_write": _("Input written to the cache, per million tokens"),
    "audio_input": _("Audio input, per million tokens"),
    "audio_output": _("Audio output, per million tokens"),
    "request": _("Per million requests"),
    "character": _("Per million characters"),
    "second": _("Per million seconds"),
    "image": _("Per million images"),
    "search": _("Per million searches"),
}


_METERS_SHORT = {
    "input": _("Input"),
    "output": _("Output"),
    "cached_input": _("Cached input"),
    "cache_write": _("Cache write"),
    "audio_input": _("Audio input"),
    "audio_output": _("Audio output"),
    "request": _("Request"),
    "character": _("Character"),
    "second": _("Second"),
    "image": _("Image"),
    "search": _("Search"),
}


@register.filter
def meter_short(meter: str) -> Any:
    return _METERS_SHORT.get(meter, meter)


#: Why a call ended as it did (`error_code` of its record), in a reader's words. Others are shown as they are.
_ERROR_CODES = {
    "client_closed": _("The caller closed the connection; what had been delivered is charged."),
    "client_stalled": _("The caller stopped reading; what had been delivered is charged."),
    "upstream_unreachable": _("The provider could not be reached; nothing is charged."),
    "upstream_timeout": _("The provider did not answer in time; nothing is charged."),
    "upstream_broke": _("The provider broke off."),
    "upstream_error": _("The provider answered with an error."),
    "upstream_credential_refused": _("The provider refused the gateway's key; nothing is charged."),
    "journal_unavailable": _(
        "The gateway could not write its journal, so nothing was sent; nothing is charged."
    ),
    "gateway_process_lost": _(
        "The gateway stopped during the call; what its journal shows as delivered is charged."
    ),
    "journal_record_lost": _("The record of this call cannot be read; nothing is charged."),
    "refused_by_ledger": _("The ledger refused this record; officers settle it with the provider."),
    "uncovered_after_loss": _(
        "Turned up after its gateway had been declared lost; officers settle the uncovered part with the provider."
    ),
}


@register.filter
def error_meaning(code: str) -> Any:
    return _ERROR_CODES.get(code, code)


@register.filter
def usage_badge(status: str) -> Badge:
    return _USAGE.get(status, Badge(status, _PLAIN))


@register.filter
def state_badge(state: str) -> Badge:
    return STATES.get(state, Badge(state, _PLAIN))


@register.filter
def route_badge(route: Any) -> Badge:
    """What its gateways say, and where none has used it lately, what the catalogue says."""
    if route.state in _ROUTES:
        return _ROUTES[route.state]
    if route.offered == "active":
        return Badge(_("no calls lately"), _PLAIN)
    return state_badge(route.offered)


@register.filter
def loss_badge(state: str) -> Badge:
    return _LOSSES.get(state, Badge(state, _PLAIN))


@register.filter
def percentiles(milliseconds: Sequence[float]) -> str:
    """Half, 95 and 99 of a hundred were at least this fast: `12 · 48 · 95 ms`, from a second on `1.2 · 3.4 · 9.8 s`."""
    if not milliseconds:
        return "–"
    if max(milliseconds) < 1_000:
        return " · ".join(f"{value:,.0f}" if value >= 1 else "<1" for value in milliseconds) + " ms"
    return gettext("%(seconds)s s") % {
        "seconds": " · ".join(f"{value / 1000:,.1f}" for value in milliseconds)
    }


@register.filter
def account_kind(kind: str) -> Any:
    return ACCOUNT_KINDS.get(kind, kind)


@register.filter
def transfer_kind(kind: str) -> Any:
    return TRANSFER_KINDS.get(kind, kind)


@register.filter
def organisation_kind(kind: str) -> Any:
    return _ORGANISATION_KINDS.get(kind, kind)


@register.filter
def in_unit(amount: int | None, unit: str) -> SafeString | str:
    """An amount in its unit's smallest part: won as everywhere, other units counted."""
    if amount is None or unit == "KRW":
        return won_short(amount)
    return gettext("%(n)s GPU seconds") % {"n": f"{amount:,}"}


@register.filter
def value_of(values: Mapping[Any, Any] | None, key: Any) -> Any:
    """What a mapping has for a key that is itself a value; nothing where it has none."""
    return values.get(key, "") if values else ""


@register.filter
def basis_points(share: int) -> str:
    """`12.5%` of 1,250."""
    return f"{share / 100:g}%"


@register.filter
def endpoint_name(endpoint: str) -> Any:
    return _ENDPOINTS.get(endpoint, endpoint)


@register.filter
def meter_name(meter: str) -> Any:
    return _METERS.get(meter, meter)


@register.filter
def counted_units(units: dict[str, int]) -> list[str]:
    """What a call counted that is no token, in words; parts of its tokens are left to their price."""
    said = []
    if n := units.get("second"):
        said.append(ngettext("%(n)s second", "%(n)s seconds", n) % {"n": f"{n:,}"})
    if n := units.get("character"):
        said.append(ngettext("%(n)s character", "%(n)s characters", n) % {"n": f"{n:,}"})
    if n := units.get("image"):
        said.append(ngettext("%(n)s image", "%(n)s images", n) % {"n": f"{n:,}"})
    if n := units.get("search"):
        said.append(ngettext("%(n)s search", "%(n)s searches", n) % {"n": f"{n:,}"})
    return said


@register.filter
def won_floor(micro_won: int | None) -> SafeString | str:
    """What a person reads at a glance: whole won, below 100 won two decimals; the exact sum on hover."""
    return _won_cut(micro_won, 0 if abs(micro_won or 0) >= 100 * MICRO_WON_PER_WON else 2)


@register.filter
def won_fine(micro_won: int | None) -> SafeString | str:
    """The cost of a call, in a column: four decimals, whole won from 1,000 won; the exact sum on hover."""
    return _won_cut(micro_won, 0 if abs(micro_won or 0) >= 1_000 * MICRO_WON_PER_WON else 4)


@register.filter
def won_in_column(micro_won: int | None, total: int) -> SafeString | str:
    """A sum in a column that is added up: as many decimals in every line as its total asks for."""
    return _won_cut(micro_won, 2 if abs(total) >= 1_000 * MICRO_WON_PER_WON else 4, zero_too=True)


def _won_cut(micro_won: int | None, decimals: int, *, zero_too: bool = False) -> SafeString | str:
    if micro_won is None:
        return "–"
    language = get_language() or "ko"
    exact = money.format_won(micro_won, language)
    shown = money.format_won(micro_won, language, decimals=decimals if micro_won or zero_too else 0)
    return shown if shown == exact else format_html('<span title="{}">{}</span>', exact, shown)


@register.filter
def in_my_language(subject: Any, field: str = "name") -> str:
    """`name_ko` or `name_en` of what has both, whichever the reader's page is in; else the other one."""
    if subject is None:
        return ""
    language = (get_language() or "ko")[:2]
    for suffix in (language, "ko", "en"):
        text = getattr(subject, f"{field}_{suffix}", "")
        if text:
            return str(text)
    return str(getattr(subject, field, ""))


@register.filter
def programme_name(programme_id: UUID) -> str:
    """A programme by name, where a room below programmes knows its id alone."""
    from dure.control.programmes import selectors as programmes

    found = programmes.programme_names([programme_id]).get(programme_id)
    return found.name if found else str(programme_id)


@register.filter
def organisation_name(membership: Any) -> str:
    return in_my_language(getattr(membership, "organisation", membership))


@register.filter
def acting_as(actor: Actor, memberships: Iterable[Any]) -> str:
    """The organisation an actor acts for, by name."""
    for membership in memberships:
        if membership.organisation.id == actor.organisation_id:
            return organisation_name(membership)
    return gettext("no organisation")


@register.filter
def bar_parts(funds: Any) -> list[BarPart]:
    """Spent, held and left as thousandths of what was granted (and brought), in that order from the left."""
    granted = getattr(funds, "funded_micro_won", funds.granted_micro_won)
    if granted <= 0:
        return []
    parts, x = [], 0
    for name, amount in (
        ("bar-left", funds.remaining_micro_won - funds.escrow_micro_won),
        ("bar-held", funds.escrow_micro_won),
        ("bar-spent", funds.spent_micro_won),
    ):
        width = min(round(amount * 1000 / granted), 1000 - x)
        if amount > 0:
            width = max(width, 4)
        parts.append(BarPart(name, x, width))
        x += width
    return parts


_EVENTS = {
    "award.granted": _("Award granted"),
    "award.ended": _("Award ended"),
    "award.returned": _("Rest returned to the programme"),
    "award.own_contribution_confirmed": _("Own contribution arrived"),
    "award.own_contribution_repaid": _("Rest of the own contribution paid back"),
    "award.escrow_corrected": _("Money returned from a lost gateway"),
    "gateway.loss_requested": _("Asked to declare it lost"),
    "gateway.declared_lost": _("Declared lost"),
    "gateway.loss_withdrawn": _("Request withdrawn"),
    "entitlement.opened": _("Right to call opened"),
    "entitlement.limited": _("Limits changed"),
    "entitlement.closed": _("Right to call closed"),
    "entitlement.released": _("Calls may begin"),
    "key.issued": _("Key issued"),
    "key.limited": _("Limits of a key changed"),
    "key.revoked": _("Key revoked"),
    "key.rotated": _("Key replaced"),
}


@register.filter
def event_title(action: str) -> Any:
    return _EVENTS.get(action, action)


@register.filter
def event_detail(event: Any) -> str:
    """The one word that tells this event from another of its kind: the key's visible part."""
    prefix = (event.after or {}).get("prefix")
    return f"{prefix}…" if prefix else ""


#: Names the software gives itself in the audit trail where it acts on nobody's behalf.
_SYSTEM_NAMES = {
    "demonstration": _("demonstration"),
    "erasure": _("erasure of accounts"),
    "registration": _("registration"),
    "term of awards": _("end of the award's term"),
    "return of unspent money": _("return of unspent money"),
}
_COMMAND_LINE = "command line ("


@register.filter
def who_did(name: str) -> Any:
    """Who acted, in the reader's language where it was the software; people have one name in all of them."""
    if name.startswith(_COMMAND_LINE) and name.endswith(")"):
        return gettext("command line (%(account)s)") % {"account": name[len(_COMMAND_LINE) : -1]}
    if audit.ON_BEHALF_OF in name:
        delegate, _between, others = name.partition(audit.ON_BEHALF_OF)
        return gettext("%(name)s on behalf of %(others)s") % {"name": delegate, "others": others}
    if name.startswith(audit.ERASED):
        return gettext("erased account %(code)s") % {"code": name[len(audit.ERASED) :]}
    return _SYSTEM_NAMES.get(name, name)


@register.filter
def page_numbers(page: Page[Any]) -> list[int | None]:
    """Numbers to link around the current one; None is a gap."""
    return [
        number if isinstance(number, int) else None
        for number in page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
    ]


@register.filter
def shortened(text: Any, length: int = 8) -> str:
    return str(text)[:length]


@register.filter
def percent_of(part: int, whole: int) -> str:
    if not whole:
        return "–"
    share = part * 100 / whole
    return gettext("less than 0.1%") if 0 < share < 0.1 else f"{share:.1f}%"


@register.filter
def coordinate(value: float) -> str:
    """A coordinate: a point for the decimals whatever the language."""
    return f"{value:.1f}"


@register.filter
def add_number(value: float, more: int) -> str:
    return f"{value + more:.1f}"


@register.filter
def seconds(milliseconds: int) -> str:
    """A duration as a person reads it: `0.42 s`."""
    return gettext("%(seconds)s s") % {"seconds": f"{milliseconds / 1000:,.2f}"}


@register.filter
def one_decimal(value: float) -> str:
    return f"{value:,.1f}"


@register.filter
def short_day(day: date) -> str:
    language = get_language() or "ko"
    return f"{day.month}. {day.day}." if language.startswith("ko") else f"{day.day} {day:%b}"


def _axis_won(micro_won: int) -> str:
    return money.format_won_rough(micro_won - micro_won % (MICRO_WON_PER_WON // 100), get_language() or "ko")


@register.inclusion_tag("components/chart.html")
def line_chart(
    name: str,
    finding: str,
    about: str,
    points: Sequence[charts.Point],
    forecast: Sequence[charts.Point],
    ceiling: int,
) -> dict[str, Any]:
    """What is left over days, with the forecast dotted. `finding` is the title: what the picture shows."""
    layouts = charts.line_layouts(
        points=points, forecast=forecast, ceiling=ceiling, say_day=short_day, say_value=_axis_won
    )
    heading = pgettext("table column", "Left")
    return _chart(name, finding, about, layouts, points, heading)


@register.inclusion_tag("components/chart.html")
def column_chart(
    name: str, finding: str, about: str, points: Sequence[charts.Point], heading: str
) -> dict[str, Any]:
    """One column a day."""
    layouts = charts.column_layouts(points=points, say_day=short_day, say_value=_axis_won)
    return _chart(name, finding, about, layouts, points, heading)


def _chart(
    name: str,
    finding: str,
    about: str,
    layouts: list[charts.Layout],
    points: Sequence[charts.Point],
    heading: str,
) -> dict[str, Any]:
    return {
        "name": name,
        "finding": finding,
        "about": about,
        "layouts": layouts,
        "rows": list(reversed(points)),
        "heading": heading,
    }
