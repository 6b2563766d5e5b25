from importlib.resources import files

from django.db import migrations, models

_SQL = files(__package__).joinpath("_units_and_tries.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """Usage counts more than tokens, and names each attempt."""

    dependencies = [("settlement", "0002_gateway_api")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_SQL)],
            state_operations=[
                migrations.AddField("usagerecord", "units", models.JSONField(null=True)),
                migrations.AddField("usagerecord", "tries", models.JSONField(null=True)),
                migrations.AddField("usageday", "units", models.JSONField(null=True)),
            ],
        )
    ]
