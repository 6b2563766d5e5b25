"""Verbs of settlement. Usage itself is posted by the gateway's SQL door alone.

Declaring a gateway process lost is in `losses`, the recount in `verification`.
"""

from django.db import connection, transaction

from dure.control.ledger import services as ledger
from dure.control.settlement.losses import confirm_lost, declare_lost, withdraw_lost
from dure.control.settlement.verification import also_verify, verify_everything

__all__ = [
    "also_verify",
    "confirm_lost",
    "declare_lost",
    "ensure_partitions",
    "publish_day_heads",
    "sweep_allotments",
    "verify_everything",
    "withdraw_lost",
]


def ensure_partitions() -> None:
    """Make the usage table's partitions for this month and the next two."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Behind a long recount it would hold up all posting of usage; two months ahead there is no hurry.
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute("SELECT settlement_ensure_partitions(2)")


def sweep_allotments() -> int:
    """Forget allotments of minutes long past and slots of finished gateway processes; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM settlement_allotment a WHERE"
            " (a.kind <> 'slots' AND a.minute < floor(extract(epoch FROM now()) / 60) - 60) OR (a.kind = 'slots'"
            " AND EXISTS (SELECT FROM settlement_gatewayprocess p WHERE p.id = a.process AND p.finished_at IS NOT NULL))"
        )
        return int(cursor.rowcount)


def publish_day_heads() -> int:
    """Fix and publish the ledger heads of past days; returns how many are new."""
    return ledger.publish_day_heads()
