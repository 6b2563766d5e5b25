"""Programmes, the money put into them, and the awards granted from it.

The sums here say what was decided; what is there is the ledger's to say (a programme's book has the
programme's id, an award's account has the award's id as its owner).
"""

from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.foundation.triggers import append_only
from dure.control.programmes.own_share import SIZE_CLASSES
from dure.control.programmes.units import KRW, UNIT_NAMES
from dure.control.programmes.workflow import AWARD_STATES, OWN_DUE, PROGRAMME_STATES, SOURCE_KINDS


class Programme(models.Model):
    """A public programme that pays for the use of models. Its ledger book has the same id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=63, unique=True)
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    agency = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=16, default="open")
    own_contribution_due = models.CharField(max_length=8, default="after")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=PROGRAMME_STATES), name="programmes_programme_state_known"
            ),
            models.CheckConstraint(
                condition=Q(own_contribution_due__in=OWN_DUE), name="programmes_programme_own_due_known"
            ),
        ]


class Source(models.Model):
    """A public source of money, such as a ministry's budget line or a fund: whose money programmes spend."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=63, unique=True)
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, default="budget")
    organisation = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=SOURCE_KINDS), name="programmes_source_kind_known")
        ]


class Funding(models.Model):
    """What one source gives one programme in one unit. It has an appropriation account of its own.

    So the ledger itself refuses to grant more of a source than that source gave.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="fundings")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="fundings")
    unit = models.CharField(max_length=20, default=KRW)
    account_id = models.BigIntegerField(unique=True)
    treasury_account_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["programme", "source", "unit"], name="programmes_funding_once"),
            models.CheckConstraint(condition=Q(unit__in=UNIT_NAMES), name="programmes_funding_unit_known"),
        ]


class BudgetLine(models.Model):
    """A part of a programme's budget (비목) with a ceiling. `committed` is what its awards were granted less returned.

    Public money only, in the unit's smallest part.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="budget_lines")
    key = models.CharField(max_length=40)
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    unit = models.CharField(max_length=20, default=KRW)
    ceiling = models.BigIntegerField()
    committed = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["programme", "key"], name="programmes_line_once"),
            models.CheckConstraint(
                condition=Q(committed__gte=0, committed__lte=F("ceiling")),
                name="programmes_line_never_over_its_ceiling",
            ),
            models.CheckConstraint(condition=Q(unit__in=UNIT_NAMES), name="programmes_line_unit_known"),
        ]


class EligibleUse(models.Model):
    """What a programme's money may be used for. Empty lists and null dates mean no limit.

    A new award's entitlement takes its limits from here; awards that were granted before keep theirs.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.OneToOneField(Programme, on_delete=models.PROTECT, related_name="eligible_use")
    model_names = models.JSONField(default=list)
    endpoint_names = models.JSONField(default=list)
    valid_from = models.DateTimeField(null=True)
    valid_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_from=None) | Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="programmes_use_ends_after_start",
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
    """What a source put into a programme by one transfer, which has this row's id.

    `through` is the programme that passed it on, out of what the same source had given it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="appropriations")
    funding = models.ForeignKey(Funding, on_delete=models.PROTECT, related_name="appropriations")
    through = models.ForeignKey(Programme, on_delete=models.PROTECT, null=True, related_name="passed_on")
    amount = models.BigIntegerField()
    memo = models.CharField(max_length=300, default="", blank=True)
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="programmes_appropriation_positive")
        ]
        triggers = append_only()


class Award(models.Model):
    """Money granted to an organisation, out of one source or several (`AwardShare`), and its own contribution.

    `granted` and `returned` are public money. `own_share` is what the organisation agreed to bring, `own_paid` what
    of it has arrived, `own_returned` what of that went back to it at the end.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="awards")
    organisation = models.ForeignKey("identity.Organisation", on_delete=models.PROTECT, related_name="+")
    name_ko = models.CharField(max_length=200)
    name_en = models.CharField(max_length=200)
    granted_micro_won = models.BigIntegerField()
    returned_micro_won = models.BigIntegerField(default=0)
    line = models.ForeignKey(BudgetLine, on_delete=models.PROTECT, null=True, related_name="awards")
    size_class = models.CharField(max_length=16, default="", blank=True)
    own_share_bp = models.IntegerField(default=0)
    own_share_micro_won = models.BigIntegerField(default=0)
    own_paid_micro_won = models.BigIntegerField(default=0)
    own_returned_micro_won = models.BigIntegerField(default=0)
    own_contribution_due = models.CharField(max_length=8, default="after")
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
                condition=Q(
                    own_returned_micro_won__gte=0,
                    own_returned_micro_won__lte=F("own_paid_micro_won"),
                    own_paid_micro_won__lte=F("own_share_micro_won"),
                    own_contribution_due__in=OWN_DUE,
                ),
                name="programmes_award_own_share_sound",
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


class AwardShare(models.Model):
    """What one source granted to one award, and got back. The transfer that granted it is `transfer_id`.

    `position` fixes the order in which shares are reckoned; the first share's transfer has the award's id.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    award = models.ForeignKey(Award, on_delete=models.PROTECT, related_name="shares")
    funding = models.ForeignKey(Funding, on_delete=models.PROTECT, related_name="shares")
    position = models.SmallIntegerField()
    granted_micro_won = models.BigIntegerField()
    returned_micro_won = models.BigIntegerField(default=0)
    transfer_id = models.UUIDField(unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["award", "funding"], name="programmes_share_once"),
            models.UniqueConstraint(fields=["award", "position"], name="programmes_share_in_order"),
            models.CheckConstraint(
                condition=Q(
                    granted_micro_won__gt=0,
                    returned_micro_won__gte=0,
                    returned_micro_won__lte=F("granted_micro_won"),
                ),
                name="programmes_share_sums_sound",
            ),
        ]


class OwnPayment(models.Model):
    """An own contribution that arrived, on an officer's word, by the transfer with this row's id.

    `spent_before_micro_won` is what the award had spent until then: whose money later calls spend is reckoned from it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    award = models.ForeignKey(Award, on_delete=models.PROTECT, related_name="own_payments")
    amount_micro_won = models.BigIntegerField()
    spent_before_micro_won = models.BigIntegerField()
    memo = models.CharField(max_length=300, default="", blank=True)
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_micro_won__gt=0, spent_before_micro_won__gte=0),
                name="programmes_own_payment_sound",
            )
        ]
        triggers = append_only()
