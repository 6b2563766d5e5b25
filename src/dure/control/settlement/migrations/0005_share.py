from importlib.resources import files

from django.db import migrations

_SQL = files(__package__).joinpath("_share.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """Gateway processes learn how many they are, and so keep the deployments' limits together."""

    dependencies = [("settlement", "0004_lost_processes")]

    operations = [migrations.RunSQL(_SQL)]
