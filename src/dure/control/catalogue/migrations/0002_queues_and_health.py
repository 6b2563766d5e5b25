from django.db import migrations, models


class Migration(migrations.Migration):
    """Deployments say how many calls may wait for a place, for how long, and where their health is asked."""

    dependencies = [("catalogue", "0001_initial")]

    operations = [
        migrations.AddField("deployment", "queue_limit", models.IntegerField(default=256)),
        migrations.AddField("deployment", "queue_timeout_ms", models.IntegerField(default=10_000)),
        migrations.AddField(
            "deployment", "health_path", models.CharField(blank=True, default="", max_length=500)
        ),
    ]
