from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "dure.control.calls"
    label = "calls"
    verbose_name = "Calls"

    def ready(self) -> None:
        from dure.control.calls.dates import dates_of_rounds
        from dure.control.calls.demo.building import build
        from dure.control.foundation import calendars
        from dure.control.programmes.demo.building import also_build

        calendars.provide_public(dates_of_rounds)
        also_build(build)
