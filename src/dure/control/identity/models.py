"""People, organisations, and who acts for which with what roles."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.foundation import clock
from dure.control.identity.facts import (
    REGISTRATION_NUMBER_DIGITS,
    Region,
    SizeClass,
    VerificationState,
)
from dure.control.identity.organisation_models import (
    Delegation,
    Invitation,
    OrganisationDocument,
    OwnershipLink,
    ProgrammeRole,
)
from dure.control.identity.person_models import Consent, ErasureRequest, OpenSession, SignIn

__all__ = [
    "Consent",
    "Delegation",
    "ErasureRequest",
    "Invitation",
    "Membership",
    "OpenSession",
    "Organisation",
    "OrganisationDocument",
    "OrganisationKind",
    "OwnershipLink",
    "Person",
    "PersonalAccessToken",
    "ProgrammeRole",
    "Role",
    "Scope",
    "SignIn",
]


class OrganisationKind(models.TextChoices):
    MINISTRY = "ministry", _("ministry")
    AGENCY = "agency", _("agency")
    PROVIDER = "provider", _("model provider")
    SME = "sme", _("small or medium enterprise")
    STARTUP = "startup", _("start-up")
    PUBLIC_BODY = "public_body", _("public body")
    UNIVERSITY = "university", _("university")
    INSTITUTE = "institute", _("research institute")


class Role(models.TextChoices):
    """What a person may do for the organisation. The last four depend on the organisation's kind."""

    ADMINISTRATOR = "administrator", _("administrator")
    DEVELOPER = "developer", _("developer")
    VIEWER = "viewer", _("viewer")
    PROVIDER_MANAGER = "provider_manager", _("provider manager")
    OFFICER = "officer", _("programme officer")
    OPERATOR = "operator", _("platform operator")
    AUDITOR = "auditor", _("auditor")


class PersonManager(BaseUserManager["Person"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "Person":
        person = self.model(email=email.strip().lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person


class Person(AbstractBaseUser):
    """Someone who signs in. What they may do follows from their memberships alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    language = models.CharField(max_length=8, default="ko")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)
    email_verified_at = models.DateTimeField(null=True)

    objects = PersonManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="identity_person_email_once")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name


class Organisation(models.Model):
    """A ministry, a provider, a start-up …: whom awards go to and who is paid."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=63, unique=True)
    kind = models.CharField(max_length=16, choices=OrganisationKind.choices)
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    demo = models.BooleanField(default=False)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)
    registration_number = models.CharField(max_length=REGISTRATION_NUMBER_DIGITS, null=True, unique=True)
    size_class = models.CharField(max_length=16, null=True, choices=SizeClass.choices)
    founded_on = models.DateField(null=True)
    region = models.CharField(max_length=5, null=True, choices=Region.choices)
    employees = models.PositiveIntegerField(null=True)
    website = models.URLField(default="", blank=True)
    verification_state = models.CharField(
        max_length=16, choices=VerificationState.choices, default=VerificationState.UNVERIFIED
    )
    verification_asked_at = models.DateTimeField(null=True)
    verification_reason = models.CharField(max_length=500, default="", blank=True)
    verified_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["verification_asked_at"],
                name="identity_organisation_queue",
                condition=Q(verification_state="asked"),
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=OrganisationKind.values), name="identity_organisation_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(registration_number=None) | Q(registration_number__regex=r"^[0-9]{10}$"),
                name="identity_organisation_number_form",
            ),
            models.CheckConstraint(
                condition=Q(size_class=None) | Q(size_class__in=SizeClass.values),
                name="identity_organisation_size_known",
            ),
            models.CheckConstraint(
                condition=Q(region=None) | Q(region__in=Region.values),
                name="identity_organisation_region_known",
            ),
            models.CheckConstraint(
                condition=Q(verification_state__in=VerificationState.values),
                name="identity_organisation_verification_known",
            ),
            models.CheckConstraint(
                condition=Q(slug__regex=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
                name="identity_organisation_slug_form",
            ),
        ]


class Membership(models.Model):
    """A person acts for an organisation, with these roles, from one date to another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="memberships")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="memberships")
    roles = ArrayField(models.CharField(max_length=32, choices=Role.choices))
    valid_from = models.DateTimeField(default=clock.now)
    valid_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "organisation"], name="identity_membership_once"),
            models.CheckConstraint(condition=Q(roles__len__gt=0), name="identity_membership_has_a_role"),
        ]


class Scope(models.TextChoices):
    """What a token may do in the name of its person."""

    READ = "read", _("read")
    WRITE = "write", _("change")


def all_scopes() -> list[str]:
    return list(Scope.values)


class PersonalAccessToken(models.Model):
    """A person's key to the REST API. Shown once; only its SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="tokens")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, null=True, related_name="+")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices), default=all_scopes)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scopes__len__gt=0), name="identity_token_has_a_scope"),
        ]
