"""Certificates that an organisation shows: handed in by its administrators, accepted or refused by an officer."""

from datetime import date, timedelta
from typing import BinaryIO
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, files, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import rules, telling, workflow
from dure.control.identity.facts import DocumentKind, DocumentState, VerificationState
from dure.control.identity.models import Organisation, OrganisationDocument
from dure.control.identity.organisation_selectors import DocumentView, document_view, today
from dure.control.identity.services.guarding import given_reason, locked, managed

#: What certificates come as.
FILE_KINDS = ("pdf", "jpg", "png", "hwp", "hwpx")
MAX_BYTES = 20 << 20
MOST_WAITING = 20
OWNER_KIND = "organisation_document"
#: How many days before a document ends its organisation is reminded.
REMINDERS_DAYS = (30, 7)


@transaction.atomic
def add_document(
    *,
    actor: Actor,
    organisation_id: UUID,
    kind: str,
    stream: BinaryIO,
    name: str,
    issued_on: date | None = None,
    valid_until: date | None = None,
) -> DocumentView:
    """Hand in a certificate; it counts once an officer has accepted it. Its type is found by its content."""
    row = managed(actor, organisation_id)
    _check(kind, issued_on, valid_until)
    waiting = OrganisationDocument.objects.filter(organisation=row, state=DocumentState.ASKED)
    if waiting.count() >= MOST_WAITING:
        raise Conflict(
            "too_many_documents_wait",
            _("%(n)d documents wait for an officer already.") % {"n": MOST_WAITING},
            remedy=_("Withdraw one that is not needed, or wait for the officer."),
        )
    stored = files.store(stream=stream, name=name, allowed=FILE_KINDS, max_bytes=MAX_BYTES)
    if waiting.filter(sha256=stored.sha256, kind=kind).exists():
        raise Conflict(
            "document_exists",
            _("This file waits for an officer already."),
            field="file",
            remedy=_("There is nothing else to do for now."),
        )
    document = OrganisationDocument.objects.create(
        organisation=row,
        kind=kind,
        sha256=stored.sha256,
        name=stored.name,
        size=stored.size,
        media_type=stored.media_type,
        issued_on=issued_on,
        valid_until=valid_until,
        uploaded_by_id=actor.person_id,
    )
    files.keep(stored.sha256, owner_kind=OWNER_KIND, owner_id=document.pk)
    _record(actor, document, "document.added")
    return document_view(document)


@transaction.atomic
def withdraw_document(*, actor: Actor, document_id: UUID) -> DocumentView:
    """Take a document back that no officer has decided on; its file goes. Doing so again changes nothing."""
    document = _document(actor, document_id)
    if not rules.may_manage_organisation(actor, document.organisation_id):
        raise Forbidden
    if document.state == DocumentState.WITHDRAWN:
        return document_view(document)
    _may_become(document, DocumentState.WITHDRAWN)
    document.state, document.decided_at = DocumentState.WITHDRAWN, clock.now()
    document.decided_by_name = actor.name
    document.save()
    files.release(document.sha256, owner_kind=OWNER_KIND, owner_id=document.pk)
    _record(actor, document, "document.withdrawn")
    return document_view(document)


@transaction.atomic
def accept_document(*, actor: Actor, document_id: UUID) -> DocumentView:
    """An officer finds that a document is what it says; doing so again changes nothing."""
    document = _to_decide(actor, document_id)
    if document.state == DocumentState.ACCEPTED:
        return document_view(document)
    _may_become(document, DocumentState.ACCEPTED)
    if document.valid_until is not None and document.valid_until < today():
        raise Conflict(
            "document_expired",
            _("This document is out of date."),
            remedy=_("Refuse it, so that the organisation hands in a new one."),
        )
    _decide(actor, document, DocumentState.ACCEPTED, "")
    telling.administrators(
        document.organisation_id,
        title=_("A document is accepted"),
        text=wording.said(
            _("%(kind)s of %(organisation)s is accepted."),
            kind=DocumentKind(document.kind).label,
            organisation=wording.name_of(document.organisation),
        ),
        path=telling.page_of(document.organisation, "documents/"),
        action=_("See the documents"),
        dedupe_key=f"document-accepted-{document.pk}-{document.decided_at}",
        category="outcome",
    )
    return document_view(document)


@transaction.atomic
def refuse_document(*, actor: Actor, document_id: UUID, reason: str) -> DocumentView:
    """An officer finds that it is not, and says why.

    A verified organisation that is left without a business registration certificate waits to be verified again.
    """
    document = _to_decide(actor, document_id)
    reason = given_reason(reason)
    _may_become(document, DocumentState.REFUSED)
    _decide(actor, document, DocumentState.REFUSED, reason)
    _unverify_without_certificate(actor, document.organisation)
    telling.administrators(
        document.organisation_id,
        title=_("A document is refused"),
        text=wording.joined(
            wording.said(
                _("%(kind)s of %(organisation)s is refused."),
                kind=DocumentKind(document.kind).label,
                organisation=wording.name_of(document.organisation),
            ),
            wording.said(_("Reason: %(reason)s"), reason=reason),
        ),
        path=telling.page_of(document.organisation, f"documents/add/?kind={document.kind}"),
        action=_("Hand in another"),
        dedupe_key=f"document-refused-{document.pk}-{document.decided_at}",
    )
    return document_view(document)


