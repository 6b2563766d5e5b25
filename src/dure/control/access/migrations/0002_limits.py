from django.db import migrations, models


class Migration(migrations.Migration):
    """Keys have limits of their own, and awards may name networks."""

    dependencies = [("access", "0001_initial")]

    operations = [
        migrations.AddField("entitlement", "networks", models.JSONField(default=list)),
        migrations.AddField("apikey", "valid_from", models.DateTimeField(null=True)),
        migrations.AddField("apikey", "model_names", models.JSONField(default=list)),
        migrations.AddField("apikey", "networks", models.JSONField(default=list)),
        migrations.AddField("apikey", "requests_per_minute", models.IntegerField(null=True)),
        migrations.AddField("apikey", "tokens_per_minute", models.IntegerField(null=True)),
        migrations.AddField("apikey", "concurrency", models.IntegerField(null=True)),
    ]
