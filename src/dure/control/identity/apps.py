from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "dure.control.identity"
    label = "identity"
    verbose_name = "Identity"

    def ready(self) -> None:
        from dure.control.foundation import audit
        from dure.control.identity import (
            selectors,
            signals,  # noqa: F401 - registers the sign-in history
        )

        audit.find_names_with(selectors.people_names)
