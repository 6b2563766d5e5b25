"""Lists of organisations and of what waits for an officer, a page at a time; what an organisation should do next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Min, Q, QuerySet

from dure.control.foundation import audit
from dure.control.foundation.models import AuditEvent
from dure.control.identity import facts
from dure.control.identity.models import Organisation, OrganisationDocument, OwnershipLink
from dure.control.identity.organisation_selectors import (
    DocumentView,
    LinkView,
    OrganisationProfile,
    document_view,
    link_view,
    missing_facts,
    profile_view,
)

PAGE_SIZE = 20
_SHOWN_BESIDE = 20
SORTS: dict[str, tuple[Any, ...]] = {
    "name": ("name_ko", "id"),
    "newest": ("-created_at", "-id"),
    "oldest": ("created_at", "id"),
    "founded": (F("founded_on").desc(nulls_last=True), "id"),
    "asked": (F("verification_asked_at").asc(nulls_last=True), "id"),
}
#: Which part of the profile or of the documents is wanted next, or what is waited for.
Step = Literal["profile", "certificate", "ask", "wait", "repair", "done"]


@dataclass(frozen=True, slots=True)
class Filters:
    search: str = ""
    kind: str = ""
    state: str = ""
    region: str = ""
    sort: str = "name"

    @property
    def narrowed(self) -> bool:
        return bool(self.search or self.kind or self.state or self.region)


@dataclass(frozen=True, slots=True)
class WaitingDocument:
    document: DocumentView
    organisation: OrganisationProfile


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for an officer: organisations, documents, ownership links; and since when the oldest of each."""

    organisations: int
    documents: int
    links: int
    organisations_since: datetime | None = None
    documents_since: datetime | None = None
    links_since: datetime | None = None

    @property
    def total(self) -> int:
        return self.organisations + self.documents + self.links


def organisation_page(filters: Filters, *, page: int = 1) -> Page[OrganisationProfile]:
    """Organisations that match, by name unless sorted otherwise."""
    found: Page[Any] = Paginator(_matching(filters), PAGE_SIZE).get_page(page)
    found.object_list = [profile_view(row) for row in found.object_list]
    return found


def every_organisation(filters: Filters) -> Iterator[OrganisationProfile]:
    """The same, all of them, for an export."""
    return (profile_view(row) for row in _matching(filters).iterator(chunk_size=1_000))


def _matching(filters: Filters) -> QuerySet[Organisation]:
    rows = Organisation.objects.order_by(*SORTS.get(filters.sort, SORTS["name"]))
    if search := "".join(sign for sign in filters.search if sign.isprintable()).strip():
        digits = "".join(sign for sign in search if sign.isdecimal() and sign.isascii())
        by_number = Q(registration_number__startswith=digits) if len(digits) >= 3 else Q()
        rows = rows.filter(
            Q(slug__icontains=search)
            | Q(name_ko__icontains=search)
            | Q(name_en__icontains=search)
            | by_number
        )
    for name, value in (
        ("kind", filters.kind),
        ("verification_state", filters.state),
        ("region", filters.region),
    ):
        if value:
            rows = rows.filter(**{name: value})
    return rows


def verification_queue(*, page: int = 1) -> Page[OrganisationProfile]:
    """Organisations that wait to be verified, who has waited longest first."""
    rows = Organisation.objects.filter(verification_state=facts.VerificationState.ASKED, active=True)
    found: Page[Any] = Paginator(rows.order_by("verification_asked_at", "id"), PAGE_SIZE).get_page(page)
    found.object_list = [profile_view(row) for row in found.object_list]
    return found


def waiting_documents(*, limit: int = _SHOWN_BESIDE) -> list[WaitingDocument]:
    """Documents that wait for an officer, oldest first; a certificate that is decided on with its organisation is
    left out."""
    rows = (
        _waiting_documents()
        .select_related("organisation", "uploaded_by")
        .order_by("uploaded_at", "id")[:limit]
    )
    return [WaitingDocument(document_view(row), profile_view(row.organisation)) for row in rows]


def waiting_links(*, limit: int = _SHOWN_BESIDE) -> list[LinkView]:
    """Ownership links that are not confirmed, or of which a side asks for the end; oldest first."""
    return [link_view(row) for row in _waiting_links().order_by("declared_at", "id")[:limit]]


def waiting() -> Waiting:
    asked = Organisation.objects.filter(verification_state=facts.VerificationState.ASKED, active=True)
    organisations = asked.aggregate(count=Count("pk"), since=Min("verification_asked_at"))
    documents = _waiting_documents().aggregate(count=Count("pk"), since=Min("uploaded_at"))
    links = _waiting_links().aggregate(count=Count("pk"), since=Min("declared_at"))
    return Waiting(
        organisations=organisations["count"],
        documents=documents["count"],
        links=links["count"],
        organisations_since=organisations["since"],
        documents_since=documents["since"],
        links_since=links["since"],
    )


def _waiting_documents() -> QuerySet[OrganisationDocument]:
    decided_with_organisation = Q(
        kind=facts.DocumentKind.BUSINESS_REGISTRATION,
        organisation__verification_state=facts.VerificationState.ASKED,
    )
    rows = OrganisationDocument.objects.filter(state=facts.DocumentState.ASKED, organisation__active=True)
    return rows.exclude(decided_with_organisation)


def _waiting_links() -> QuerySet[OwnershipLink]:
    return OwnershipLink.objects.filter(
        Q(state=facts.LinkState.DECLARED) | Q(state=facts.LinkState.CONFIRMED, end_asked_on__isnull=False)
    )


def links_of(organisation_id: UUID) -> list[LinkView]:
    """Links in which the organisation is a side, latest first; withdrawn ones are left out."""
    rows = OwnershipLink.objects.filter(Q(owner=organisation_id) | Q(owned=organisation_id))
    return [
        link_view(row)
        for row in rows.exclude(state=facts.LinkState.WITHDRAWN).order_by("-declared_at", "-id")
    ]


def next_step(profile: OrganisationProfile, documents: list[DocumentView]) -> Step:
    """The one thing that stands between the organisation and its verification."""
    if profile.verification_state == facts.VerificationState.VERIFIED:
        return "done"
    if profile.verification_state == facts.VerificationState.ASKED:
        return "wait"
    if missing_facts(profile):
        return "profile"
    shown = any(
        document.kind == facts.DocumentKind.BUSINESS_REGISTRATION
        and document.state in {"asked", "accepted"}
        and document.in_date
        for document in documents
    )
    if not shown:
        return "certificate"
    return "repair" if profile.verification_state == facts.VerificationState.REFUSED else "ask"


def timeline(organisation_id: UUID, *, limit: int = 30) -> list[AuditEvent]:
    """What happened to the organisation, latest first."""
    return audit.events_for("organisation", organisation_id, limit=limit)


__all__ = [
    "SORTS",
    "Filters",
    "Waiting",
    "WaitingDocument",
    "every_organisation",
    "links_of",
    "next_step",
    "organisation_page",
    "timeline",
    "verification_queue",
    "waiting",
    "waiting_documents",
    "waiting_links",
]
