from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("foundation", "0003_calendar_feeds")]

    operations = [
        migrations.CreateModel(
            name="SharedCount",
            fields=[
                ("cache_key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("value", models.TextField()),
                ("expires", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
