"""Questions about calls: the public list, a call's page, and what its officers see of its draft."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, Max, Min, Q, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from dure.control.calls import rules
from dure.control.calls.models import CALL_KINDS, Call, CallAttachment, FormVersion, Round, RuleVersion
from dure.control.calls.selectors.rounds import round_views
from dure.control.calls.selectors.values import (
    AttachmentView,
    CallLine,
    CallRef,
    CallView,
    Page,
    RoundView,
    VersionView,
    attachment_view,
    call_ref,
    change_view,
    leading_round,
    version_view,
)
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.models import AuditEvent
from dure.control.foundation.reading import once_a_page

type Order = Literal["closing", "newest", "name"]

PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MAX_PAGE = 10**6
PHASES = ("open", "upcoming", "judging", "closed", "cancelled", "draft")
_SEARCHED = ("slug", "name_ko", "name_en", "summary_ko", "summary_en", "text_ko", "text_en")


@dataclass(frozen=True, slots=True)
class Draft:
    """What officers work on: the contents as they were saved, and by which digest the next saving goes on from."""

    call: CallView
    steps: Any
    form: VersionView | None
    rules: VersionView | None
    form_versions: list[VersionView]
    rule_versions: list[VersionView]


def calls(
    *,
    actor: Actor,
    search: str = "",
    kind: str = "",
    state: str = "",
    programme: str = "",
    closing_within_days: int | None = None,
    order: Order = "closing",
    page: int = 1,
    page_size: int = PAGE_SIZE,
    mine: bool = False,
    at: datetime | None = None,
) -> Page[CallLine]:
    """The calls this actor may see. `state` is one of `PHASES`; `closing_within_days` keeps what is open and closes
    by then; `mine` keeps what the actor manages. Ordered by what closes first, what opens next, what is newest.
    """
    now = at or clock.now()
    rows = _phased(_visible(actor), actor, now)
    if mine:
        rows = rows.filter(managed(actor))
    if words := "".join(sign for sign in search if sign.isprintable()).split():
        for word in words[:10]:
            rows = rows.filter(_any_of({f"{name}__icontains": word for name in _SEARCHED}))
    if kind:
        rows = rows.filter(kind=kind) if kind in CALL_KINDS else rows.none()
    if programme:
        rows = rows.filter(programme__slug=programme) if programme.isprintable() else rows.none()
    if state:
        rows = rows.filter(Q(phase=state))
    if closing_within_days is not None:
        until = now + timedelta(days=min(max(closing_within_days, 0), 36_500))
        rows = rows.filter(Q(phase="open", closing__lte=until))
    total = rows.count()
    page_size = min(max(page_size, 1), MAX_PAGE_SIZE)
    page = min(max(page, 1), max(1, -(-total // page_size)))
    start = (page - 1) * page_size
    found = list(_ordered(rows, order).select_related("programme")[start : start + page_size])
    return Page(_lines(found, actor, now), total, page, page_size)


@once_a_page
def call(*, actor: Actor, slug: str) -> CallView:
    """One call, whole; a draft is its agency's officers' alone. Raises `NotFound`."""
    return _whole(call_row(actor, slug), actor)


def call_refs(call_ids: Sequence[UUID]) -> dict[UUID, CallRef]:
    """Names by id, for calls the caller may already see."""
    rows = Call.objects.filter(pk__in=set(call_ids)).select_related("programme")
    return {row.pk: call_ref(row) for row in rows}


def draft(*, actor: Actor, slug: str) -> Draft:
    """What officers work on; for others it is not there."""
    row = call_row(actor, slug)
    if not rules.may_manage(actor, row.programme.agency_id, row.programme_id):
        raise call_not_found()
    forms = [version_view(one) for one in FormVersion.objects.filter(call=row).order_by("-number")]
    requirements = [version_view(one) for one in RuleVersion.objects.filter(call=row).order_by("-number")]
    return Draft(
        call=call(actor=actor, slug=slug),
        steps=row.steps,
        form=forms[0] if forms else None,
        rules=requirements[0] if requirements else None,
        form_versions=forms,
        rule_versions=requirements,
    )


def attachment(*, actor: Actor, attachment_id: UUID) -> AttachmentView:
    """A file of a call that the actor may see; one that was taken away is not there."""
    row = (
        CallAttachment.objects.select_related("call__programme")
        .filter(pk=attachment_id, removed_at=None)
        .first()
    )
    if row is None or not rules.may_see_call(
        actor, row.call.programme.agency_id, row.call.programme_id, row.call.state
    ):
        raise NotFound(code="attachment_not_found")
    return attachment_view(row)


def timeline(*, actor: Actor, slug: str, limit: int = 50) -> list[AuditEvent]:
    """What happened to a call, latest first; its officers' alone."""
    row = call_row(actor, slug)
    if not rules.may_manage(actor, row.programme.agency_id, row.programme_id):
        raise call_not_found()
    return audit.events_for("call", row.pk, limit=limit)


def may_manage(*, actor: Actor, slug: str) -> bool:
    row = Call.objects.select_related("programme").filter(slug=slug).first()
    return row is not None and rules.may_manage(actor, row.programme.agency_id, row.programme_id)


@once_a_page
def call_row(actor: Actor, slug: str) -> Call:
    """For this room's own use: the row, if the actor may see it."""
    row = (
        Call.objects.select_related("programme", "copied_from__programme").filter(slug=slug).first()
        if slug.isprintable()
        else None
    )
    if row is None or not rules.may_see_call(actor, row.programme.agency_id, row.programme_id, row.state):
        raise call_not_found()
    return row


