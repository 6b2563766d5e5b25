"""REST: organisations by name. Oneself and one's tokens are in `account_api`."""

from datetime import datetime
from uuid import UUID

from ninja import Query, Router, Schema, Status

from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.identity import selectors, services

router = Router(tags=["identity"])


class OrganisationOut(Schema):
    id: UUID
    slug: str
    kind: str
    name_ko: str
    name_en: str
    demo: bool
    active: bool


class OrganisationIn(Schema):
    slug: str
    kind: str
    name_ko: str
    name_en: str | None = None


class MembershipOut(Schema):
    organisation: OrganisationOut
    roles: list[str]
    valid_until: datetime | None


@router.get("/organisations", response={200: list[OrganisationOut], **ERRORS})
@audience("officer", "operator", "auditor")
def list_organisations(
    request: Request,
    kind: str | None = None,
    search: str | None = None,
    limit: int = Query(100, ge=1, le=500),
    offset: int = Query(0, ge=0, le=1_000_000),
) -> object:
    """Organisations by short name."""
    return selectors.organisations(kind=kind, search=search, limit=limit, offset=offset)


@router.post("/organisations", response={201: OrganisationOut, **ERRORS})
@audience("officer", "operator")
def add_organisation(request: Request, body: OrganisationIn) -> object:
    """Add an organisation."""
    view = services.add_organisation(
        actor=actor_of(request), slug=body.slug, kind=body.kind, name_ko=body.name_ko, name_en=body.name_en
    )
    return Status(201, view)


@router.get("/organisations/{slug}", response={200: OrganisationOut, **ERRORS})
@audience("signed_in")
def show_organisation(request: Request, slug: str) -> object:
    """One organisation, by short name or id; others' are not there."""
    return selectors.organisation_for(actor=actor_of(request), slug_or_id=slug)
