"""Calls, their rounds, and everything that is said in public about them.

What applicants must be able to rely on is kept by the database: a form or a set of rules that a published round
uses cannot be changed, and extensions and corrections are only ever added. Content is JSON in the shapes of
docs/call-format.md; `eligibility`, `steps` and `forms` give it meaning.
"""

import pgtrigger
from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.calls.workflow import CALL_STATES, QUESTION_STATES, ROUND_STATES, STEP_STATES
from dure.control.foundation.triggers import append_only

CALL_KINDS = ("api_support", "compute", "pilot", "rnd", "follow_up", "small_request")


def frozen_once_used() -> list[pgtrigger.Trigger]:
    """A trigger that refuses every change of a version from the moment a published round uses it. The name of who
    wrote it is no part of it: whoever is erased is erased here, too."""
    return [
        pgtrigger.Trigger(
            name="frozen",
            when=pgtrigger.Before,
            operation=pgtrigger.Update | pgtrigger.Delete,
            condition=pgtrigger.Q(old__frozen_at__isnull=False),
            func="""
                IF TG_OP = 'DELETE' THEN
                    RAISE EXCEPTION '% is in use: % is refused', TG_TABLE_NAME, TG_OP
                        USING ERRCODE = 'restrict_violation';
                END IF;
                IF (NEW.id, NEW.call_id, NEW.number, NEW.content, NEW.digest, NEW.changed_at, NEW.frozen_at)
                    IS DISTINCT FROM
                   (OLD.id, OLD.call_id, OLD.number, OLD.content, OLD.digest, OLD.changed_at, OLD.frozen_at) THEN
                    RAISE EXCEPTION '% is in use: % is refused', TG_TABLE_NAME, TG_OP
                        USING ERRCODE = 'restrict_violation';
                END IF;
                RETURN NEW;
            """,
        )
    ]


def promises_kept() -> list[pgtrigger.Trigger]:
    """A trigger that refuses what would move the goalposts of a published round. Its steps may be given other dates
    only together with a later closing."""
    return [
        pgtrigger.Trigger(
            name="promises_kept",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            condition=~pgtrigger.Q(old__state="draft"),
            func="""
                IF (NEW.call_id, NEW.number, NEW.opens_at, NEW.form_version_id, NEW.rule_version_id, NEW.questions_until,
                    NEW.least_micro_won, NEW.most_micro_won, NEW.automatic, NEW.published_at)
                    IS DISTINCT FROM
                   (OLD.call_id, OLD.number, OLD.opens_at, OLD.form_version_id, OLD.rule_version_id, OLD.questions_until,
                    OLD.least_micro_won, OLD.most_micro_won, OLD.automatic, OLD.published_at)
                   OR NEW.closes_at < OLD.closes_at
                   OR (NEW.steps IS DISTINCT FROM OLD.steps AND NEW.closes_at = OLD.closes_at)
                   OR NEW.budget_micro_won < OLD.budget_micro_won
                   OR NEW.state = 'draft'
                   OR (OLD.state <> 'published' AND NEW.state <> OLD.state) THEN
                    RAISE EXCEPTION 'round % is published: this change is refused', OLD.id
                        USING ERRCODE = 'restrict_violation';
                END IF;
                RETURN NEW;
            """,
        ),
        pgtrigger.Trigger(
            name="stays_on_record",
            when=pgtrigger.Before,
            operation=pgtrigger.Delete,
            condition=~pgtrigger.Q(old__state="draft"),
            func="RAISE EXCEPTION 'round % is published and stays', OLD.id USING ERRCODE = 'restrict_violation';",
        ),
    ]


class Call(models.Model):
    """What organisations are invited to apply for. Its texts are plain; an empty line parts paragraphs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=63, unique=True)
    programme = models.ForeignKey("programmes.Programme", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16)
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200, default="", blank=True)
    summary_ko = models.CharField(max_length=500, default="", blank=True)
    summary_en = models.CharField(max_length=500, default="", blank=True)
    text_ko = models.TextField(default="", blank=True)
    text_en = models.TextField(default="", blank=True)
    state = models.CharField(max_length=16, default="draft")
    #: The steps that rounds start from; a published round has a copy of its own.
    steps = models.JSONField(default=dict)
    copied_from = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="copies")
    template_key = models.CharField(max_length=63, default="", blank=True)
    #: Set by copying: what was moved by a year must be looked at before it is published.
    needs_review = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, default="")
    published_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=CALL_STATES), name="calls_call_state_known"),
            models.CheckConstraint(condition=Q(kind__in=CALL_KINDS), name="calls_call_kind_known"),
            models.CheckConstraint(
                condition=Q(state="draft") | Q(published_at__isnull=False), name="calls_call_published_when"
            ),
        ]
        indexes = [
            models.Index(fields=["programme", "-created_at"], name="calls_call_programme"),
            models.Index(fields=["state", "-published_at"], name="calls_call_state"),
        ]


class FormVersion(models.Model):
    """A form as it stood; a draft is written over until a published round uses it, then a new one begins."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="form_versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    changed_at = models.DateTimeField()
    changed_by_name = models.CharField(max_length=200, default="")
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "number"], name="calls_form_version_once")]
        triggers = frozen_once_used()


