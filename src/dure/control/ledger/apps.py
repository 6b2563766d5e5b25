from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "dure.control.ledger"
    label = "ledger"
    verbose_name = "Ledger"
