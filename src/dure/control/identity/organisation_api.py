"""REST: founding and verifying organisations, what they show, and how they are connected."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from ninja import File, Form, Query, Router, Schema, Status
from ninja.files import UploadedFile

from dure.control.foundation import files
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.identity import selectors, services

router = Router(tags=["organisations"])


class ProfileOut(Schema):
    """`verification_state` is unverified, asked, verified or refused; `registration_number` has ten digits."""

    id: UUID
    slug: str
    kind: str
    name_ko: str
    name_en: str
    registration_number: str | None
    size_class: str | None
    founded_on: date | None
    region: str | None
    employees: int | None
    website: str
    verification_state: str
    verification_asked_at: datetime | None
    verification_reason: str
    verified_at: datetime | None
    demo: bool
    active: bool


class ProfilesOut(Schema):
    items: list[ProfileOut]
    page: int
    pages: int
    total: int


class FoundIn(Schema):
    """`region` is ISO 3166-2:KR, such as KR-11. Without `slug` one is made of the name."""

    registration_number: str
    name_ko: str
    name_en: str | None = None
    kind: str
    size_class: str | None = None
    founded_on: date | None = None
    region: str | None = None
    employees: int | None = None
    website: str = ""
    slug: str | None = None


class ProfileIn(Schema):
    """What is left out stays as it is."""

    registration_number: str | None = None
    name_ko: str | None = None
    name_en: str | None = None
    kind: str | None = None
    size_class: str | None = None
    founded_on: date | None = None
    region: str | None = None
    employees: int | None = None
    website: str | None = None


class OrganisationReasonIn(Schema):
    reason: str


class OptionalReasonIn(Schema):
    reason: str = ""


class OrganisationDocumentIn(Schema):
    kind: str
    issued_on: date | None = None
    valid_until: date | None = None


class DocumentOut(Schema):
    """`file` is the SHA-256 of the content."""

    id: UUID
    kind: str
    state: str
    file: str
    name: str
    size: int
    media_type: str
    issued_on: date | None
    valid_until: date | None
    uploaded_at: datetime
    decided_at: datetime | None
    reason: str


class LinkIn(Schema):
    """`other_is` says which side the other is; `share_bp` is in basis points and only for a share."""

    other_is: Literal["owner", "owned"]
    other_name: str
    other_number: str | None = None
    kind: Literal["share", "control"] = "share"
    share_bp: int | None = None
    valid_from: date | None = None
    valid_until: date | None = None


class LinkOut(Schema):
    id: UUID
    owner_name: str
    owner_number: str | None
    owned_name: str
    owned_number: str | None
    kind: str
    share_bp: int | None
    valid_from: date
    valid_until: date | None
    end_asked_on: date | None
    state: str
    reason: str


class LastDayIn(Schema):
    last_day: date
    reason: str = ""


class GroupOut(Schema):
    """How many organisations are one group; who they are is shown to the platform's staff."""

    size: int
    organisations: list[UUID]


class VerificationsWaitingOut(Schema):
    organisations: int
    documents: int
    links: int


def organisation_id_of(request: Request, organisation: str) -> UUID:
    """The organisation of the address, by short name or id, if it is there for the caller."""
    return selectors.organisation_for(actor=actor_of(request), slug_or_id=organisation).id


@router.post("/me/organisations", response={201: ProfileOut, **ERRORS})
@audience("signed_in")
def found_organisation(request: Request, body: FoundIn) -> object:
    """Found an organisation and become its administrator. Act for it with a token made for it."""
    return Status(201, services.found_organisation(actor=actor_of(request), **body.dict()))


