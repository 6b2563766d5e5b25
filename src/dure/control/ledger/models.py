"""Double entry, integers, append-only.

Every movement is a transfer between two accounts of one book and one unit. An account's row
carries its posted totals, and a CHECK constraint refuses a balance that must not go negative.
Only the SQL function `ledger_post` writes transfers and totals (migration 0002): one
implementation serves the portal, the command line and the gateway, and each transfer carries
the hash of the one before it in its book.

Source of the model: TigerBeetle's accounts and transfers, with its named idempotent results.
"""

from django.db import models
from django.db.models import F, Q

from dure.contracts.ids import uuid7
from dure.control.foundation.triggers import append_only


class AccountKind(models.TextChoices):
    """What an account holds. Every kind but the treasury is a fund: it never owes."""

    TREASURY = "treasury"
    APPROPRIATION = "appropriation"
    AWARD = "award"
    ESCROW = "escrow"
    PAYABLE = "payable"
    OWN_CONTRIBUTION = "own_contribution"
    RETURNED = "returned"
    DISPUTED = "disputed"


class Book(models.Model):
    """One chain of transfers; a programme keeps one book. The head is the latest transfer's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    head_sequence = models.BigIntegerField(default=0)
    head_hash = models.BinaryField(max_length=32, default=bytes(32))


class Account(models.Model):
    """An account of one unit. `owner_id` and `counterpart_id` are opaque to this room.

    An escrow belongs to an award (owner) and a gateway process (counterpart).
    """

    id = models.BigAutoField(primary_key=True)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=20, choices=AccountKind.choices)
    unit = models.CharField(max_length=20, default="KRW")
    owner_id = models.UUIDField()
    counterpart_id = models.UUIDField(null=True)
    debits_posted = models.BigIntegerField(default=0)
    credits_posted = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["book", "kind", "unit", "owner_id", "counterpart_id"],
                nulls_distinct=False,
                name="ledger_account_once",
            ),
            models.CheckConstraint(
                condition=Q(debits_posted__gte=0, credits_posted__gte=0),
                name="ledger_account_totals_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(kind="treasury", credits_posted__lte=F("debits_posted"))
                | (~Q(kind="treasury") & Q(debits_posted__lte=F("credits_posted"))),
                name="ledger_account_never_overdrawn",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=AccountKind.values), name="ledger_account_kind_known"
            ),
        ]
        indexes = [
            models.Index(fields=["owner_id", "kind"], name="ledger_account_owner"),
            models.Index(fields=["counterpart_id"], name="ledger_account_counterpart"),
        ]


class Transfer(models.Model):
    """A movement of `amount` from the debited to the credited account. Never changed; see `corrects`."""

    id = models.UUIDField(primary_key=True)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="transfers")
    sequence = models.BigIntegerField()
    debit_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="debits")
    credit_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credits")
    amount = models.BigIntegerField()
    kind = models.CharField(max_length=40)
    memo = models.CharField(max_length=500, default="")
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="corrections")
    created_at = models.DateTimeField()
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["book", "sequence"], name="ledger_transfer_sequence_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="ledger_transfer_amount_positive"),
            models.CheckConstraint(
                condition=~Q(debit_account=F("credit_account")), name="ledger_transfer_two_accounts"
            ),
            models.CheckConstraint(
                condition=Q(kind__regex="^[a-z_]+$"), name="ledger_transfer_kind_is_a_name"
            ),
        ]
        triggers = append_only()


class DayHead(models.Model):
    """The last transfer of a book on a day of Seoul's calendar, published so that outsiders can check."""

    pk = models.CompositePrimaryKey("book_id", "day")
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="day_heads")
    day = models.DateField()
    sequence = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    published_at = models.DateTimeField()

    class Meta:
        triggers = append_only()


class Verification(models.Model):
    """One recount of everything: when, how much was read, and the first difference if there was one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    transfers = models.BigIntegerField()
    usage_records = models.BigIntegerField()
    difference = models.TextField(default="", blank=True)
    heads = models.JSONField(default=dict)

    class Meta:
        triggers = append_only()
