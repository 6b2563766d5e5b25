from django.apps import AppConfig


class ApplicationsConfig(AppConfig):
    name = "dure.control.applications"
    label = "applications"
    verbose_name = "Applications"

    def ready(self) -> None:
        from dure.control.applications import listening

        listening.register()
