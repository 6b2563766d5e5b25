"""REST: organisations, oneself, one's tokens."""

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime

from dure.control.foundation.errors import Forbidden
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


class MeOut(Schema):
    name: str
    acting_for: UUID | None
    roles: list[str]
    memberships: list[MembershipOut]


class TokenIn(Schema):
    name: str
    expires_at: AwareDatetime | None = None


class TokenOut(Schema):
    id: UUID
    name: str
    prefix: str
    organisation: OrganisationOut | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class IssuedTokenOut(TokenOut):
    secret: str


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


@router.get("/me", response={200: MeOut, **ERRORS})
@audience("signed_in")
def me(request: Request) -> object:
    """Who calls, for which organisation, with what roles."""
    actor = actor_of(request)
    assert actor.person_id is not None
    return {
        "name": actor.name,
        "acting_for": actor.organisation_id,
        "roles": sorted(actor.roles),
        "memberships": selectors.memberships_of(actor.person_id),
    }


@router.get("/tokens", response={200: list[TokenOut], **ERRORS})
@audience("signed_in")
def list_tokens(request: Request) -> object:
    """One's own personal access tokens."""
    actor = actor_of(request)
    assert actor.person_id is not None
    return selectors.tokens_of(actor.person_id)


@router.post("/tokens", response={201: IssuedTokenOut, **ERRORS})
@audience("signed_in")
def issue_token(request: Request, body: TokenIn) -> object:
    """A new token; `secret` is shown this once. A token cannot make tokens: a lost one must end with its date."""
    if "Authorization" in request.headers:
        raise Forbidden(_("A token cannot issue tokens; sign in to the portal."), code="session_required")
    view, secret = services.issue_token(actor=actor_of(request), name=body.name, expires_at=body.expires_at)
    return Status(201, {**{name: getattr(view, name) for name in TokenOut.model_fields}, "secret": secret})


@router.delete("/tokens/{token_id}", response={200: TokenOut, **ERRORS})
@audience("signed_in")
def revoke_token(request: Request, token_id: UUID) -> object:
    """Revoke a token; doing so again changes nothing."""
    return services.revoke_token(actor=actor_of(request), token_id=token_id)
