"""Programmes, the money put into them, and the awards granted from it.

The sums here say what was decided; what is there is the ledger's to say (a programme's book has the
programme's id, an award's account has the award's id as its owner).
"""

from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.foundation.triggers import append_only
from dure.control.programmes.own_share import SIZE_CLASSES
from dure.control.programmes.workflow import AWARD_STATES, PROGRAMME_STATES


class Programme(models.Model):
    """A public programme that pays for the use of models. Its ledger book has the same id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=63, unique=True)
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    agency = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=16, default="open")
    treasury_account_id = models.BigIntegerField()
    appropriation_account_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=PROGRAMME_STATES), name="programmes_programme_state_known"
            )
        ]


class OwnContributionRule(models.Model):
    """The own share (자부담) that a programme asks of organisations of one size, in basis points of the whole sum.

    `least_micro_won` and `most_micro_won` bound the sum that follows. A size without a rule owes nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="own_contribution_rules")
    size_class = models.CharField(max_length=16)
    share_bp = models.IntegerField()
    least_micro_won = models.BigIntegerField(default=0)
    most_micro_won = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["programme", "size_class"], name="programmes_own_rule_once"),
            models.CheckConstraint(
                condition=Q(size_class__in=SIZE_CLASSES), name="programmes_own_rule_size_known"
            ),
            models.CheckConstraint(
                condition=Q(share_bp__gte=0, share_bp__lt=10_000, least_micro_won__gte=0)
                & (Q(most_micro_won=None) | Q(most_micro_won__gte=F("least_micro_won"))),
                name="programmes_own_rule_sound",
            ),
        ]


class Appropriation(models.Model):
    """Money put into a programme by one transfer, which has this row's id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="appropriations")
    amount_micro_won = models.BigIntegerField()
    memo = models.CharField(max_length=300, default="", blank=True)
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_micro_won__gt=0), name="programmes_appropriation_positive"
            )
        ]
        triggers = append_only()


class Award(models.Model):
    """Money granted to an organisation. The transfer that granted it has the award's id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="awards")
    organisation = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    granted_micro_won = models.BigIntegerField()
    returned_micro_won = models.BigIntegerField(default=0)
    account_id = models.BigIntegerField()
    state = models.CharField(max_length=16, default="open")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=500, default="", blank=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=AWARD_STATES), name="programmes_award_state_known"),
            models.CheckConstraint(
                condition=Q(
                    granted_micro_won__gt=0,
                    returned_micro_won__gte=0,
                    returned_micro_won__lte=F("granted_micro_won"),
                ),
                name="programmes_award_sums_sound",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="programmes_award_ends_after_start",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "-created_at"], name="programmes_award_org"),
            models.Index(fields=["programme", "-created_at"], name="programmes_award_programme"),
            models.Index(fields=["state"], name="programmes_award_returning", condition=Q(state="returning")),
        ]
