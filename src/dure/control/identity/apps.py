from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "dure.control.identity"
    label = "identity"
    verbose_name = "Identity"

    def ready(self) -> None:
        from dure.control.identity import signals  # noqa: F401 - registers the sign-in history
