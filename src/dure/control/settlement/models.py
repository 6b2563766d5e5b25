"""Usage records and the gateway processes they come from.

`UsageRecord` is partitioned by month of `closed_at` (migration 0002 makes the table), `UsageDay`
is its running total by day, kept in the transaction that posts the records so that pages never
count a month of calls. Both are written by the SQL functions `gateway_api.post_usage` and
`gateway_api.post_usage_columns` alone.
"""

from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.foundation.triggers import append_only
from dure.control.settlement.workflow import LOSS_STATES


class GatewayProcess(models.Model):
    """One run of one gateway worker. It owns a journal and escrow until it is finished or declared lost.

    One that was declared lost (`lost_at`) is finished only when its journal turns up after all and is settled.
    """

    id = models.UUIDField(primary_key=True)
    node = models.CharField(max_length=200)
    os_pid = models.IntegerField()
    version = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    posted_sequence = models.BigIntegerField(default=0)
    figures = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(
                fields=["started_at"], name="gateway_process_open", condition=models.Q(finished_at=None)
            )
        ]


class LossDeclaration(models.Model):
    """One officer says that a silent process is lost for good; another must say so too (`workflow`)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    process = models.ForeignKey(GatewayProcess, on_delete=models.PROTECT, related_name="declarations")
    state = models.CharField(max_length=16, default="requested")
    reason = models.CharField(max_length=500)
    requested_at = models.DateTimeField()
    requested_by_id = models.UUIDField()
    requested_by_name = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    waiting_micro_won = models.BigIntegerField()
    decided_at = models.DateTimeField(null=True)
    decided_by_id = models.UUIDField(null=True)
    decided_by_name = models.CharField(max_length=200, default="", blank=True)
    returned_micro_won = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=LOSS_STATES), name="loss_declaration_state_known"),
            models.CheckConstraint(
                condition=~Q(state="confirmed")
                | (Q(decided_by_id__isnull=False) & ~Q(decided_by_id=F("requested_by_id"))),
                name="loss_declaration_needs_two_people",
            ),
            models.UniqueConstraint(
                fields=["process"],
                condition=Q(state__in=("requested", "confirmed")),
                name="loss_declaration_once_at_a_time",
            ),
        ]


class LostEscrow(models.Model):
    """What a lost process held of one award, and what of it was charged after all when its journal turned up."""

    pk = models.CompositePrimaryKey("process_id", "award_id")
    process_id = models.UUIDField()
    award_id = models.UUIDField()
    returned_micro_won = models.BigIntegerField(default=0)
    charged_micro_won = models.BigIntegerField(default=0)
    uncovered_micro_won = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["award_id"], name="lost_escrow_award")]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    charged_micro_won__gte=0,
                    charged_micro_won__lte=F("returned_micro_won"),
                    uncovered_micro_won__gte=0,
                ),
                name="lost_escrow_never_charged_beyond_what_was_returned",
            )
        ]


class UsageRecord(models.Model):
    """A request's outcome (`dure.contracts.usage.UsageRecord` says what each field means)."""

    pk = models.CompositePrimaryKey("request_id", "closed_at")
    request_id = models.UUIDField()
    closed_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    first_byte_at = models.DateTimeField(null=True)
    process_id = models.UUIDField()
    sequence = models.BigIntegerField()
    award_id = models.UUIDField()
    key_id = models.UUIDField()
    model = models.CharField(max_length=120)
    deployment_id = models.UUIDField()
    provider_id = models.UUIDField()
    price_id = models.UUIDField()
    endpoint = models.CharField(max_length=40)
    status = models.CharField(max_length=16)
    http_status = models.IntegerField()
    streamed = models.BooleanField()
    estimated = models.BooleanField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cost_micro_won = models.BigIntegerField()
    uncovered_micro_won = models.BigIntegerField()
    attempts = models.IntegerField()
    error_code = models.CharField(max_length=60)
    units = models.JSONField(null=True)
    tries = models.JSONField(null=True)
    transfer_id = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["award_id", "request_id"], name="usage_record_award")]
        triggers = append_only()


class UsageDay(models.Model):
    """Totals of one day (Seoul), award, key, model, deployment and status."""

    pk = models.CompositePrimaryKey("day", "award_id", "key_id", "model", "deployment_id", "status")
    day = models.DateField()
    award_id = models.UUIDField()
    key_id = models.UUIDField()
    model = models.CharField(max_length=120)
    deployment_id = models.UUIDField()
    status = models.CharField(max_length=16)
    provider_id = models.UUIDField()
    calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cost_micro_won = models.BigIntegerField()
    last_closed_at = models.DateTimeField()
    units = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["award_id", "day"], name="usage_day_award"),
            models.Index(fields=["provider_id", "day"], name="usage_day_provider"),
        ]
