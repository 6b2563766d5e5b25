from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "dure.control.portal"
    label = "portal"
    default_auto_field = "django.db.models.BigAutoField"
