from django.apps import AppConfig


class ProgrammesConfig(AppConfig):
    name = "dure.control.programmes"
    label = "programmes"
    verbose_name = "Programmes"

    def ready(self) -> None:
        from dure.control.programmes.verification import first_difference
        from dure.control.settlement.services import also_verify

        also_verify(first_difference)
