from importlib.resources import files

from django.db import migrations

_SQL = files(__package__).joinpath("_usage_columns.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """A door that takes usage as columns; the one that takes JSON stays for gateways of earlier releases."""

    dependencies = [("settlement", "0006_allotments")]

    operations = [migrations.RunSQL(_SQL)]
