"""People: their accounts and details."""

from uuid import UUID

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import notices, selectors
from dure.control.identity.models import Person, PersonalAccessToken
from dure.control.identity.selectors import PersonView
from dure.control.identity.services.names import tidy_email, tidy_language, tidy_name
from dure.control.identity.services.registration import give_way
from dure.control.identity.services.sessions import end_other_sessions


@transaction.atomic
def add_person(
    *, actor: Actor, email: str, name: str, password: str | None = None, language: str = "ko"
) -> PersonView:
    """Add a person. Without a password they get mail with a link to set one."""
    if not actor.has("operator", "administrator"):
        raise Forbidden
    email, language = tidy_email(email), tidy_language(language)
    person = Person(email=email, name=tidy_name(name)[:100], language=language, email_verified_at=clock.now())
    if password is not None:
        try:
            validate_password(password, person)
        except ValidationError as error:
            raise Invalid("password_weak", " ".join(error.messages), field="password") from None
    person.set_password(password)
    give_way(email)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            "person_exists",
            _("Someone is registered as %(email)s already.") % {"email": email},
            field="email",
        ) from None
    # Whoever adds a person vouches for the address; a password is set by a link that is mailed to it.
    EmailAddress.objects.create(user=person, email=email, verified=True, primary=True)
    audit.record(actor=actor, action="person.added", subject_kind="person", subject_id=person.pk)
    if password is None:
        notices.welcome(person)
    return selectors.person_view(person)


@transaction.atomic
def set_password(*, actor: Actor, person_id: UUID, password: str) -> None:
    """Give a person a new password (by an operator; people change their own on their account page)."""
    if not actor.has("operator"):
        raise Forbidden
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise NotFound(code="person_not_found")
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid("password_weak", " ".join(error.messages), field="password") from None
    person.set_password(password)
    person.save(update_fields=["password"])
    # Whoever had the old password may have made tokens with it.
    PersonalAccessToken.objects.filter(person_id=person_id, revoked_at=None).update(revoked_at=clock.now())
    end_other_sessions(actor=actor, person_id=person_id)
    audit.record(actor=actor, action="person.password_set", subject_kind="person", subject_id=person_id)


@transaction.atomic
def update_profile(*, actor: Actor, name: str, language: str) -> PersonView:
    """Change one's own name and language."""
    if actor.person_id is None:
        raise Forbidden
    person = Person.objects.select_for_update().get(pk=actor.person_id)
    before = {"name": person.name, "language": person.language}
    person.name, person.language = tidy_name(name)[:100], tidy_language(language)
    person.save(update_fields=["name", "language"])
    # The trail says what changed and not from what to what: it cannot forget (docs/decisions/0013).
    changed = [field for field, old in before.items() if getattr(person, field) != old]
    audit.record(
        actor=actor,
        action="person.updated",
        subject_kind="person",
        subject_id=person.pk,
        after={"changed": changed},
    )
    return selectors.person_view(person)
