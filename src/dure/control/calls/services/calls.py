"""Verbs of calls: add, copy, change, correct, cancel."""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.calls import checks, hooks, selectors
from dure.control.calls.models import Call, CallChange, Round
from dure.control.calls.selectors import CallView
from dure.control.calls.workflow import may_become
from dure.control.foundation import audit, clock, files
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Invalid

#: What may still be put right when a call is published, with a reason that everybody can read.
TEXTS = ("name_ko", "name_en", "summary_ko", "summary_en", "text_ko", "text_en")


@transaction.atomic
def add_call(
    *,
    actor: Actor,
    slug: str,
    programme_slug: str,
    kind: str,
    name_ko: str,
    name_en: str = "",
    summary_ko: str = "",
    summary_en: str = "",
    text_ko: str = "",
    text_en: str = "",
    request_id: UUID | None = None,
) -> CallView:
    """Begin a call as a draft. The same `request_id` and short name again answers the call that is there."""
    programme = checks.programme_for(actor, programme_slug)
    if request_id and (found := Call.objects.filter(pk=request_id).first()):
        if (found.slug, found.programme_id) != (slug, programme.id):
            raise Conflict(
                "exists_with_different_content",
                _("This id was used before for something else; nothing was changed."),
                field="id",
            )
        return selectors.call(actor=actor, slug=slug)
    texts = _texts(
        {
            "name_ko": name_ko or name_en,
            "name_en": name_en,
            "summary_ko": summary_ko,
            "summary_en": summary_en,
            "text_ko": text_ko,
            "text_en": text_en,
        }
    )
    row = create_call(actor, slug, programme.id, checks.kind(kind), texts, call_id=request_id)
    audit.record(
        actor=actor,
        action="call.added",
        subject_kind="call",
        subject_id=row.pk,
        after={"slug": slug, "programme": programme.slug, "kind": kind, "name_ko": row.name_ko},
    )
    return selectors.call(actor=actor, slug=slug)


@transaction.atomic
def change_call(
    *,
    actor: Actor,
    slug: str,
    reason: str = "",
    new_slug: str | None = None,
    kind: str | None = None,
    programme_slug: str | None = None,
    reviewed: bool | None = None,
    **texts: str | None,
) -> CallView:
    """Change what is named: a draft freely; of a published call its texts alone (`TEXTS`), with a reason that is kept
    in its public list of corrections. `reviewed=True` says that a copy was looked through.
    """
    row = checks.call_to_change(actor, slug)
    wanted: dict[str, Any] = _texts({name: text for name, text in texts.items() if text is not None})
    if new_slug is not None:
        wanted["slug"] = checks.slug(new_slug)
    if kind is not None:
        wanted["kind"] = checks.kind(kind)
    if programme_slug is not None:
        wanted["programme_id"] = checks.programme_for(actor, programme_slug).id
    if reviewed is not None:
        wanted["needs_review"] = row.needs_review and not reviewed
    before = {name: getattr(row, name) for name in wanted}
    after = {name: value for name, value in wanted.items() if before[name] != value}
    before = {name: before[name] for name in after}
    if not after:
        return selectors.call(actor=actor, slug=row.slug)
    if row.state != "draft":
        _only_texts(after)
        reason = checks.reason(reason)
    for name, value in after.items():
        setattr(row, name, value)
    _save(row, list(after))
    if row.state != "draft":
        log_change(actor, row, reason, before, after)
    audit.record(
        actor=actor,
        action="call.changed" if row.state == "draft" else "call.corrected",
        subject_kind="call",
        subject_id=row.pk,
        before=_short(before),
        after=_short(after) | ({"reason": reason} if reason else {}),
    )
    return selectors.call(actor=actor, slug=row.slug)


@transaction.atomic
def discard_call(*, actor: Actor, slug: str) -> None:
    """Throw a draft away, with everything in it. What was ever published stays."""
    row = checks.call_to_change(actor, slug, drafts_only=True)
    audit.record(
        actor=actor,
        action="call.discarded",
        subject_kind="call",
        subject_id=row.pk,
        before={"slug": row.slug, "name_ko": row.name_ko},
    )
    for file in row.attachments.filter(removed_at=None):
        files.release(file.sha256, owner_kind="call_attachment", owner_id=file.pk)
    Call.objects.filter(copied_from=row).update(copied_from=None)
    row.delete()


