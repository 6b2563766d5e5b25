from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "dure.control.calls"
    label = "calls"
    verbose_name = "Calls"

    def ready(self) -> None:
        from dure.control.calls.dates import open_calls
        from dure.control.foundation import calendars

        calendars.provide_public(open_calls)