class RuleVersion(models.Model):
    """Eligibility rules as they stood, likewise."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="rule_versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    changed_at = models.DateTimeField()
    changed_by_name = models.CharField(max_length=200, default="")
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "number"], name="calls_rule_version_once")]
        triggers = frozen_once_used()


class Round(models.Model):
    """One time in which a call takes applications: from `opens_at` until just before `closes_at`.

    As a draft it follows its call's form, rules and steps (unless `steps` are its own). Publishing it puts the
    versions and a copy of the steps here, and they stay.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    name_ko = models.CharField(max_length=200, default="", blank=True)
    name_en = models.CharField(max_length=200, default="", blank=True)
    opens_at = models.DateTimeField(null=True)
    closes_at = models.DateTimeField(null=True)
    questions_until = models.DateTimeField(null=True)
    steps = models.JSONField(null=True)
    form_version = models.ForeignKey(FormVersion, on_delete=models.PROTECT, null=True, related_name="rounds")
    rule_version = models.ForeignKey(RuleVersion, on_delete=models.PROTECT, null=True, related_name="rounds")
    state = models.CharField(max_length=16, default="draft")
    budget_micro_won = models.BigIntegerField(default=0)
    least_micro_won = models.BigIntegerField(null=True)
    most_micro_won = models.BigIntegerField(null=True)
    #: For small requests: {most_micro_won, valid_days, most_per_group}.
    automatic = models.JSONField(null=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="calls_round_once"),
            models.CheckConstraint(condition=Q(state__in=ROUND_STATES), name="calls_round_state_known"),
            models.CheckConstraint(
                condition=Q(closes_at=None) | Q(opens_at=None) | Q(closes_at__gt=F("opens_at")),
                name="calls_round_closes_after_opening",
            ),
            models.CheckConstraint(
                condition=Q(state="draft")
                | Q(
                    opens_at__isnull=False,
                    closes_at__isnull=False,
                    form_version__isnull=False,
                    rule_version__isnull=False,
                    steps__isnull=False,
                    published_at__isnull=False,
                ),
                name="calls_round_published_whole",
            ),
            models.CheckConstraint(
                condition=Q(budget_micro_won__gte=0)
                & (Q(least_micro_won=None) | Q(least_micro_won__gte=0))
                & (Q(most_micro_won=None) | Q(most_micro_won__gt=0)),
                name="calls_round_sums_sound",
            ),
        ]
        indexes = [
            models.Index(fields=["closes_at"], name="calls_round_closing", condition=Q(state="published")),
        ]
        triggers = promises_kept()


class RoundStep(models.Model):
    """A step of a published round that has an end: whether its time is over, and what was done about it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="timed_steps")
    key = models.CharField(max_length=63)
    due_at = models.DateTimeField()
    state = models.CharField(max_length=16, default="waiting")
    expired_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    settled_by_name = models.CharField(max_length=200, default="", blank=True)
    reason = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "key"], name="calls_round_step_once"),
            models.CheckConstraint(condition=Q(state__in=STEP_STATES), name="calls_round_step_state_known"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="calls_round_step_due", condition=Q(state="waiting")),
        ]


class Extension(models.Model):
    """A closing moment that was moved, always to a later one, and why. Public."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="extensions")
    old_closes_at = models.DateTimeField()
    new_closes_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(new_closes_at__gt=F("old_closes_at")), name="calls_extension_is_later"
            )
        ]
        triggers = append_only()


class CallChange(models.Model):
    """A correction of a published call's texts: what they said, what they say, and why. Public."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="changes")
    reason = models.CharField(max_length=500)
    before = models.JSONField()
    after = models.JSONField()
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, default="")

    class Meta:
        triggers = append_only()


class CallAttachment(models.Model):
    """A file that is published with a call. One that was taken away stays on record."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="attachments")
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=127)
    title_ko = models.CharField(max_length=200)
    title_en = models.CharField(max_length=200, default="", blank=True)
    added_at = models.DateTimeField()
    added_by_name = models.CharField(max_length=200, default="")
    removed_at = models.DateTimeField(null=True)
    removal_reason = models.CharField(max_length=500, default="", blank=True)


class Question(models.Model):
    """Asked by a person for their organisation, answered in public. Who asked is never public."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="questions")
    round = models.ForeignKey(Round, on_delete=models.PROTECT, null=True, related_name="questions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    state = models.CharField(max_length=16, default="open")
    asked_by = models.ForeignKey("identity.Person", on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    answer_ko = models.TextField(default="", blank=True)
    answer_en = models.TextField(default="", blank=True)
    withheld_reason = models.CharField(max_length=500, default="", blank=True)
    answered_at = models.DateTimeField(null=True)
    answered_by_name = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="calls_question_once"),
            models.CheckConstraint(condition=Q(state__in=QUESTION_STATES), name="calls_question_state_known"),
        ]
        indexes = [models.Index(fields=["organisation", "-asked_at"], name="calls_question_asker")]
