"""What belongs to an organisation besides its people: documents, ownership, invitations, roles lent and given.

Loaded by `models`, which has organisations, people and memberships themselves.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Cast, Coalesce, Lower

from dure.contracts.ids import uuid7
from dure.control.foundation import clock
from dure.control.identity.facts import (
    DocumentKind,
    DocumentState,
    InvitationState,
    LinkKind,
    LinkState,
    ProgrammeRoleKind,
)

#: How a recursive query names an organisation outside Dure: by its registration number.
OUTSIDE = "number:"


def _node(side: str) -> Coalesce:
    text = models.CharField(max_length=48)
    # Not `Concat`, for which a missing number is an empty one: all nameless sides would be the same.
    outside = Func(
        Value(OUTSIDE),
        F(f"{side}_number"),
        template="(%(expressions)s)",
        arg_joiner=" || ",
        output_field=text,
    )
    return Coalesce(Cast(F(side), text), outside)


class OrganisationDocument(models.Model):
    """A certificate that an organisation shows, and what an officer made of it. The file itself is kept once, by its
    SHA-256."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, related_name="documents"
    )
    kind = models.CharField(max_length=32, choices=DocumentKind.choices)
    state = models.CharField(max_length=16, choices=DocumentState.choices, default=DocumentState.ASKED)
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    issued_on = models.DateField(null=True)
    valid_until = models.DateField(null=True)
    uploaded_by = models.ForeignKey("identity.Person", on_delete=models.PROTECT, null=True, related_name="+")
    uploaded_at = models.DateTimeField(default=clock.now)
    decided_by_name = models.CharField(max_length=200, default="", blank=True)
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "-id"], name="identity_document_latest"),
            models.Index(
                fields=["uploaded_at"], name="identity_document_waiting", condition=Q(state="asked")
            ),
            models.Index(
                fields=["valid_until"], name="identity_document_expiring", condition=Q(state="accepted")
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=DocumentKind.values), name="identity_document_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=DocumentState.values), name="identity_document_state_known"
            ),
            models.CheckConstraint(
                condition=Q(issued_on=None) | Q(valid_until=None) | Q(valid_until__gte=F("issued_on")),
                name="identity_document_dates",
            ),
        ]


class OwnershipLink(models.Model):
    """One organisation owns a share of another, or controls it, for a time. A side outside Dure is a name, and a
    registration number where it has one: two links that name the same number meet there."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, null=True, related_name="owning_links"
    )
    owner_name = models.CharField(max_length=200)
    owner_number = models.CharField(max_length=10, null=True)
    owned = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, null=True, related_name="owned_links"
    )
    owned_name = models.CharField(max_length=200)
    owned_number = models.CharField(max_length=10, null=True)
    kind = models.CharField(max_length=8, choices=LinkKind.choices)
    share_bp = models.IntegerField(null=True)
    valid_from = models.DateField()
    valid_until = models.DateField(null=True)
    end_asked_on = models.DateField(null=True)
    state = models.CharField(max_length=16, choices=LinkState.choices, default=LinkState.DECLARED)
    declared_by = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, null=True, related_name="+"
    )
    declared_by_name = models.CharField(max_length=200)
    declared_at = models.DateTimeField(default=clock.now)
    decided_by_name = models.CharField(max_length=200, default="", blank=True)
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, default="", blank=True)
    owner_node = models.GeneratedField(
        expression=_node("owner"), output_field=models.CharField(max_length=48, null=True), db_persist=True
    )
    owned_node = models.GeneratedField(
        expression=_node("owned"), output_field=models.CharField(max_length=48, null=True), db_persist=True
    )

    class Meta:
        indexes = [
            models.Index(fields=["owner_node"], name="identity_link_owner", condition=Q(state="confirmed")),
            models.Index(fields=["owned_node"], name="identity_link_owned", condition=Q(state="confirmed")),
            models.Index(fields=["declared_at"], name="identity_link_waiting", condition=Q(state="declared")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False) | Q(owned__isnull=False), name="identity_link_has_a_side"
            ),
            models.CheckConstraint(condition=~Q(owner=F("owned")), name="identity_link_two_sides"),
            models.CheckConstraint(
                condition=Q(kind="share", share_bp__gte=1, share_bp__lte=10_000)
                | Q(kind="control", share_bp=None),
                name="identity_link_share_or_control",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gte=F("valid_from")),
                name="identity_link_dates",
            ),
            models.CheckConstraint(condition=Q(state__in=LinkState.values), name="identity_link_state_known"),
        ]


class Invitation(models.Model):
    """An administrator asks someone to act for the organisation; the mailed link holds the nonce, so each sending makes
    the one before it worthless."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, related_name="invitations"
    )
    email = models.EmailField()
    roles = ArrayField(models.CharField(max_length=32))
    membership_until = models.DateTimeField(null=True)
    language = models.CharField(max_length=8, default="ko")
    state = models.CharField(max_length=16, choices=InvitationState.choices, default=InvitationState.OPEN)
    nonce = models.CharField(max_length=43)
    invited_by_name = models.CharField(max_length=200)
    invited_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey("identity.Person", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(Lower("email"), name="identity_invitation_email")]
        constraints = [
            models.UniqueConstraint(
                "organisation",
                Lower("email"),
                condition=Q(state="open"),
                name="identity_invitation_open_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=InvitationState.values), name="identity_invitation_state_known"
            ),
            models.CheckConstraint(condition=Q(roles__len__gt=0), name="identity_invitation_has_a_role"),
        ]


class Delegation(models.Model):
    """A person lends roles they hold in an organisation to another member of it, until a date."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        "identity.Organisation", on_delete=models.PROTECT, related_name="delegations"
    )
    giver = models.ForeignKey("identity.Person", on_delete=models.PROTECT, related_name="delegations_given")
    delegate = models.ForeignKey("identity.Person", on_delete=models.PROTECT, related_name="delegations_held")
    roles = ArrayField(models.CharField(max_length=32))
    reason = models.CharField(max_length=500)
    valid_from = models.DateTimeField(default=clock.now)
    valid_until = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["delegate", "organisation"], name="identity_delegation_held")]
        constraints = [
            models.CheckConstraint(condition=~Q(giver=F("delegate")), name="identity_delegation_two_people"),
            models.CheckConstraint(condition=Q(roles__len__gt=0), name="identity_delegation_has_a_role"),
            models.CheckConstraint(
                condition=Q(valid_until__gt=F("valid_from")), name="identity_delegation_dates"
            ),
        ]


class ProgrammeRole(models.Model):
    """What a person may do in one programme, whichever organisation they act for. Programmes are opaque ids here."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey("identity.Person", on_delete=models.PROTECT, related_name="programme_roles")
    programme_id = models.UUIDField()
    role = models.CharField(max_length=32, choices=ProgrammeRoleKind.choices)
    valid_from = models.DateTimeField(default=clock.now)
    valid_until = models.DateTimeField(null=True)
    given_by_name = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["person", "programme_id"], name="identity_programme_role_person"),
            models.Index(fields=["programme_id"], name="identity_programme_role_of"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=ProgrammeRoleKind.values), name="identity_programme_role_known"
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gte=F("valid_from")),
                name="identity_programme_role_dates",
            ),
        ]
