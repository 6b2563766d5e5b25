from django.apps import AppConfig


class ProgrammesConfig(AppConfig):
    name = "dure.control.programmes"
    label = "programmes"
    verbose_name = "Programmes"

    def ready(self) -> None:
        from dure.control.foundation import calendars
        from dure.control.identity.services import ask_whose_programme
        from dure.control.programmes.dates import ends_of_awards
        from dure.control.programmes.selectors import agency_of
        from dure.control.programmes.verification import first_difference
        from dure.control.settlement.services import also_verify

        also_verify(first_difference)
        ask_whose_programme(agency_of)
        calendars.provide(ends_of_awards)
