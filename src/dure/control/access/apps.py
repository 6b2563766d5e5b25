from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "dure.control.access"
    label = "access"
    verbose_name = "Access"
