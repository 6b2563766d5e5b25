"""Verbs of the files that are published with a call."""

from typing import BinaryIO
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.calls import checks
from dure.control.calls.models import Call, CallAttachment
from dure.control.calls.selectors import AttachmentView
from dure.control.calls.selectors.values import attachment_view
from dure.control.calls.services.calls import log_change
from dure.control.foundation import audit, clock, files
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, NotFound

MAX_ATTACHMENTS = 30
OWNER_KIND = "call_attachment"


@transaction.atomic
def add_attachment(
    *,
    actor: Actor,
    call_slug: str,
    stream: BinaryIO,
    name: str,
    title_ko: str = "",
    title_en: str = "",
    reason: str = "",
) -> AttachmentView:
    """Publish a file with a call; with one that is published already, for a reason that everybody can read."""
    call = checks.call_to_change(actor, call_slug)
    reason = checks.reason(reason) if call.state != "draft" else ""
    if CallAttachment.objects.filter(call=call, removed_at=None).count() >= MAX_ATTACHMENTS:
        raise Conflict(
            "too_many_attachments",
            _("A call has at most %(most)s files.") % {"most": MAX_ATTACHMENTS},
            field="file",
        )
    stored = files.store(stream=stream, name=name)
    row = CallAttachment.objects.create(
        call=call,
        sha256=stored.sha256,
        name=stored.name,
        size=stored.size,
        media_type=stored.media_type,
        title_ko=checks.line(title_ko, "title_ko") or stored.name[:200],
        title_en=checks.line(title_en, "title_en"),
        added_at=clock.now(),
        added_by_name=actor.name[:200],
    )
    files.keep(row.sha256, owner_kind=OWNER_KIND, owner_id=row.pk)
    _log(actor, call, "call.attachment_added", row, reason, added=True)
    return attachment_view(row)


@transaction.atomic
def remove_attachment(*, actor: Actor, attachment_id: UUID, reason: str = "") -> None:
    """Take a file away: from a draft for good, from a published call for a reason; then it stays on record."""
    found = CallAttachment.objects.filter(pk=attachment_id, removed_at=None).select_related("call").first()
    if found is None:
        raise NotFound(code="attachment_not_found")
    call = checks.call_to_change(actor, found.call.slug)
    row = CallAttachment.objects.select_for_update().filter(pk=attachment_id, removed_at=None).first()
    if row is None:
        raise NotFound(code="attachment_not_found")
    reason = checks.reason(reason) if call.state != "draft" else ""
    _log(actor, call, "call.attachment_removed", row, reason, added=False)
    if call.state == "draft":
        files.release(row.sha256, owner_kind=OWNER_KIND, owner_id=row.pk)
        row.delete()
        return
    row.removed_at, row.removal_reason = clock.now(), reason
    row.save(update_fields=["removed_at", "removal_reason"])


def _log(actor: Actor, call: Call, action: str, row: CallAttachment, reason: str, *, added: bool) -> None:
    if call.state != "draft":
        shown = {"attachment": row.title_ko}
        log_change(actor, call, reason, {} if added else shown, shown if added else {})
    audit.record(
        actor=actor,
        action=action,
        subject_kind="call",
        subject_id=call.pk,
        after={"name": row.name, "sha256": row.sha256, "size": row.size, "reason": reason},
    )
