"""Tables that every room writes through `audit`, `outbox` and `directory`, never directly."""

from django.db import models

from dure.contracts.ids import uuid7
from dure.control.foundation.triggers import append_only


class AuditEvent(models.Model):
    """Who did what, when, to what, before → after. Each event carries the hash of the one before."""

    sequence = models.BigIntegerField(primary_key=True)
    id = models.UUIDField(default=uuid7, unique=True, editable=False)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor_name = models.CharField(max_length=200)
    person_id = models.UUIDField(null=True)
    organisation_id = models.UUIDField(null=True)
    action = models.CharField(max_length=80)
    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=80)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    class Meta:
        indexes = [models.Index(fields=["subject_kind", "subject_id", "-sequence"], name="audit_subject")]
        triggers = append_only()


class OutboxMail(models.Model):
    """A notice to be sent after the transaction that caused it commits."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField()
    to = models.EmailField()
    language = models.CharField(max_length=8)
    subject = models.CharField(max_length=300)
    body = models.TextField()
    dedupe_key = models.CharField(max_length=200, null=True, unique=True)
    sent_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    last_error = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="outbox_unsent", condition=models.Q(sent_at__isnull=True)
            )
        ]


class DirectoryEntry(models.Model):
    """One thing the gateway must know (`dure.contracts.directory`); `payload` null means withdrawn."""

    pk = models.CompositePrimaryKey("kind", "entry_id")
    kind = models.CharField(max_length=16)
    entry_id = models.CharField(max_length=80)
    version = models.BigIntegerField(unique=True)
    payload = models.TextField(null=True)
