"""Registration by oneself: an account, a link to confirm its address, and the consent it rests on.

Whether an address is registered is nobody else's business, so `register` answers the same either way; the
mail that follows tells the owner of the mailbox which it was. Until its address is confirmed an account can
do nothing, and the latest registration of an address is the one that counts: its password must be
given once more with the mailed link, so that nobody confirms an account that somebody else made in their name.
"""

from datetime import timedelta
from uuid import UUID

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid
from dure.control.identity import notices, privacy, selectors
from dure.control.identity.models import Consent, Person
from dure.control.identity.selectors import PersonView
from dure.control.identity.services.names import tidy_email, tidy_language, tidy_name


@transaction.atomic
def register(
    *, actor: Actor, email: str, name: str, password: str, language: str = "ko", privacy_version: str
) -> PersonView | None:
    """Make an account that waits for its address to be confirmed, and mail the link.

    None where the address has an account already; its owner is told so by mail, and nobody else is.
    """
    if actor.kind == "person":
        raise Forbidden(_("You are signed in already."), code="signed_in_already")
    email, language = tidy_email(email), tidy_language(language)
    person = Person(email=email, name=tidy_name(name)[:100], language=language)
    _consented(privacy_version)
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid("password_weak", " ".join(error.messages), field="password") from None
    # Before looking, so that an address that is taken takes as long as one that is free.
    person.password = make_password(password)
    known = Person.objects.select_for_update().filter(email=email).first()
    if known is None:
        try:
            with transaction.atomic():
                person.save(force_insert=True)
        except IntegrityError:
            return None
    elif known.email_verified_at is not None or not known.is_active or not _registered(known):
        notices.already_registered(known)
        return None
    else:
        known.name, known.language, known.password = person.name, language, person.password
        known.save(update_fields=["name", "language", "password"])
        person = known
    address, _made = EmailAddress.objects.get_or_create(
        user=person, email=email, defaults={"primary": True, "verified": False}
    )
    remember_consent(person_id=person.pk, language=language)
    audit.record(
        actor=selectors.alone(person), action="person.registered", subject_kind="person", subject_id=person.pk
    )
    notices.confirm_address(address)
    return selectors.person_view(person)


@transaction.atomic
def register_verified(
    *, actor: Actor, email: str, name: str, language: str = "ko", privacy_version: str
) -> PersonView:
    """Make an account without a password, for an address that a sign-in service has verified.

    Raises `Conflict` `person_exists`; a registration of the address that nobody confirmed gives way.
    """
    if actor.kind == "person":
        raise Forbidden(_("You are signed in already."), code="signed_in_already")
    email, language = tidy_email(email), tidy_language(language)
    _consented(privacy_version)
    give_way(email)
    person = Person(email=email, name=tidy_name(name)[:100], language=language, email_verified_at=clock.now())
    person.set_unusable_password()
    try:
        with transaction.atomic():
            person.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            "person_exists", _("This address belongs to another account."), field="email"
        ) from None
    EmailAddress.objects.create(user=person, email=email, verified=True, primary=True)
    remember_consent(person_id=person.pk, language=language)
    audit.record(
        actor=selectors.alone(person),
        action="person.registered",
        subject_kind="person",
        subject_id=person.pk,
        after={"by": "sign-in service"},
    )
    return selectors.person_view(person)


def _consented(version: str) -> None:
    if version != privacy.NOTICE_VERSION:
        raise Invalid(
            "consent_missing",
            _("An account needs your consent to the privacy notice in its present version."),
            field="privacy_version",
            remedy=_("Read the notice of %(version)s and agree to it.") % {"version": privacy.NOTICE_VERSION},
        )


def give_way(email: str) -> None:
    """A registration that nobody confirmed keeps no address from its owner."""
    Person.objects.filter(
        email=email, email_verified_at=None, is_active=True, memberships=None, tokens=None
    ).delete()


def remember_consent(*, person_id: UUID, language: str) -> None:
    """The person agreed to the notice as it is now; agreeing again moves the time."""
    Consent.objects.update_or_create(
        person_id=person_id,
        version=privacy.NOTICE_VERSION,
        defaults={"language": language, "given_at": clock.now()},
    )


def _registered(person: Person) -> bool:
    """Whether this account was made by registering: only such a one may be made anew by registering."""
    return person.consents.exists() and not person.memberships.exists()


@transaction.atomic
def send_confirmation(*, email: str) -> None:
    """Mail the link once more, where the address waits for it; says nothing about whether it does."""
    address = (
        EmailAddress.objects.select_related("user")
        .filter(email=tidy_email(email), verified=False, user__email_verified_at=None, user__is_active=True)
        .first()
    )
    if address is not None:
        notices.confirm_address(address)


@transaction.atomic
def confirm_registration(*, key: str, person_id: UUID) -> PersonView:
    """The mailed link was opened by somebody who also knows the account's password."""
    found = EmailConfirmationHMAC.from_key(key)
    if found is None or found.email_address.user_id != person_id:
        raise link_refused()
    address = EmailAddress.objects.select_for_update().get(pk=found.email_address.pk)
    if not address.set_verified():
        raise link_refused()
    return selectors.person_view(remember_verified(person_id=person_id))


def remember_verified(*, person_id: UUID) -> Person:
    """The person's own address is confirmed; doing so again changes nothing."""
    person = Person.objects.select_for_update().get(pk=person_id)
    if person.email_verified_at is None:
        person.email_verified_at = clock.now()
        person.save(update_fields=["email_verified_at"])
        audit.record(
            actor=selectors.alone(person),
            action="person.email_confirmed",
            subject_kind="person",
            subject_id=person.pk,
        )
    return person


def link_refused() -> DureError:
    return Invalid(
        "link_invalid",
        _("This link no longer works: it was used already, it is too old, or it belongs to another account."),
        field="key",
        remedy=_("Ask for a new one."),
    )


@transaction.atomic
def forget_unconfirmed(*, older_than: timedelta = privacy.UNCONFIRMED_KEPT) -> int:
    """Remove registrations that nobody confirmed; returns how many."""
    rows = Person.objects.select_for_update(skip_locked=True).filter(
        email_verified_at=None,
        is_active=True,
        created_at__lt=clock.now() - older_than,
        consents__isnull=False,
        memberships=None,
        tokens=None,
        erasure_requests=None,
    )
    gone = 0
    for person in list(rows.select_for_update(of=("self",))[:1_000]):
        audit.record(
            actor=Actor.system("registration"),
            action="person.registration_lapsed",
            subject_kind="person",
            subject_id=person.pk,
        )
        person.delete()
        gone += 1
    return gone
