from django.db import migrations, models

import dure.contracts.ids


class Migration(migrations.Migration):
    dependencies = [
        ("foundation", "0002_files_and_notices"),
    ]

    operations = [
        migrations.CreateModel(
            name="CalendarFeed",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=dure.contracts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("person_id", models.UUIDField(unique=True)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField()),
                ("last_read_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
