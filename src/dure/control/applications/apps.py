from django.apps import AppConfig


class ApplicationsConfig(AppConfig):
    name = "dure.control.applications"
    label = "applications"
    verbose_name = "Applications"
