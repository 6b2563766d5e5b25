"""Verbs of settlement. Usage itself is posted by the gateway's SQL door alone.

Declaring a gateway process lost is in `losses`, the recount in `verification`.
"""

from django.db import connection, transaction

from dure.control.ledger import services as ledger
from dure.control.settlement.losses import confirm_lost, declare_lost, withdraw_lost
from dure.control.settlement.verification import verify_everything

__all__ = [
    "confirm_lost",
    "declare_lost",
    "ensure_partitions",
    "publish_day_heads",
    "verify_everything",
    "withdraw_lost",
]


def ensure_partitions() -> None:
    """Make the usage table's partitions for this month and the next two."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Behind a long recount it would hold up all posting of usage; two months ahead there is no hurry.
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute("SELECT settlement_ensure_partitions(2)")


def publish_day_heads() -> int:
    """Fix and publish the ledger heads of past days; returns how many are new."""
    return ledger.publish_day_heads()
