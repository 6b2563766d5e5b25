"""What is kept about a person's account: consent, sessions, sign-ins, and the wish to be erased."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.foundation import clock


class Consent(models.Model):
    """A person agreed to one version of the privacy notice (PIPA art. 15(1)1, 22)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey("identity.Person", on_delete=models.CASCADE, related_name="consents")
    version = models.CharField(max_length=20)
    language = models.CharField(max_length=8)
    given_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "version"], name="identity_consent_once_a_version")
        ]


class SignInOutcome(models.TextChoices):
    SIGNED_IN = "signed_in", _("signed in")
    WRONG_PASSWORD = "wrong_password", _("wrong password")
    WRONG_CODE = "wrong_code", _("wrong second factor")


class SignIn(models.Model):
    """When, from where and with what somebody signed in as this person, or tried to.

    `device` is the SHA-256 of a random value that the browser keeps in a cookie; empty for attempts that failed.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey("identity.Person", on_delete=models.CASCADE, related_name="sign_ins")
    at = models.DateTimeField(default=clock.now)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, default="", blank=True)
    outcome = models.CharField(
        max_length=16, choices=SignInOutcome.choices, default=SignInOutcome.SIGNED_IN, db_default="signed_in"
    )
    device = models.CharField(max_length=64, default="", blank=True, db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=SignInOutcome.values), name="identity_sign_in_outcome_known"
            )
        ]
        indexes = [
            models.Index(fields=["person", "-at"], name="identity_sign_in_latest"),
            models.Index(fields=["at"], name="identity_sign_in_age"),
        ]


class OpenSession(models.Model):
    """A browser that is signed in as a person. It ends when the person signs out, ends it, or stays away."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey("identity.Person", on_delete=models.CASCADE, related_name="open_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, default="", blank=True)
    created_at = models.DateTimeField(default=clock.now)
    last_used_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["person", "-last_used_at"], name="identity_open_session_latest")]


class ErasureState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    WITHDRAWN = "withdrawn", _("withdrawn")
    DONE = "done", _("done")


class ErasureRequest(models.Model):
    """A person asks to be erased (PIPA art. 36). Until `due_at` they can take it back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey("identity.Person", on_delete=models.PROTECT, related_name="erasure_requests")
    state = models.CharField(max_length=16, choices=ErasureState.choices, default=ErasureState.WAITING)
    asked_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ErasureState.values), name="identity_erasure_state_known"
            ),
            models.UniqueConstraint(
                fields=["person"], condition=Q(state="waiting"), name="identity_erasure_waits_once"
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(state="waiting"), name="identity_erasure_due")]
