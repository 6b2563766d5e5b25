"""Applications: what is written, what was submitted, and what was made of it.

An answer is a row per field, so that people write side by side; a submission is a copy of all of them, signed
and never changed. What was decided is a row of its own each time: nothing here is edited after the fact.
"""

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.applications.workflow import APPLICATION_STATES, STANDING
from dure.control.foundation.triggers import append_only


class Application(models.Model):
    """An organisation asks for support in a round of a call. It keeps the form and rules it began with."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.CharField(max_length=20, unique=True)
    round = models.ForeignKey("calls.Round", on_delete=models.PROTECT, related_name="+")
    form_version = models.ForeignKey("calls.FormVersion", on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    agency = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    title = models.CharField(max_length=200, default="", blank=True)
    asked_micro_won = models.BigIntegerField(null=True)
    state = models.CharField(max_length=16, default="draft")
    step = models.CharField(max_length=60, default="", blank=True)
    step_entered_at = models.DateTimeField()
    #: Whether there are changes that were not submitted yet.
    changed = models.BooleanField(default=True)
    extended_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey("identity.Person", on_delete=models.PROTECT, null=True, related_name="+")
    submitted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    award_id = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=APPLICATION_STATES), name="applications_application_state_known"
            ),
            models.UniqueConstraint(
                fields=["round", "organisation"],
                condition=Q(state__in=sorted(STANDING)),
                name="applications_one_standing_in_a_round",
            ),
            models.CheckConstraint(
                condition=Q(asked_micro_won=None) | Q(asked_micro_won__gte=0),
                name="applications_application_asks_no_debt",
            ),
            models.CheckConstraint(
                condition=~Q(state="awarded") | Q(award_id__isnull=False),
                name="applications_awarded_has_an_award",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "-created_at"], name="applications_of_organisation"),
            models.Index(fields=["agency", "state", "step_entered_at"], name="applications_at_agency"),
            models.Index(fields=["round", "state", "step", "-submitted_at"], name="applications_on_desk"),
        ]

    @property
    def programme_id(self) -> UUID:
        """Whose money is asked for. Read `round__call` along."""
        return self.round.call.programme_id


class ApplicationMember(models.Model):
    """Who writes an application: its lead, who may submit it, and co-writers."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="members")
    person = models.ForeignKey("identity.Person", on_delete=models.PROTECT, related_name="+")
    lead = models.BooleanField(default=False)
    added_at = models.DateTimeField()
    added_by_name = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "person"], name="applications_member_once"),
            models.UniqueConstraint(
                fields=["application"], condition=Q(lead=True), name="applications_one_lead"
            ),
        ]
        indexes = [models.Index(fields=["person"], name="applications_member_person")]


class Answer(models.Model):
    """What stands in a field now. `version` counts its changes, so that a writer knows what they changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="answers")
    field = models.CharField(max_length=80)
    value = models.JSONField(null=True)
    version = models.IntegerField(default=1)
    updated_at = models.DateTimeField()
    updated_by_name = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "field"], name="applications_answer_once")
        ]


class AnswerRevision(models.Model):
    """Each state a field has had: the common ground of a merge, and a way back."""

    id = models.BigAutoField(primary_key=True)
    answer = models.ForeignKey(Answer, on_delete=models.PROTECT, related_name="revisions")
    version = models.IntegerField()
    value = models.JSONField(null=True)
    at = models.DateTimeField()
    by_name = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["answer", "version"], name="applications_revision_once")
        ]
        triggers = append_only(name_column="by_name")


class Attachment(models.Model):
    """A file that answers a field; its content is kept once, by its SHA-256."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="attachments")
    field = models.CharField(max_length=80)
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=120)
    added_at = models.DateTimeField()
    added_by_name = models.CharField(max_length=200, default="", blank=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["application", "field"], name="applications_attachment_field")]


class Submission(models.Model):
    """What was handed in, to the byte: canonical JSON, its SHA-256, and a signature over the receipt."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="submissions")
    number = models.IntegerField()
    at = models.DateTimeField()
    person = models.ForeignKey("identity.Person", on_delete=models.PROTECT, null=True, related_name="+")
    by_name = models.CharField(max_length=200, default="", blank=True)
    content = models.TextField()
    sha256 = models.CharField(max_length=64)
    receipt = models.TextField()
    key_id = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    #: The rules as they were found to hold at that moment.
    findings = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application", "number"], name="applications_submission_number_once"
            )
        ]
        triggers = append_only(name_column="by_name")


class Passage(models.Model):
    """An application left a step of its call with an outcome: by whom, why, and where it went."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="passages")
    step = models.CharField(max_length=60)
    outcome = models.CharField(max_length=60)
    to_step = models.CharField(max_length=60, default="", blank=True)
    reason = models.TextField(default="", blank=True)
    automatic = models.BooleanField(default=False)
    at = models.DateTimeField()
    by_name = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        indexes = [models.Index(fields=["application", "at"], name="applications_passages")]
        triggers = append_only(name_column="by_name")


class CompletenessRequest(models.Model):
    """Something is missing: which fields, why, and until when. Its clock is its own."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, related_name="completeness_requests"
    )
    fields = models.JSONField(default=list)
    reason = models.TextField()
    asked_at = models.DateTimeField()
    asked_by_name = models.CharField(max_length=200)
    due_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    expired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application"],
                condition=Q(answered_at=None, expired_at=None),
                name="applications_one_open_completeness_request",
            ),
            models.CheckConstraint(
                condition=Q(due_at__gt=F("asked_at")), name="applications_completeness_due_later"
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="applications_completeness_open",
                condition=Q(answered_at=None, expired_at=None),
            )
        ]


class Decision(models.Model):
    """What was decided on an application, why, and by whom or by which rule."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="decisions")
    outcome = models.CharField(max_length=16)
    reason = models.TextField()
    granted_micro_won = models.BigIntegerField(null=True)
    automatic = models.BooleanField(default=False)
    #: Of an automatic decision: the rule and the figures it was held against.
    grounds = models.JSONField(null=True)
    at = models.DateTimeField()
    by_name = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["accepted", "rejected"]), name="applications_decision_known"
            ),
            models.CheckConstraint(
                condition=~Q(outcome="accepted") | Q(granted_micro_won__gt=0),
                name="applications_accepted_has_a_sum",
            ),
        ]
        triggers = append_only()


class Extension(models.Model):
    """One applicant's deadline was moved, with the reason; everybody's is moved at the round."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="extensions")
    until = models.DateTimeField()
    reason = models.TextField()
    at = models.DateTimeField()
    by_name = models.CharField(max_length=200)

    class Meta:
        triggers = append_only()
