"""What providers offer: models, what they cost and from when, and where they are served.

Prices are history as soon as they take effect: a row is never deleted or edited, only a price that
still lies ahead may be withdrawn, and the database itself holds that (`_price_guard`).
"""

import pgtrigger
from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.catalogue.workflow import DEPLOYMENT_STATES, MODEL_STATES

_PRICE_GUARD = """
IF TG_OP = 'DELETE' OR OLD.withdrawn_at IS NOT NULL OR OLD.effective_from <= clock_timestamp()
   OR (NEW.id, NEW.model_id, NEW.effective_from, NEW.meters, NEW.created_at)
      IS DISTINCT FROM (OLD.id, OLD.model_id, OLD.effective_from, OLD.meters, OLD.created_at) THEN
    RAISE EXCEPTION 'catalogue_price: a price is never edited, and withdrawn only before it takes effect'
        USING ERRCODE = 'restrict_violation';
END IF;
RETURN NEW;
"""


class Model(models.Model):
    """A model on offer by one provider. Its name is what callers write; it never changes hands."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120, unique=True)
    provider = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    title_ko = models.CharField(max_length=200)
    title_en = models.CharField(max_length=200)
    description_ko = models.TextField(default="", blank=True)
    description_en = models.TextField(default="", blank=True)
    modalities = models.JSONField(default=list)
    endpoints = models.JSONField(default=list)
    context_length = models.IntegerField()
    max_output_tokens = models.IntegerField()
    state = models.CharField(max_length=16, default="active")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=MODEL_STATES), name="catalogue_model_state_known"),
            models.CheckConstraint(
                condition=Q(max_output_tokens__gt=0, max_output_tokens__lte=F("context_length")),
                name="catalogue_model_output_fits_context",
            ),
        ]


class Price(models.Model):
    """Micro-won per million units of each meter, from `effective_from` until the next price starts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="prices")
    effective_from = models.DateTimeField()
    meters = models.JSONField()
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "effective_from"],
                condition=Q(withdrawn_at=None),
                name="catalogue_price_one_at_a_time",
            )
        ]
        triggers = [
            pgtrigger.Trigger(
                name="price_guard",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=_PRICE_GUARD,
            )
        ]


class Deployment(models.Model):
    """A place that serves a model. The provider's key is named (`env:…`, `file:…`), never kept here."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="deployments")
    name = models.CharField(max_length=63)
    provider = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    base_url = models.CharField(max_length=500, default="", blank=True)
    upstream_model = models.CharField(max_length=200)
    dialect = models.CharField(max_length=20)
    credential = models.CharField(max_length=500, default="", blank=True)
    weight = models.IntegerField()
    priority = models.IntegerField()
    max_concurrency = models.IntegerField(null=True)
    connect_timeout_ms = models.IntegerField()
    first_byte_timeout_ms = models.IntegerField()
    idle_timeout_ms = models.IntegerField()
    queue_limit = models.IntegerField(default=256)
    queue_timeout_ms = models.IntegerField(default=10_000)
    health_path = models.CharField(max_length=500, default="", blank=True)
    state = models.CharField(max_length=16, default="active")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="catalogue_deployment_name_once"),
            models.CheckConstraint(
                condition=Q(state__in=DEPLOYMENT_STATES), name="catalogue_deployment_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="active") | ~Q(base_url=""), name="catalogue_deployment_active_has_address"
            ),
            models.CheckConstraint(condition=Q(weight__gte=1), name="catalogue_deployment_weight_positive"),
        ]