def call_not_found() -> NotFound:
    return NotFound(_("There is no such call."), code="call_not_found")


def managed_rounds(*, actor: Actor, limit: int = 500) -> list[RoundView]:
    """The published and ended rounds that the actor manages, what closes last first; auditors see everybody's."""
    rows = Round.objects.select_related("call__programme").exclude(state="draft")
    if not actor.has("auditor"):
        rows = rows.filter(call__in=Call.objects.filter(managed(actor)))
    return round_views(list(rows.order_by("-closes_at", "pk")[:limit]))


def managed(actor: Actor) -> Q:
    """For this room's own use: `rules.may_manage` as a condition on calls."""
    if actor.is_system:
        return ~Q(pk=None)
    own = Q(programme__agency_id=actor.organisation_id) if actor.organisation_id else Q(pk=None)
    if actor.has("officer"):
        return Q(programme__agency=None) | own
    return own & Q(programme__in=actor.officer_programmes)


def _visible(actor: Actor) -> QuerySet[Call]:
    return Call.objects.filter(~Q(state="draft") | managed(actor))


def _phased(rows: QuerySet[Call], actor: Actor, now: datetime) -> QuerySet[Call]:
    """With what the list is ordered and filtered by: the phase, and the moments that matter in it."""
    # A closing names the last second in time (`workflow.in_time`).
    just_over = now - timedelta(seconds=1)
    published = Q(rounds__state="published")
    opened = published & Q(rounds__opens_at__lte=now, rounds__closes_at__gt=just_over)
    coming = published & Q(rounds__opens_at__gt=now)
    return rows.annotate(
        closing=Min("rounds__closes_at", filter=opened),
        opening=Min("rounds__opens_at", filter=coming),
        last_closing=Max("rounds__closes_at", filter=~Q(rounds__state="draft")),
        open_rounds=Count("rounds", filter=opened),
    ).annotate(
        phase=Case(
            When(~Q(state="published"), then=F("state")),
            When(closing__isnull=False, then=Value("open")),
            When(opening__isnull=False, then=Value("upcoming")),
            default=Value("judging"),
        )
    )


def _ordered(rows: QuerySet[Call], order: str) -> QuerySet[Call]:
    if order == "name":
        return rows.order_by("name_ko", "pk")
    newest = (F("published_at").desc(nulls_first=True), F("created_at").desc(), "pk")
    if order == "newest":
        return rows.order_by(*newest)
    rank = Case(
        *(When(phase=phase, then=Value(place)) for place, phase in enumerate(("draft", *PHASES[:3]))),
        default=Value(9),
        output_field=IntegerField(),
    )
    return rows.annotate(rank=rank).order_by(
        "rank", F("closing").asc(nulls_last=True), F("opening").asc(nulls_last=True), *newest
    )


def _any_of(conditions: dict[str, str]) -> Q:
    found = Q()
    for name, value in conditions.items():
        found |= Q(**{name: value})
    return found


def _lines(rows: Sequence[Call], actor: Actor, now: datetime) -> list[CallLine]:
    by_call: dict[UUID, list[Round]] = {}
    for one in Round.objects.filter(call__in=[row.pk for row in rows]).order_by("number"):
        by_call.setdefault(one.call_id, []).append(one)
    kept = []
    for row in rows:
        managed = rules.may_manage(actor, row.programme.agency_id, row.programme_id)
        for one in by_call.get(row.pk, []):
            one.call = row
            if managed or one.state != "draft":
                kept.append(one)
    views: dict[UUID, list[RoundView]] = {}
    for view in round_views(kept, actor=actor, at=now):
        views.setdefault(view.call.id, []).append(view)
    return [
        CallLine(
            ref=call_ref(row),
            summary_ko=row.summary_ko,
            summary_en=row.summary_en,
            published_at=row.published_at,
            round=leading_round(tuple(views.get(row.pk, ())), now),
            open_rounds=row.open_rounds,  # type: ignore[attr-defined]  # annotated by _phased
            may_manage=rules.may_manage(actor, row.programme.agency_id, row.programme_id),
            read_at=now,
        )
        for row in rows
    ]


def _whole(row: Call, actor: Actor) -> CallView:
    managed = rules.may_manage(actor, row.programme.agency_id, row.programme_id)
    now = clock.now()
    rounds = list(Round.objects.filter(call=row).order_by("number"))
    for one in rounds:
        one.call = row
    shown = [one for one in rounds if managed or one.state != "draft"]
    return CallView(
        ref=call_ref(row),
        summary_ko=row.summary_ko,
        summary_en=row.summary_en,
        text_ko=row.text_ko,
        text_en=row.text_en,
        created_at=row.created_at,
        published_at=row.published_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        copied_from=_copied_from(row, actor),
        template_key=row.template_key,
        needs_review=row.needs_review,
        may_manage=managed,
        read_at=now,
        rounds=tuple(round_views(shown, actor=actor, at=now)),
        attachments=tuple(
            attachment_view(one) for one in row.attachments.filter(removed_at=None).order_by("added_at")
        ),
        changes=tuple(
            change_view(one, with_name=managed) for one in row.changes.order_by("-created_at", "-pk")
        ),
    )


def _copied_from(row: Call, actor: Actor) -> str | None:
    """The earlier call's short name, unless that is a draft the reader may not know of."""
    source = row.copied_from
    if source is None or not rules.may_see_call(
        actor, source.programme.agency_id, source.programme_id, source.state
    ):
        return None
    return source.slug
