from importlib.resources import files

import django.db.models.deletion
from django.db import migrations, models

import dure.contracts.ids

_SQL = files(__package__).joinpath("_lost_processes.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """Gateway processes may be declared lost; usage that turns up later is charged as far as there is money."""

    dependencies = [("settlement", "0003_units_and_tries")]

    operations = [
        migrations.AddField("gatewayprocess", "lost_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="LostEscrow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "process_id",
                        "award_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("process_id", models.UUIDField()),
                ("award_id", models.UUIDField()),
                ("returned_micro_won", models.BigIntegerField(default=0)),
                ("charged_micro_won", models.BigIntegerField(default=0)),
                ("uncovered_micro_won", models.BigIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["award_id"], name="lost_escrow_award")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            charged_micro_won__gte=0,
                            charged_micro_won__lte=models.F("returned_micro_won"),
                            uncovered_micro_won__gte=0,
                        ),
                        name="lost_escrow_never_charged_beyond_what_was_returned",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LossDeclaration",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=dure.contracts.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("state", models.CharField(default="requested", max_length=16)),
                ("reason", models.CharField(max_length=500)),
                ("requested_at", models.DateTimeField()),
                ("requested_by_id", models.UUIDField()),
                ("requested_by_name", models.CharField(max_length=200)),
                ("expires_at", models.DateTimeField()),
                ("waiting_micro_won", models.BigIntegerField()),
                ("decided_at", models.DateTimeField(null=True)),
                ("decided_by_id", models.UUIDField(null=True)),
                ("decided_by_name", models.CharField(blank=True, default="", max_length=200)),
                ("returned_micro_won", models.BigIntegerField(default=0)),
                (
                    "process",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="declarations",
                        to="settlement.gatewayprocess",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(state__in=("requested", "confirmed", "withdrawn", "expired")),
                        name="loss_declaration_state_known",
                    ),
                    models.CheckConstraint(
                        condition=~models.Q(state="confirmed")
                        | (
                            models.Q(decided_by_id__isnull=False)
                            & ~models.Q(decided_by_id=models.F("requested_by_id"))
                        ),
                        name="loss_declaration_needs_two_people",
                    ),
                    models.UniqueConstraint(
                        fields=["process"],
                        condition=models.Q(state__in=("requested", "confirmed")),
                        name="loss_declaration_once_at_a_time",
                    ),
                ],
            },
        ),
        migrations.RunSQL(_SQL),
    ]