@router.get("/organisation-profiles", response={200: ProfilesOut, **ERRORS})
@audience("officer", "operator", "auditor")
def list_profiles(
    request: Request,
    search: str = "",
    kind: str = "",
    state: str = "",
    region: str = "",
    sort: Literal["name", "newest", "oldest", "founded", "asked"] = "name",
    page: int = Query(1, ge=1, le=1_000_000),
) -> object:
    """Organisations with all that they say about themselves, 20 a page."""
    filters = selectors.Filters(search=search[:100], kind=kind, state=state, region=region, sort=sort)
    found = selectors.organisation_page(filters, page=page)
    return {
        "items": found.object_list,
        "page": found.number,
        "pages": found.paginator.num_pages,
        "total": found.paginator.count,
    }


@router.get("/verifications", response={200: ProfilesOut, **ERRORS})
@audience("officer", "auditor")
def list_verifications(request: Request, page: int = Query(1, ge=1, le=1_000_000)) -> object:
    """Organisations that wait to be verified, who has waited longest first."""
    found = selectors.verification_queue(page=page)
    return {
        "items": found.object_list,
        "page": found.number,
        "pages": found.paginator.num_pages,
        "total": found.paginator.count,
    }


@router.get("/verifications/waiting", response={200: VerificationsWaitingOut, **ERRORS})
@audience("officer", "auditor")
def count_waiting(request: Request) -> object:
    """How much waits for an officer."""
    return selectors.waiting()


@router.get("/organisations/{organisation}/profile", response={200: ProfileOut, **ERRORS})
@audience("signed_in")
def show_profile(request: Request, organisation: str) -> object:
    """All that an organisation says about itself; others' are not there."""
    return selectors.profile(organisation_id_of(request, organisation))


@router.patch("/organisations/{organisation}/profile", response={200: ProfileOut, **ERRORS})
@audience("signed_in")
def change_profile(request: Request, organisation: str, body: ProfileIn) -> object:
    """Change it. A change of number, kind, size class or foundation date is verified anew."""
    changes: dict[str, Any] = body.dict(exclude_unset=True)
    return services.change_profile(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation), **changes
    )


@router.post("/organisations/{organisation}/verification", response={200: ProfileOut, **ERRORS})
@audience("signed_in")
def ask_verification(request: Request, organisation: str) -> object:
    """Ask the officers to verify the organisation."""
    return services.ask_verification(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation)
    )


@router.post("/organisations/{organisation}/verification/accept", response={200: ProfileOut, **ERRORS})
@audience("officer")
def verify_organisation(request: Request, organisation: str, body: OptionalReasonIn) -> object:
    """Verify it; a business registration certificate that waits is accepted with it."""
    return services.verify_organisation(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation), reason=body.reason
    )


@router.post("/organisations/{organisation}/verification/refuse", response={200: ProfileOut, **ERRORS})
@audience("officer")
def refuse_verification(request: Request, organisation: str, body: OrganisationReasonIn) -> object:
    """Refuse, with a reason that its administrators are told."""
    return services.refuse_verification(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation), reason=body.reason
    )


# Documents


@router.get("/organisations/{organisation}/documents", response={200: list[DocumentOut], **ERRORS})
@audience("signed_in")
def list_documents(request: Request, organisation: str) -> object:
    """Documents, latest first."""
    return selectors.documents(organisation_id_of(request, organisation))


@router.post("/organisations/{organisation}/documents", response={201: DocumentOut, **ERRORS})
@audience("signed_in")
def add_document(
    request: Request, organisation: str, body: Form[OrganisationDocumentIn], file: File[UploadedFile]
) -> object:
    """Hand in a certificate, as multipart/form-data; its type is found by its content."""
    view = services.add_document(
        actor=actor_of(request),
        organisation_id=organisation_id_of(request, organisation),
        stream=file.file,  # type: ignore[arg-type]
        name=file.name or "",
        **body.dict(),
    )
    return Status(201, view)


@router.get("/organisations/{organisation}/documents/{document_id}/file", response={200: None, **ERRORS})
@audience("signed_in")
def document_file(request: Request, organisation: str, document_id: UUID) -> object:
    """The file itself."""
    found = selectors.document(organisation_id_of(request, organisation), document_id)
    return files.response(found.file, found.name)


