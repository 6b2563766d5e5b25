from django.apps import AppConfig


class SettlementConfig(AppConfig):
    name = "dure.control.settlement"
    label = "settlement"
    verbose_name = "Settlement"
