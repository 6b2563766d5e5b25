from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "dure.control.catalogue"
    label = "catalogue"
    verbose_name = "Catalogue"
