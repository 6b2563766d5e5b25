"""Questions about one's own account: sessions, sign-ins, ways to sign in, a wish to be erased."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session

from dure.control.foundation import clock
from dure.control.identity.devices import device_name
from dure.control.identity.models import ErasureRequest, OpenSession, Person, SignIn
from dure.control.identity.person_models import ErasureState, SignInOutcome

__all__ = [
    "ErasureView",
    "PasskeyView",
    "SessionView",
    "SignInView",
    "WaysView",
    "erasure_of",
    "sessions_of",
    "sign_ins_of",
    "ways_to_sign_in",
]


@dataclass(frozen=True, slots=True)
class SessionView:
    """A browser that is signed in; `here` marks the one that asks."""

    id: UUID
    device: str
    address: str | None
    created_at: datetime
    last_used_at: datetime
    here: bool


@dataclass(frozen=True, slots=True)
class SignInView:
    at: datetime
    address: str | None
    agent: str
    outcome: str

    @property
    def device(self) -> str:
        return device_name(self.agent)

    @property
    def succeeded(self) -> bool:
        return self.outcome == SignInOutcome.SIGNED_IN

    @property
    def outcome_name(self) -> str:
        return str(SignInOutcome(self.outcome).label)


@dataclass(frozen=True, slots=True)
class ErasureView:
    id: UUID
    asked_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class PasskeyView:
    id: int
    name: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class WaysView:
    """How a person can prove who they are. `services` are the names of connected sign-in services."""

    password: bool
    app: bool
    passkeys: tuple[PasskeyView, ...]
    recovery_codes_left: int | None
    services: tuple[str, ...]

    @property
    def second_factor(self) -> bool:
        return self.app or bool(self.passkeys)


def ways_to_sign_in(person_id: UUID) -> WaysView:
    person = Person.objects.get(pk=person_id)
    rows = list(Authenticator.objects.filter(user=person).order_by("pk"))
    codes = [row for row in rows if row.type == Authenticator.Type.RECOVERY_CODES]
    return WaysView(
        password=person.has_usable_password(),
        app=any(row.type == Authenticator.Type.TOTP for row in rows),
        passkeys=tuple(
            PasskeyView(
                id=row.pk, name=row.wrap().name, added_at=row.created_at, last_used_at=row.last_used_at
            )
            for row in rows
            if row.type == Authenticator.Type.WEBAUTHN
        ),
        recovery_codes_left=len(codes[0].wrap().get_unused_codes()) if codes else None,
        services=tuple(SocialAccount.objects.filter(user=person).values_list("provider", flat=True)),
    )


def sessions_of(person_id: UUID, *, here: str | None = None) -> list[SessionView]:
    """A person's open sessions, the latest used first; `here` is the session key of the one that asks."""
    rows = list(OpenSession.objects.filter(person_id=person_id).order_by("-last_used_at")[:200])
    alive = set(
        Session.objects.filter(
            session_key__in=[row.session_key for row in rows], expire_date__gt=clock.now()
        ).values_list("session_key", flat=True)
    )
    return [
        SessionView(
            id=row.pk,
            device=device_name(row.agent),
            address=row.address,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            here=row.session_key == here,
        )
        for row in rows
        if row.session_key in alive
    ]


def sign_ins_of(person_id: UUID, *, limit: int = 20, offset: int = 0) -> list[SignInView]:
    """Sign-ins and attempts that failed, newest first."""
    rows = SignIn.objects.filter(person_id=person_id).order_by("-at")[offset : offset + limit]
    return [SignInView(at=row.at, address=row.address, agent=row.agent, outcome=row.outcome) for row in rows]


def erasure_of(person_id: UUID) -> ErasureView | None:
    """The person's wish to be erased that waits for its day."""
    row = ErasureRequest.objects.filter(person_id=person_id, state=ErasureState.WAITING).first()
    return ErasureView(id=row.pk, asked_at=row.asked_at, due_at=row.due_at) if row else None
