from importlib.resources import files

from django.db import migrations

_SQL = files(__package__).joinpath("_allotments.sql").read_text(encoding="utf-8")

_BACK = """
DROP FUNCTION gateway_api.allot, gateway_api.recall_slots;
DROP INDEX settlement_process_alive;
DROP TABLE settlement_allotment;
"""


class Migration(migrations.Migration):
    """Limits of awards and keys hold over all gateway processes: what each was allotted."""

    dependencies = [("settlement", "0005_share")]

    operations = [migrations.RunSQL(_SQL, _BACK)]