def remind_of_expiry() -> int:
    """Tell administrators of accepted documents that end soon and have no successor; how many documents it was.

    Each organisation is told once for each of `REMINDERS_DAYS`, however often this runs.
    """
    soon = today() + timedelta(days=max(REMINDERS_DAYS))
    rows = OrganisationDocument.objects.select_related("organisation").filter(
        state=DocumentState.ACCEPTED,
        valid_until__gte=today(),
        valid_until__lte=soon,
        organisation__active=True,
    )
    reminded = 0
    for document in rows.order_by("valid_until", "id").iterator(chunk_size=500):
        successors = OrganisationDocument.objects.filter(
            organisation_id=document.organisation_id,
            kind=document.kind,
            state__in=(DocumentState.ASKED, DocumentState.ACCEPTED),
        ).exclude(pk=document.pk)
        if (
            successors.filter(valid_until=None).exists()
            or successors.filter(valid_until__gt=document.valid_until).exists()
        ):
            continue
        with transaction.atomic():
            _remind(document)
        reminded += 1
    return reminded


def _remind(document: OrganisationDocument) -> None:
    assert document.valid_until is not None
    left = (document.valid_until - today()).days
    stage = min(days for days in REMINDERS_DAYS if left <= days)
    telling.administrators(
        document.organisation_id,
        title=_("A document ends soon"),
        text=wording.said(
            _("%(kind)s of %(organisation)s is valid until %(day)s. Hand in a new one before that."),
            kind=DocumentKind(document.kind).label,
            organisation=wording.name_of(document.organisation),
            day=wording.day(document.valid_until),
        ),
        path=telling.page_of(document.organisation, f"documents/add/?kind={document.kind}"),
        action=_("Hand in a new one"),
        dedupe_key=f"document-ends-{document.pk}-{stage}",
        category="reminder",
    )


def _check(kind: str, issued_on: date | None, valid_until: date | None) -> None:
    if kind not in DocumentKind.values:
        raise Invalid(
            "document_kind_unknown",
            _("“%(value)s” is not one of the choices.") % {"value": kind},
            field="kind",
            remedy=_("Choices are: %(choices)s.") % {"choices": ", ".join(DocumentKind.values)},
        )
    if issued_on is not None and issued_on > today():
        raise Invalid(
            "issued_in_the_future",
            _("The date of issue lies in the future."),
            field="issued_on",
            remedy=_("Take it from the document."),
        )
    if valid_until is not None and (valid_until < today() or (issued_on and valid_until < issued_on)):
        raise Invalid(
            "document_expired",
            _("This document is out of date."),
            field="valid_until",
            remedy=_("Hand in one that is still valid."),
        )


def _document(actor: Actor, document_id: UUID) -> OrganisationDocument:
    """The document, its organisation locked before it, if the actor may see it."""
    found = (
        OrganisationDocument.objects.filter(pk=document_id).values_list("organisation_id", flat=True).first()
    )
    if found is None or not rules.may_see_organisation(actor, found):
        raise NotFound(code="document_not_found")
    locked(found)
    return (
        OrganisationDocument.objects.select_related("organisation")
        .select_for_update(of=("self",))
        .get(pk=document_id)
    )


def _to_decide(actor: Actor, document_id: UUID) -> OrganisationDocument:
    document = _document(actor, document_id)
    if not rules.may_verify(actor):
        raise Forbidden
    return document


def _may_become(document: OrganisationDocument, state: str) -> None:
    if not workflow.may_become(workflow.DOCUMENT, document.state, state):
        raise Conflict(
            "document_decided",
            _("This document has been decided on already."),
            remedy=_("Load the page again to see how it stands."),
        )


def _decide(actor: Actor, document: OrganisationDocument, state: str, reason: str) -> None:
    document.state, document.reason = state, reason
    document.decided_at, document.decided_by_name = clock.now(), actor.name
    document.save()
    _record(actor, document, f"document.{state}")


def _unverify_without_certificate(actor: Actor, organisation: Organisation) -> None:
    certificates = OrganisationDocument.objects.filter(
        organisation=organisation, kind=DocumentKind.BUSINESS_REGISTRATION, state=DocumentState.ACCEPTED
    )
    if organisation.verification_state != VerificationState.VERIFIED or certificates.exists():
        return
    organisation.verification_state, organisation.verified_at = VerificationState.ASKED, None
    organisation.verification_asked_at = clock.now()
    organisation.save()
    audit.record(
        actor=actor,
        action="organisation.verification_asked",
        subject_kind="organisation",
        subject_id=organisation.pk,
        before={"verification_state": VerificationState.VERIFIED},
        after={"verification_state": VerificationState.ASKED},
    )


def _record(actor: Actor, document: OrganisationDocument, action: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="organisation",
        subject_id=document.organisation_id,
        after={
            "document": document.pk,
            "kind": document.kind,
            "name": document.name,
            "sha256": document.sha256,
            "valid_until": document.valid_until,
            **({"reason": document.reason} if document.reason else {}),
        },
    )


__all__ = ["accept_document", "add_document", "refuse_document", "remind_of_expiry", "withdraw_document"]
