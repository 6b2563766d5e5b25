"""Questions about organisations beyond their names: facts, documents, group. Read through `selectors`, the room's door."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from dure.control.foundation import clock
from dure.control.foundation.errors import NotFound, Text
from dure.control.foundation.reading import once_a_page, once_each
from dure.control.identity import facts
from dure.control.identity.models import Organisation, OrganisationDocument, OwnershipLink, ProgrammeRole
from dure.control.identity.organisation_models import OUTSIDE

#: From this share on (basis points), an owner controls.
CONTROLLING_SHARE_BP = 5_000

_GROUP = """
WITH RECURSIVE reached (node) AS (
    SELECT node::varchar FROM unnest(%(nodes)s::varchar[]) AS start (node)
  UNION
    SELECT CASE WHEN link.owner_node = reached.node THEN link.owned_node ELSE link.owner_node END
    FROM reached
    JOIN identity_ownershiplink AS link ON reached.node IN (link.owner_node, link.owned_node)
    WHERE link.state = 'confirmed'
      AND link.valid_from <= %(day)s AND (link.valid_until IS NULL OR link.valid_until >= %(day)s)
      AND (link.kind = 'control' OR link.share_bp >= %(controlling)s)
)
SELECT node FROM reached WHERE node IS NOT NULL AND node NOT LIKE %(outside)s
"""


@dataclass(frozen=True, slots=True)
class OrganisationProfile:
    """Everything an organisation says about itself, and whether an officer has verified it."""

    id: UUID
    slug: str
    kind: str
    name_ko: str
    name_en: str
    demo: bool
    active: bool
    registration_number: str | None
    size_class: str | None
    founded_on: date | None
    region: str | None
    employees: int | None
    website: str
    verification_state: str
    verification_asked_at: datetime | None
    verification_reason: str
    verified_at: datetime | None

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en

    @property
    def verified(self) -> bool:
        return self.verification_state == facts.VerificationState.VERIFIED

    @property
    def completeness(self) -> int:
        """How much of the profile is said, in percent."""
        return sum(bool(getattr(self, name)) for name in facts.FIELD_TITLES) * 100 // len(facts.FIELD_TITLES)

    @property
    def number(self) -> str:
        """The registration number as certificates write it."""
        return facts.shown_registration_number(self.registration_number)

    @property
    def size_name(self) -> str:
        return str(facts.SizeClass(self.size_class).label) if self.size_class else ""

    @property
    def region_name(self) -> str:
        return str(facts.Region(self.region).label) if self.region else ""


@dataclass(frozen=True, slots=True)
class DocumentView:
    """`file` is the SHA-256 of its content."""

    id: UUID
    organisation_id: UUID
    kind: str
    state: str
    file: str
    name: str
    size: int
    media_type: str
    issued_on: date | None
    valid_until: date | None
    uploaded_at: datetime
    uploaded_by_name: str
    decided_at: datetime | None
    decided_by_name: str
    reason: str

    @property
    def kind_name(self) -> str:
        return str(facts.DocumentKind(self.kind).label)

    @property
    def in_date(self) -> bool:
        return self.valid_until is None or self.valid_until >= today()

    @property
    def shown_state(self) -> str:
        """Its state, and `expired` where an accepted one is out of date."""
        return "expired" if self.state == "accepted" and not self.in_date else self.state


@dataclass(frozen=True, slots=True)
class LinkView:
    """One organisation owns (part of) another. A side without an id is outside Dure, or not yet known to be the same."""

    id: UUID
    owner_id: UUID | None
    owner_name: str
    owner_number: str | None
    owned_id: UUID | None
    owned_name: str
    owned_number: str | None
    kind: str
    share_bp: int | None
    valid_from: date
    valid_until: date | None
    end_asked_on: date | None
    state: str
    declared_by_id: UUID | None
    declared_by_name: str
    declared_at: datetime
    decided_at: datetime | None
    decided_by_name: str
    reason: str

    @property
    def kind_name(self) -> str:
        return str(facts.LinkKind(self.kind).label)

    @property
    def share(self) -> str:
        """In percent, without decimals that say nothing."""
        return "" if self.share_bp is None else f"{self.share_bp / 100:g}%"

    @property
    def page_of(self) -> UUID | None:
        """A side that is registered here: whose page shows the link."""
        return self.owned_id or self.owner_id

    @property
    def controls(self) -> bool:
        """Whether it makes a group, once it is confirmed."""
        return self.kind == facts.LinkKind.CONTROL or (self.share_bp or 0) >= CONTROLLING_SHARE_BP

    @property
    def shown_state(self) -> str:
        """Its state, and `ended` where the last day of a confirmed one is past."""
        past = self.valid_until is not None and self.valid_until < today()
        return "ended" if self.state == "confirmed" and past else self.state


@dataclass(frozen=True, slots=True)
class ProgrammeRoleView:
    id: UUID
    person_id: UUID
    person_name: str
    person_email: str
    programme_id: UUID
    role: str
    valid_from: datetime
    valid_until: datetime | None
    given_by_name: str
    reason: str

    @property
    def role_name(self) -> str:
        return str(facts.ProgrammeRoleKind(self.role).label)


@dataclass(frozen=True, slots=True)
class MissingFact:
    """A part of the profile that is not said, by its field and its name on forms."""

    name: str
    title: Text


def missing_facts(profile: OrganisationProfile) -> list[MissingFact]:
    """What must be said before an officer can verify the organisation."""
    lacking = [name for name in facts.NEEDED_FACTS if getattr(profile, name) is None]
    return [MissingFact(name, facts.FIELD_TITLES[name]) for name in lacking]


def today() -> date:
    """The day of the calendar in Seoul."""
    return clock.now().astimezone(clock.SEOUL).date()


def profile(organisation_id: UUID) -> OrganisationProfile:
    """Everything about one organisation; raises `NotFound`."""
    found = profiles([organisation_id]).get(organisation_id)
    if found is None:
        raise NotFound(code="organisation_not_found")
    return found


@once_each
def profiles(organisation_ids: Collection[UUID]) -> dict[UUID, OrganisationProfile]:
    rows = Organisation.objects.filter(pk__in=set(organisation_ids))
    return {row.pk: profile_view(row) for row in rows}


@once_a_page
def ownership_group(organisation_id: UUID) -> frozenset[UUID]:
    """The organisation and all that are bound to it by confirmed control: half of the capital or more, or control that
    was declared, upwards and downwards, over any number of steps, also by way of organisations outside Dure.

    Relations are those of today. One query, whatever the size; circles end it.
    """
    return _reached([str(organisation_id)]) | {organisation_id}


def document(organisation_id: UUID, document_id: UUID) -> DocumentView:
    """One document of an organisation; raises `NotFound`."""
    found = next((view for view in documents(organisation_id) if view.id == document_id), None)
    if found is None:
        raise NotFound(code="document_not_found")
    return found


def link(organisation_id: UUID, link_id: UUID) -> LinkView:
    """One link of an organisation; raises `NotFound`."""
    rows = OwnershipLink.objects.filter(Q(owner=organisation_id) | Q(owned=organisation_id), pk=link_id)
    row = rows.first()
    if row is None:
        raise NotFound(code="link_not_found")
    return link_view(row)


@once_a_page
def documents(organisation_id: UUID) -> list[DocumentView]:
    """Documents of an organisation, latest first; withdrawn ones are left out."""
    rows = (
        OrganisationDocument.objects.select_related("uploaded_by")
        .filter(organisation_id=organisation_id)
        .exclude(state=facts.DocumentState.WITHDRAWN)
        .order_by("-id")
    )
    return [document_view(row) for row in rows]


def valid_document_kinds(organisation_id: UUID) -> frozenset[str]:
    """Kinds of which the organisation has a document that is accepted and in date."""
    rows = OrganisationDocument.objects.filter(
        Q(valid_until=None) | Q(valid_until__gte=today()),
        organisation_id=organisation_id,
        state=facts.DocumentState.ACCEPTED,
    )
    return frozenset(rows.values_list("kind", flat=True))


def programme_roles(person_id: UUID) -> list[ProgrammeRoleView]:
    """What a person is in single programmes, as of now."""
    return [programme_role_view(row) for row in _current_roles().filter(person_id=person_id)]


def roles_in_programmes(person_id: UUID) -> frozenset[tuple[UUID, str]]:
    """The same as (programme id, role), for `Actor.programme_roles`."""
    return frozenset(_current_roles().filter(person_id=person_id).values_list("programme_id", "role"))


def people_with_programme_role(programme_id: UUID, *, role: str | None = None) -> list[ProgrammeRoleView]:
    """Who is officer or reviewer of one programme alone, as of now, by name."""
    rows = _current_roles().filter(programme_id=programme_id)
    return [programme_role_view(row) for row in (rows.filter(role=role) if role else rows)]


def has_programme_role(*, person_id: UUID | None, programme_id: UUID, role: str) -> bool:
    """Whether a person holds a role in one programme, as of now."""
    if person_id is None:
        return False
    return _current_roles().filter(person_id=person_id, programme_id=programme_id, role=role).exists()


def _current_roles() -> QuerySet[ProgrammeRole]:
    now = clock.now()
    return (
        ProgrammeRole.objects.select_related("person")
        .filter(Q(valid_until=None) | Q(valid_until__gt=now), valid_from__lte=now)
        .order_by("person__name", "id")
    )


def _reached(nodes: Iterable[str]) -> frozenset[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            _GROUP,
            {
                "nodes": list(nodes),
                "day": today(),
                "controlling": CONTROLLING_SHARE_BP,
                "outside": f"{OUTSIDE}%",
            },
        )
        return frozenset(UUID(node) for (node,) in cursor.fetchall())


def profile_view(row: Organisation) -> OrganisationProfile:
    return OrganisationProfile(
        id=row.pk, **{name: getattr(row, name) for name in OrganisationProfile.__slots__ if name != "id"}
    )


def document_view(row: OrganisationDocument) -> DocumentView:
    return DocumentView(
        id=row.pk,
        organisation_id=row.organisation_id,
        kind=row.kind,
        state=row.state,
        file=row.sha256,
        name=row.name,
        size=row.size,
        media_type=row.media_type,
        issued_on=row.issued_on,
        valid_until=row.valid_until,
        uploaded_at=row.uploaded_at,
        uploaded_by_name=row.uploaded_by.name if row.uploaded_by else "",
        decided_at=row.decided_at,
        decided_by_name=row.decided_by_name,
        reason=row.reason,
    )


def link_view(row: OwnershipLink) -> LinkView:
    return LinkView(id=row.pk, **{name: getattr(row, name) for name in LinkView.__slots__ if name != "id"})


def programme_role_view(row: ProgrammeRole) -> ProgrammeRoleView:
    return ProgrammeRoleView(
        id=row.pk,
        person_id=row.person_id,
        person_name=row.person.name,
        person_email=row.person.email,
        programme_id=row.programme_id,
        role=row.role,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        given_by_name=row.given_by_name,
        reason=row.reason,
    )
