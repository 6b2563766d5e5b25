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


class StoredFile(models.Model):
    """The content of a file, once however often it is handed in; where it lies follows from its SHA-256."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    stored_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["stored_at"], name="stored_file_age")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(sha256__regex=r"^[0-9a-f]{64}$"), name="stored_file_is_sha256"
            )
        ]


class FileOwner(models.Model):
    """A row of some room holds a stored file; one that nobody holds is swept away."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="owners")
    owner_kind = models.CharField(max_length=40)
    owner_id = models.CharField(max_length=80)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "owner_kind", "owner_id"], name="file_owner_once")
        ]


class Notice(models.Model):
    """What a person is told in the portal, with the address (`path`) that does the next thing."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person_id = models.UUIDField()
    category = models.CharField(max_length=16)
    title = models.CharField(max_length=300)
    text = models.TextField()
    path = models.CharField(max_length=500)
    action = models.CharField(max_length=100)
    dedupe_key = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person_id", "dedupe_key"], name="notice_told_once"),
        ]
        indexes = [
            models.Index(fields=["person_id", "-created_at"], name="notice_latest"),
            models.Index(
                fields=["person_id"], name="notice_unread", condition=models.Q(read_at__isnull=True)
            ),
        ]


class NoticePreference(models.Model):
    """Whether a person wants notices of a category by e-mail as well. Duties always come."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person_id = models.UUIDField()
    category = models.CharField(max_length=16)
    by_mail = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person_id", "category"], name="notice_preference_once")
        ]


class CalendarFeed(models.Model):
    """The secret address at which a person's dates are read by calendar programs. Only its SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person_id = models.UUIDField(unique=True)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    last_read_at = models.DateTimeField(null=True)


class SharedCount(models.Model):
    """What all processes count together until it expires, attempts to sign in above all; `shared_cache` alone reads
    and writes it, in the columns of Django's cache."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)