@transaction.atomic
def cancel_call(*, actor: Actor, slug: str, reason: str) -> CallView:
    """Call a published call off, with all of its rounds. Everybody can read why; nothing is removed."""
    row = checks.call_to_change(actor, slug)
    reason = checks.reason(reason)
    if not may_become("call", row.state, "cancelled"):
        raise Conflict(
            "call_not_published",
            _("Only a published call can be cancelled."),
            remedy=_("Discard the draft instead."),
        )
    now = clock.now()
    rounds = Round.objects.select_for_update(no_key=True).filter(call=row, state="published").order_by("pk")
    ended = [one.pk for one in rounds]
    Round.objects.filter(pk__in=ended).update(state="cancelled", ended_at=now, end_reason=reason)
    row.state, row.ended_at, row.end_reason = "cancelled", now, reason
    row.save(update_fields=["state", "ended_at", "end_reason"])
    hooks.call_cancelled(row.pk, ended, reason)
    audit.record(
        actor=actor,
        action="call.cancelled",
        subject_kind="call",
        subject_id=row.pk,
        before={"state": "published"},
        after={"state": "cancelled", "reason": reason, "rounds": ended},
    )
    return selectors.call(actor=actor, slug=row.slug)


def log_change(
    actor: Actor, row: Call, reason: str, before: dict[str, Any], after: dict[str, Any]
) -> CallChange:
    """One entry of a published call's public list of corrections."""
    return CallChange.objects.create(
        call=row,
        reason=reason,
        before=before,
        after=after,
        created_at=clock.now(),
        created_by_name=actor.name[:200],
    )


def create_call(
    actor: Actor,
    slug: str,
    programme_id: UUID,
    kind: str,
    texts: dict[str, str],
    *,
    call_id: UUID | None = None,
    **more: Any,
) -> Call:
    try:
        with transaction.atomic():
            return Call.objects.create(
                id=call_id or uuid7(),
                slug=checks.slug(slug),
                programme_id=programme_id,
                kind=kind,
                created_at=clock.now(),
                created_by_name=actor.name[:200],
                **texts,
                **more,
            )
    except IntegrityError:
        raise _exists(slug) from None


def _save(row: Call, fields: list[str]) -> None:
    try:
        with transaction.atomic():
            row.save(update_fields=[name.removesuffix("_id") for name in fields])
    except IntegrityError:
        raise _exists(row.slug) from None


def _exists(slug: str) -> Conflict:
    return Conflict(
        "call_exists",
        _("There is a call “%(slug)s” already.") % {"slug": slug},
        field="slug",
        remedy=_("Choose another short name."),
    )


def _texts(texts: dict[str, str]) -> dict[str, str]:
    tidy = {}
    for name, text in texts.items():
        if name not in TEXTS:
            raise TypeError(f"{name} is no text of a call")
        if name.startswith("text"):
            tidy[name] = checks.prose(text, name)
        else:
            tidy[name] = checks.line(
                text, name, most=500 if name.startswith("summary") else 200, required=name == "name_ko"
            )
    return tidy


def _only_texts(after: dict[str, Any]) -> None:
    for name, value in after.items():
        if name not in {*TEXTS, "needs_review"}:
            raise Conflict(
                "call_is_published",
                _("This call is published: only its texts can be corrected."),
                field={"programme_id": "programme"}.get(name, name),
                remedy=_("Copy it for a new call, or cancel it."),
            )
        if name == "name_ko" and not value:
            raise Invalid("text_missing", _("This must not be empty."), field=name)


def _short(values: dict[str, Any]) -> dict[str, Any]:
    """For the trail: long texts by their beginning; they stand whole in the list of corrections."""
    return {
        name: value[:200] + "…" if isinstance(value, str) and len(value) > 200 else value
        for name, value in values.items()
    }
