"""REST: registration, oneself, one's tokens, sessions and sign-ins."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from allauth.core import ratelimit
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, ErrorSchema, actor_of, audience
from dure.control.identity import account_selectors, passwords, personal_data, selectors, services
from dure.control.identity.api import MembershipOut, OrganisationOut

router = Router(tags=["account"])
LIMITED = {**ERRORS, 429: ErrorSchema}

type Power = Literal["read", "write"]


class RegistrationIn(Schema):
    """`privacy_version` is the version of the privacy notice that the person read and agrees to."""

    email: str
    name: str
    password: str
    language: Literal["ko", "en"] = "ko"
    privacy_version: str


class EmailIn(Schema):
    email: str


class ConfirmationIn(Schema):
    """`key` is the last part of the mailed link's path."""

    key: str
    email: str
    password: str


class RegistrationOut(Schema):
    """The same whether the address was free: what happened is told by mail to its owner."""

    state: Literal["look_into_your_mailbox"] = "look_into_your_mailbox"


class OneselfOut(Schema):
    name: str
    email: str
    language: str
    email_verified_at: datetime | None


class MeOut(Schema):
    name: str
    email: str
    language: str
    acting_for: UUID | None
    roles: list[str]
    scopes: list[str]
    memberships: list[MembershipOut]


class MeIn(Schema):
    name: str | None = None
    language: Literal["ko", "en"] | None = None


class TokenIn(Schema):
    name: str
    expires_at: AwareDatetime | None = None
    scopes: list[Power] = ["read", "write"]


class TokenByPasswordIn(TokenIn):
    """`code` is from the authenticator app, or a recovery code, where the person has a second factor.
    `organisation` is the short name of the one to act for; without it the first of one's own."""

    email: str
    password: str
    code: str | None = None
    organisation: str | None = None


class TokenOut(Schema):
    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    organisation: OrganisationOut | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class IssuedTokenOut(TokenOut):
    secret: str


class SessionOut(Schema):
    id: UUID
    device: str
    address: str | None
    created_at: datetime
    last_used_at: datetime
    here: bool


class SignInOut(Schema):
    at: datetime
    outcome: str
    device: str
    address: str | None


class SessionsEndedOut(Schema):
    ended: int


class PasswordIn(Schema):
    """The person's own password once more, and a code where they have a second factor."""

    password: str
    code: str | None = None


class ErasureOut(Schema):
    id: UUID
    asked_at: datetime
    due_at: datetime


# Registration


@router.post("/registrations", response={202: RegistrationOut, **LIMITED})
@audience("public")
def register(request: Request, body: RegistrationIn) -> object:
    """Register. A mailed link confirms the address; `POST /registrations/confirm` takes its key."""
    _slow_down(request)
    services.register(actor=Actor.anonymous(), **body.dict())
    return Status(202, RegistrationOut())


@router.post("/registrations/resend", response={202: RegistrationOut, **LIMITED})
@audience("public")
def resend(request: Request, body: EmailIn) -> object:
    """Mail the link once more."""
    _slow_down(request)
    services.send_confirmation(email=body.email)
    return Status(202, RegistrationOut())


@router.post("/registrations/confirm", response={200: OneselfOut, **LIMITED})
@audience("public")
def confirm(request: Request, body: ConfirmationIn) -> object:
    """Confirm the address, with the mailed key and the password of the registration."""
    person = passwords.check(request, email=body.email, password=body.password)
    return services.confirm_registration(key=body.key, person_id=person.id)


def _slow_down(request: Request) -> None:
    if not ratelimit.consume(request, action="signup"):
        raise passwords.too_many()


# Oneself


@router.get("/me", response={200: MeOut, **ERRORS})
@audience("signed_in")
def me(request: Request) -> object:
    """Who calls, for which organisation, with what roles, and what the token allows."""
    return _me(actor_of(request))


@router.patch("/me", response={200: MeOut, **ERRORS})
@audience("signed_in")
def change_me(request: Request, body: MeIn) -> object:
    """Change one's name or language; what is left out stays."""
    actor = actor_of(request)
    known = selectors.person(_id(actor))
    services.update_profile(
        actor=actor,
        name=known.name if body.name is None else body.name,
        language=body.language or known.language,
    )
    return _me(actor)


def _id(actor: Actor) -> UUID:
    assert actor.person_id is not None
    return actor.person_id


def _me(actor: Actor) -> dict[str, object]:
    person = selectors.person(_id(actor))
    return {
        "name": person.name,
        "email": person.email,
        "language": person.language,
        "acting_for": actor.organisation_id,
        "roles": sorted(actor.roles),
        "scopes": sorted(actor.scopes) if actor.scopes is not None else ["read", "write"],
        "memberships": selectors.memberships_of(person.id),
    }


# Tokens


@router.get("/tokens", response={200: list[TokenOut], **ERRORS})
@audience("signed_in")
def list_tokens(request: Request) -> object:
    """One's own personal access tokens."""
    return selectors.tokens_of(_id(actor_of(request)))


