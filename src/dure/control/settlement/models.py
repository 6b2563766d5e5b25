"""Usage records and the gateway processes they come from.

`UsageRecord` is partitioned by month of `closed_at` (migration 0002 makes the table), `UsageDay`
is its running total by day, kept in the transaction that posts the records so that pages never
count a month of calls. Both are written by the SQL function `gateway_api.post_usage` alone.
"""

from django.db import models

from dure.control.foundation.triggers import append_only


class GatewayProcess(models.Model):
    """One run of one gateway worker. It owns a journal and escrow until it is finished."""

    id = models.UUIDField(primary_key=True)
    node = models.CharField(max_length=200)
    os_pid = models.IntegerField()
    version = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    posted_sequence = models.BigIntegerField(default=0)
    figures = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(
                fields=["started_at"], name="gateway_process_open", condition=models.Q(finished_at=None)
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
