from django.apps import AppConfig


class ApplicationsConfig(AppConfig):
    name = "dure.control.applications"
    label = "applications"
    verbose_name = "Applications"

    def ready(self) -> None:
        from dure.control.applications import listening
        from dure.control.applications.dates import deadlines_of
        from dure.control.foundation import calendars

        listening.register()
        calendars.provide(deadlines_of)
