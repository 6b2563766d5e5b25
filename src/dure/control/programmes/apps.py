from django.apps import AppConfig


class ProgrammesConfig(AppConfig):
    name = "dure.control.programmes"
    label = "programmes"
    verbose_name = "Programmes"
