"""People: their accounts and details."""

from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import notices, selectors
from dure.control.identity.models import Person, PersonalAccessToken
from dure.control.identity.selectors import PersonView
from dure.control.identity.services.names import tidy_name


@transaction.atomic
def add_person(
    *, actor: Actor, email: str, name: str, password: str | None = None, language: str = "ko"
) -> PersonView:
    """Add a person. Without a password they get mail with a link to set one."""
    if not actor.has("operator", "administrator"):
        raise Forbidden
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(
            "email_invalid",
            _("“%(email)s” is not an e-mail address.") % {"email": email},
            field="email",
            remedy=_("Write it like name@example.kr."),
        ) from None
    if language not in {"ko", "en"}:
        raise Invalid("language_unknown", _("The language is ko or en."), field="language")
    person = Person(email=email, name=tidy_name(name)[:100], language=language)
    if password is not None:
        try:
            validate_password(password, person)
        except ValidationError as error:
            raise Invalid("password_weak", " ".join(error.messages), field="password") from None
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            "person_exists",
            _("Someone is registered as %(email)s already.") % {"email": email},
            field="email",
        ) from None
    audit.record(
        actor=actor,
        action="person.added",
        subject_kind="person",
        subject_id=person.pk,
        after={"email": email, "name": person.name},
    )
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
    audit.record(actor=actor, action="person.password_set", subject_kind="person", subject_id=person_id)


@transaction.atomic
def update_profile(*, actor: Actor, name: str, language: str) -> PersonView:
    """Change one's own name and language."""
    if actor.person_id is None:
        raise Forbidden
    person = Person.objects.select_for_update().get(pk=actor.person_id)
    if language not in {"ko", "en"}:
        raise Invalid("language_unknown", _("The language is ko or en."), field="language")
    before = {"name": person.name, "language": person.language}
    person.name, person.language = tidy_name(name)[:100], language
    person.save(update_fields=["name", "language"])
    audit.record(
        actor=actor,
        action="person.updated",
        subject_kind="person",
        subject_id=person.pk,
        before=before,
        after={"name": person.name, "language": language},
    )
    return selectors.person_view(person)
