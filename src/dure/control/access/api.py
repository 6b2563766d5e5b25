"""REST: the limits of an award, and its keys."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Field, Router, Schema, Status

from dure.contracts.directory import HIGHEST_LIMIT
from dure.control.access import selectors, services
from dure.control.access.services import IssuedKey, KeyLimits
from dure.control.foundation import clock
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience

router = Router(tags=["access"])


class KeyOut(Schema):
    """`state` is active, replaced (its successor works already), expired or revoked."""

    id: UUID
    award_id: UUID
    name: str
    prefix: str
    state: str
    created_at: datetime
    created_by_name: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoke_reason: str
    replaces_id: UUID | None
    replaced_by_id: UUID | None
    valid_from: datetime | None
    models: list[str]
    networks: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None


class IssuedKeyOut(KeyOut):
    """`secret` is shown this once."""

    secret: str


class KeyLimitsIn(Schema):
    """null and an empty list mean no limit; a field that is left out stays as it is. `networks` are CIDR."""

    models: list[str] = Field(default_factory=list, max_length=200)
    networks: list[str] = Field(default_factory=list, max_length=50)
    requests_per_minute: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    tokens_per_minute: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    concurrency: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)


class LimitsIn(KeyLimitsIn):
    """`max_tokens_ceiling` is the longest answer, in tokens; `endpoints` are named like `chat.completions`."""

    max_tokens_ceiling: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    endpoints: list[str] = Field(default_factory=list, max_length=50)


class LimitsOut(Schema):
    """null and an empty list mean no limit. While it is `held`, the award waits for its own contribution."""

    award_id: UUID
    models: list[str]
    endpoints: list[str]
    held: bool
    networks: list[str]
    max_tokens_ceiling: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None


class KeyIn(Schema):
    name: str = ""
    valid_from: datetime | None = None
    expires_at: datetime | None = None
    limits: KeyLimitsIn | None = None


class RevokeIn(Schema):
    reason: str = Field("", max_length=300)


class RotateIn(Schema):
    """The old key works on for `overlap_seconds`."""

    overlap_seconds: int = Field(86_400, ge=0, le=2_592_000)
    expires_at: datetime | None = None


@router.get("/awards/{award_id}/limits", response={200: LimitsOut, **ERRORS})
@audience("signed_in")
def show_limits(request: Request, award_id: UUID) -> object:
    """What an award allows."""
    return selectors.entitlement(actor=actor_of(request), award_id=award_id)


@router.patch("/awards/{award_id}/limits", response={200: LimitsOut, **ERRORS})
@audience(*OFFICERS)
def change_limits(request: Request, award_id: UUID, body: LimitsIn) -> object:
    """Set those limits of an award that are given; gateways know within a second."""
    changes = body.model_dump(exclude_unset=True)
    view, _changed = services.change_limits(actor=actor_of(request), award_id=award_id, changes=changes)
    return view


@router.patch("/keys/{key_id}/limits", response={200: KeyOut, **ERRORS})
@audience("administrator", "developer")
def change_key_limits(request: Request, key_id: UUID, body: KeyLimitsIn) -> object:
    """Set those limits of a key that are given. They hold beside its award's."""
    changes = body.model_dump(exclude_unset=True)
    view, _changed = services.change_key_limits(actor=actor_of(request), key_id=key_id, changes=changes)
    return view


@router.get("/awards/{award_id}/keys", response={200: list[KeyOut], **ERRORS})
@audience("signed_in")
def list_keys(request: Request, award_id: UUID, working_only: bool = False) -> object:
    """An award's keys, newest first."""
    return selectors.keys(actor=actor_of(request), award_id=award_id, working_only=working_only)


@router.post("/awards/{award_id}/keys", response={201: IssuedKeyOut, **ERRORS})
@audience("administrator", "developer")
def issue_key(request: Request, award_id: UUID, body: KeyIn) -> object:
    """A new key; `secret` is shown this once."""
    issued = services.issue_key(
        actor=actor_of(request),
        award_id=award_id,
        name=body.name,
        valid_from=_aware(body.valid_from),
        expires_at=_aware(body.expires_at),
        limits=KeyLimits(**{name: _frozen(value) for name, value in body.limits.model_dump().items()})
        if body.limits
        else None,
    )
    return Status(201, _issued(issued))


@router.post("/keys/{key_id}/revoke", response={200: KeyOut, **ERRORS})
@audience("administrator", "developer", *OFFICERS, "operator")
def revoke_key(request: Request, key_id: UUID, body: RevokeIn) -> object:
    """Stop a key for good; doing so again changes nothing."""
    view, _changed = services.revoke_key(actor=actor_of(request), key_id=key_id, reason=body.reason)
    return view


@router.post("/keys/{key_id}/rotate", response={201: IssuedKeyOut, **ERRORS})
@audience("administrator", "developer")
def rotate_key(request: Request, key_id: UUID, body: RotateIn) -> object:
    """A successor for a key, which works on for a while; `secret` is shown this once."""
    issued = services.rotate_key(
        actor=actor_of(request),
        key_id=key_id,
        overlap=timedelta(seconds=body.overlap_seconds),
        expires_at=_aware(body.expires_at),
    )
    return Status(201, _issued(issued))


def _frozen(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _aware(moment: datetime | None) -> datetime | None:
    """Seoul's time where no offset is given."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=clock.SEOUL)


def _issued(issued: IssuedKey) -> dict[str, object]:
    return {name: getattr(issued.key, name) for name in KeyOut.model_fields} | {"secret": issued.secret}