@router.post("/tokens", response={201: IssuedTokenOut, **ERRORS})
@audience("signed_in")
def issue_token(request: Request, body: TokenIn) -> object:
    """A new token; `secret` is shown this once. A token cannot make tokens: a lost one must end with its date."""
    return _issue(actor_of(request), body)


@router.post("/tokens/with-password", response={201: IssuedTokenOut, **LIMITED})
@audience("public")
def issue_token_with_password(request: Request, body: TokenByPasswordIn) -> object:
    """A new token for who gives address, password and, where one is set up, a code; without the portal."""
    person = passwords.check(request, email=body.email, password=body.password, code=body.code)
    if person.email_verified_at is None:
        raise passwords.unverified()
    organisation_id = None
    if body.organisation is not None:
        organisation_id = passwords.own_organisation(person.id, body.organisation)
    return _issue(selectors.actor_for(person_id=person.id, organisation_id=organisation_id), body)


def _issue(actor: Actor, body: TokenIn) -> Status[dict[str, object]]:
    view, secret = services.issue_token(
        actor=actor, name=body.name, expires_at=body.expires_at, scopes=body.scopes
    )
    return Status(201, {**{name: getattr(view, name) for name in TokenOut.model_fields}, "secret": secret})


@router.delete("/tokens/{token_id}", response={200: TokenOut, **ERRORS})
@audience("signed_in")
def revoke_token(request: Request, token_id: UUID) -> object:
    """Revoke a token; doing so again changes nothing."""
    return services.revoke_token(actor=actor_of(request), token_id=token_id)


# Sessions


@router.get("/me/sessions", response={200: list[SessionOut], **ERRORS})
@audience("signed_in")
def list_sessions(request: Request) -> object:
    """The browsers that are signed in as oneself, the latest used first."""
    return account_selectors.sessions_of(_id(actor_of(request)), here=_here(request))


@router.delete("/me/sessions", response={200: SessionsEndedOut, **ERRORS})
@audience("signed_in")
def end_other_sessions(request: Request) -> object:
    """Sign out every browser but the one that asks."""
    return {"ended": services.end_other_sessions(actor=actor_of(request), keep=_here(request))}


@router.delete("/me/sessions/{session_id}", response={200: SessionsEndedOut, **ERRORS})
@audience("signed_in")
def end_session(request: Request, session_id: UUID) -> object:
    """Sign one browser out."""
    services.end_session(actor=actor_of(request), session_id=session_id)
    return {"ended": 1}


@router.get("/me/sign-ins", response={200: list[SignInOut], **ERRORS})
@audience("signed_in")
def list_sign_ins(
    request: Request, limit: int = Query(50, ge=1, le=500), offset: int = Query(0, ge=0, le=1_000_000)
) -> object:
    """Sign-ins and failed attempts, newest first."""
    return account_selectors.sign_ins_of(_id(actor_of(request)), limit=limit, offset=offset)


def _here(request: Request) -> str | None:
    """The asking browser's session; a token has none."""
    return None if "Authorization" in request.headers else request.session.session_key


# One's data


@router.get("/me/data", response={200: dict[str, Any], **ERRORS})
@audience("signed_in")
def my_data(request: Request) -> object:
    """Everything that is kept about oneself."""
    return personal_data.export(_id(actor_of(request)))


@router.delete("/me/memberships/{slug}", response={200: SessionsEndedOut, **ERRORS})
@audience("signed_in")
def leave(request: Request, slug: str) -> object:
    """Leave an organisation; its last administrator names another first."""
    actor = actor_of(request)
    organisation_id = passwords.own_organisation(_id(actor), slug)
    services.end_membership(actor=actor, person_id=_id(actor), organisation_id=organisation_id)
    return {"ended": 1}


@router.get("/me/erasure", response={200: ErasureOut, **ERRORS})
@audience("signed_in")
def show_erasure(request: Request) -> object:
    """The wish to be erased that waits for its day; 404 where there is none."""
    found = account_selectors.erasure_of(_id(actor_of(request)))
    if found is None:
        raise NotFound(code="erasure_not_found")
    return found


@router.post("/me/erasure", response={202: ErasureOut, **LIMITED})
@audience("signed_in")
def ask_erasure(request: Request, body: PasswordIn) -> object:
    """Ask to be erased; the password is needed, so that a lost token cannot do it. Asking again changes nothing."""
    actor = actor_of(request)
    person = selectors.person(_id(actor))
    passwords.check(request, email=person.email, password=body.password, code=body.code)
    return Status(202, services.ask_erasure(actor=actor))


@router.delete("/me/erasure", response={200: SessionsEndedOut, **ERRORS})
@audience("signed_in")
def withdraw_erasure(request: Request) -> object:
    """Take the wish back, while it waits."""
    services.withdraw_erasure(actor=actor_of(request))
    return {"ended": 1}
