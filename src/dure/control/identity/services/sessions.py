"""Sessions and sign-ins: what is remembered of them, and how one's own sessions are ended.

A session is a row of Django's; `OpenSession` says whose it is and what device holds it.
"""

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, NotFound
from dure.control.identity import notices, privacy
from dure.control.identity.models import OpenSession, Person, SignIn
from dure.control.identity.person_models import SignInOutcome

#: How exact “last used” is; a row is written no more often.
ACTIVITY_EVERY = timedelta(minutes=5)
#: Failed attempts beyond this in an hour are not remembered one by one: a flood must not fill the table.
FAILURES_KEPT_AN_HOUR = 30


def device_digest(device: str) -> str:
    return hashlib.sha256(device.encode()).hexdigest()


@transaction.atomic
def remember_sign_in(*, person_id: UUID, address: str | None, agent: str, device: str) -> str:
    """Somebody signed in. Returns what the browser should keep so that it is known next time.

    A device that this person never signed in from before is told them by mail; their very first is not.
    """
    person = Person.objects.get(pk=person_id)
    kept = device or secrets.token_urlsafe(24)
    digest = device_digest(kept)
    earlier = SignIn.objects.filter(person=person, outcome=SignInOutcome.SIGNED_IN)
    known = (
        not earlier.exists()
        or earlier.filter(device=digest).exists()
        # Sign-ins from before devices were told apart.
        or earlier.filter(device="", agent=agent, address=address).exists()
    )
    SignIn.objects.create(person=person, address=address, agent=agent[:300], device=digest)
    if not known:
        notices.new_device(person, address=address, agent=agent)
    return kept


def remember_failure(
    *, person_id: UUID, address: str | None, agent: str, outcome: str = SignInOutcome.WRONG_PASSWORD
) -> None:
    """Somebody failed to sign in as this person."""
    hour_ago = clock.now() - timedelta(hours=1)
    recent = SignIn.objects.filter(person_id=person_id, at__gt=hour_ago).exclude(
        outcome=SignInOutcome.SIGNED_IN
    )
    if recent.count() < FAILURES_KEPT_AN_HOUR:
        SignIn.objects.create(person_id=person_id, address=address, agent=agent[:300], outcome=outcome)


def remember_use(
    *, person_id: UUID, session_key: str, earlier_key: str | None, address: str | None, agent: str
) -> None:
    """A session is in use, perhaps under a new key (Django renews it when a password changes)."""
    defaults = {"person_id": person_id, "address": address, "agent": agent[:300], "last_used_at": clock.now()}
    if earlier_key and earlier_key != session_key:
        moved = OpenSession.objects.filter(session_key=earlier_key, person_id=person_id)
        if moved.update(session_key=session_key, **defaults):
            return
    OpenSession.objects.update_or_create(session_key=session_key, defaults=defaults)


@transaction.atomic
def end_session(*, actor: Actor, session_id: UUID) -> None:
    """End one of one's own sessions; an operator may end anybody's."""
    rows = OpenSession.objects.select_for_update().filter(pk=session_id)
    if not actor.is_system:
        rows = rows.filter(person_id=actor.person_id) if actor.person_id else rows.none()
    row = rows.first()
    if row is None:
        raise NotFound(code="session_not_found")
    end_sessions([row])
    audit.record(
        actor=actor,
        action="session.ended",
        subject_kind="person",
        subject_id=row.person_id,
        after={"session": row.pk},
    )


@transaction.atomic
def end_other_sessions(*, actor: Actor, keep: str | None = None, person_id: UUID | None = None) -> int:
    """End all of one's sessions but the one with the key `keep`; the software may do so for a `person_id`.

    Returns how many were ended.
    """
    if person_id not in {None, actor.person_id} and not actor.has("operator"):
        raise Forbidden
    whose = person_id or actor.person_id
    if whose is None:
        raise Forbidden(_("There is nobody whose sessions these are."))
    rows = list(
        OpenSession.objects.select_for_update().filter(person_id=whose).exclude(session_key=keep or "")
    )
    end_sessions(rows)
    if rows:
        audit.record(
            actor=actor,
            action="session.others_ended",
            subject_kind="person",
            subject_id=whose,
            after={"sessions": len(rows)},
        )
    return len(rows)


def end_sessions(rows: Collection[OpenSession]) -> None:
    """Sign these browsers out; who does it says so in the trail."""
    Session.objects.filter(session_key__in=[row.session_key for row in rows]).delete()
    OpenSession.objects.filter(pk__in=[row.pk for row in rows]).delete()


def forget_session(*, session_key: str) -> None:
    """Somebody signed out."""
    OpenSession.objects.filter(session_key=session_key).delete()


@transaction.atomic
def forget_old() -> dict[str, int]:
    """Remove sessions that are over and sign-ins older than the privacy notice promises."""
    now = clock.now()
    over = Session.objects.filter(expire_date__lt=now).delete()[0]
    alive = Session.objects.filter(expire_date__gte=now).values("session_key")
    quiet = now - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    rows = OpenSession.objects.filter(last_used_at__lt=now - ACTIVITY_EVERY).exclude(session_key__in=alive)
    gone = rows.delete()[0] + OpenSession.objects.filter(last_used_at__lt=quiet).delete()[0]
    signs = SignIn.objects.filter(at__lt=now - privacy.SIGN_INS_KEPT).delete()[0]
    return {"sessions": over, "open_sessions": gone, "sign_ins": signs}