@router.delete("/organisations/{organisation}/documents/{document_id}", response={200: DocumentOut, **ERRORS})
@audience("signed_in")
def withdraw_document(request: Request, organisation: str, document_id: UUID) -> object:
    """Take back a document that no officer has decided on."""
    selectors.organisation_for(actor=actor_of(request), slug_or_id=organisation)
    return services.withdraw_document(actor=actor_of(request), document_id=document_id)


@router.post(
    "/organisations/{organisation}/documents/{document_id}/accept", response={200: DocumentOut, **ERRORS}
)
@audience("officer")
def accept_document(request: Request, organisation: str, document_id: UUID) -> object:
    """Find that a document is what it says."""
    selectors.document(organisation_id_of(request, organisation), document_id)
    return services.accept_document(actor=actor_of(request), document_id=document_id)


@router.post(
    "/organisations/{organisation}/documents/{document_id}/refuse", response={200: DocumentOut, **ERRORS}
)
@audience("officer")
def refuse_document(
    request: Request, organisation: str, document_id: UUID, body: OrganisationReasonIn
) -> object:
    """Find that it is not, with a reason."""
    selectors.document(organisation_id_of(request, organisation), document_id)
    return services.refuse_document(actor=actor_of(request), document_id=document_id, reason=body.reason)


# Ownership


@router.get("/organisations/{organisation}/group", response={200: GroupOut, **ERRORS})
@audience("signed_in")
def show_group(request: Request, organisation: str) -> object:
    """The ownership group, as of today."""
    members = selectors.ownership_group(organisation_id_of(request, organisation))
    return {"size": len(members), "organisations": sorted(members) if actor_of(request).is_platform else []}


@router.get("/organisations/{organisation}/ownership-links", response={200: list[LinkOut], **ERRORS})
@audience("signed_in")
def list_links(request: Request, organisation: str) -> object:
    """Connections by ownership, latest first."""
    return selectors.links_of(organisation_id_of(request, organisation))


@router.post("/organisations/{organisation}/ownership-links", response={201: LinkOut, **ERRORS})
@audience("signed_in")
def declare_link(request: Request, organisation: str, body: LinkIn) -> object:
    """Declare who owns or controls whom; the other side or an officer confirms it."""
    view = services.declare_link(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation), **body.dict()
    )
    return Status(201, view)


@router.post("/ownership-links/{link_id}/confirm", response={200: LinkOut, **ERRORS})
@audience("signed_in")
def confirm_link(request: Request, link_id: UUID) -> object:
    """Confirm what the other side declared."""
    return services.confirm_link(actor=actor_of(request), link_id=link_id)


@router.post("/ownership-links/{link_id}/refuse", response={200: LinkOut, **ERRORS})
@audience("signed_in")
def refuse_link(request: Request, link_id: UUID, body: OrganisationReasonIn) -> object:
    """Refuse it, with a reason."""
    return services.refuse_link(actor=actor_of(request), link_id=link_id, reason=body.reason)


@router.delete("/ownership-links/{link_id}", response={200: LinkOut, **ERRORS})
@audience("signed_in")
def withdraw_link(request: Request, link_id: UUID) -> object:
    """Take back what one's own side declared and nobody has confirmed."""
    return services.withdraw_link(actor=actor_of(request), link_id=link_id)


@router.post("/ownership-links/{link_id}/ask-end", response={200: LinkOut, **ERRORS})
@audience("signed_in")
def ask_link_end(request: Request, link_id: UUID, body: LastDayIn) -> object:
    """Report that a confirmed connection ends; an officer sets the day."""
    return services.ask_link_end(actor=actor_of(request), link_id=link_id, last_day=body.last_day)


@router.post("/ownership-links/{link_id}/end", response={200: LinkOut, **ERRORS})
@audience("officer")
def end_link(request: Request, link_id: UUID, body: LastDayIn) -> object:
    """Set the last day of a confirmed connection."""
    return services.end_link(
        actor=actor_of(request), link_id=link_id, last_day=body.last_day, reason=body.reason
    )
