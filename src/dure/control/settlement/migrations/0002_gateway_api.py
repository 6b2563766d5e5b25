from importlib.resources import files

from django.db import migrations

_SQL = files(__package__).joinpath("_gateway_api.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """The gateway's doors into the database, and its role."""

    dependencies = [("settlement", "0001_initial")]

    operations = [migrations.RunSQL(_SQL, "DROP SCHEMA gateway_api CASCADE")]
