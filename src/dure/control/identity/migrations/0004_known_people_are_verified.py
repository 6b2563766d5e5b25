"""Who was here before registration opened was added by an administrator: their address counts as verified."""

from typing import Any

from django.db import migrations
from django.db.models import F


def verify(apps: Any, _schema_editor: Any) -> None:
    person = apps.get_model("identity", "Person")
    address = apps.get_model("account", "EmailAddress")
    person.objects.filter(email_verified_at=None).update(email_verified_at=F("created_at"))
    known = set(address.objects.values_list("user_id", flat=True))
    address.objects.bulk_create(
        (
            address(user_id=pk, email=email.lower(), verified=True, primary=True)
            for pk, email in person.objects.values_list("pk", "email").iterator()
            if pk not in known
        ),
        batch_size=2_000,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0003_people"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [migrations.RunPython(verify, migrations.RunPython.noop)]
