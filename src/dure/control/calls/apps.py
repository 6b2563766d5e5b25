from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "dure.control.calls"
    label = "calls"
    verbose_name = "Calls"
