"""What an award may call, and the keys that call for it.

An entitlement has its award's id: the room above opens it when it grants, and closes it when the
award ends. A key's secret is shown once; only its SHA-256 is kept, which is enough because the
secret is 256 random bits.
"""

from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7


class Entitlement(models.Model):
    """The right to call models, with its limits. A limit of null is no limit; no models means all on offer.

    While it is `held`, its award waits for its organisation's own contribution, and calls are refused.
    `programme_id` and `agency_id` are whose money it is: the agency's officers may revoke keys.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    organisation = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    agency = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    programme_id = models.UUIDField()
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    model_names = models.JSONField(default=list)
    endpoint_names = models.JSONField(default=list)
    max_tokens_ceiling = models.IntegerField(null=True)
    requests_per_minute = models.IntegerField(null=True)
    tokens_per_minute = models.IntegerField(null=True)
    concurrency = models.IntegerField(null=True)
    networks = models.JSONField(default=list)
    held = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="access_entitlement_ends_after_start",
            )
        ]
        indexes = [models.Index(fields=["organisation"], name="access_entitlement_org")]


class ApiKey(models.Model):
    """A key bound to one entitlement, with limits of its own. `replaces` names the key whose place it takes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=20, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    created_by_id = models.UUIDField(null=True)
    created_by_name = models.CharField(max_length=200, default="")
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoke_reason = models.CharField(max_length=300, default="", blank=True)
    valid_from = models.DateTimeField(null=True)
    model_names = models.JSONField(default=list)
    networks = models.JSONField(default=list)
    requests_per_minute = models.IntegerField(null=True)
    tokens_per_minute = models.IntegerField(null=True)
    concurrency = models.IntegerField(null=True)
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__regex="^[0-9a-f]{64}$"), name="access_key_digest_is_sha256"
            )
        ]
        indexes = [models.Index(fields=["entitlement", "-created_at"], name="access_key_entitlement")]
