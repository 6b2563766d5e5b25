from django.apps import AppConfig


class FoundationConfig(AppConfig):
    name = "dure.control.foundation"
    label = "foundation"
    verbose_name = "Foundation"
