"""Questions about people and organisations. Values cross; models do not."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from dure.control.foundation import clock
from dure.control.foundation.actors import AGENCY_KINDS, Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page, once_each
from dure.control.identity import rules
from dure.control.identity.everybody import every_document_state, every_group, every_profile
from dure.control.identity.membership_selectors import (
    DelegationView,
    InvitationView,
    LentRole,
    delegates_anywhere,
    delegates_with,
    delegation_of,
    delegations_concerning,
    delegations_of,
    invitation_by_token,
    invitation_for,
    invitation_of,
    invitations_for,
    invitations_of,
    lent_roles,
)
from dure.control.identity.models import (
    Membership,
    Organisation,
    Person,
    PersonalAccessToken,
    Role,
    Scope,
)
from dure.control.identity.organisation_lists import (
    Filters,
    Waiting,
    WaitingDocument,
    every_organisation,
    links_of,
    next_step,
    organisation_page,
    timeline,
    verification_queue,
    waiting,
    waiting_documents,
    waiting_links,
)
from dure.control.identity.organisation_selectors import (
    DocumentView,
    LinkView,
    OrganisationProfile,
    ProgrammeRoleView,
    document,
    documents,
    has_programme_role,
    link,
    missing_facts,
    ownership_group,
    people_with_programme_role,
    profile,
    profiles,
    programme_roles,
    roles_in_programmes,
    valid_document_kinds,
)
from dure.control.identity.programme_agencies import may_give_programme_roles

__all__ = [
    "DelegationView",
    "DocumentView",
    "Filters",
    "InvitationView",
    "LentRole",
    "LinkView",
    "MembershipView",
    "OrganisationProfile",
    "OrganisationView",
    "PersonView",
    "ProgrammeRoleView",
    "TokenView",
    "Waiting",
    "WaitingDocument",
    "actor_for",
    "actor_for_token",
    "alone",
    "delegation_of",
    "delegations_concerning",
    "delegations_of",
    "document",
    "documents",
    "every_document_state",
    "every_group",
    "every_organisation",
    "every_profile",
    "has_programme_role",
    "invitation_by_token",
    "invitation_for",
    "invitation_of",
    "invitations_for",
    "invitations_for_administrators",
    "invitations_of",
    "lent_roles",
    "link",
    "links_of",
    "may_give_programme_roles",
    "member",
    "members_of",
    "memberships_of",
    "missing_facts",
    "names_of",
    "next_step",
    "officers_to_notify",
    "organisation",
    "organisation_for",
    "organisation_page",
    "organisations",
    "ownership_group",
    "people",
    "people_names",
    "people_to_notify",
    "people_with_programme_role",
    "people_with_role",
    "person",
    "person_by_email",
    "person_views",
    "profile",
    "profile_for",
    "profiles",
    "programme_roles",
    "roles_in_programmes",
    "timeline",
    "token",
    "tokens_of",
    "valid_document_kinds",
    "verification_queue",
    "waiting",
    "waiting_documents",
    "waiting_links",
]


@dataclass(frozen=True, slots=True)
class OrganisationView:
    id: UUID
    slug: str
    kind: str
    name_ko: str
    name_en: str
    demo: bool
    active: bool

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en


@dataclass(frozen=True, slots=True)
class PersonView:
    id: UUID
    email: str
    name: str
    language: str
    active: bool
    email_verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MembershipView:
    organisation: OrganisationView
    person: PersonView
    roles: tuple[str, ...]
    valid_until: datetime | None

    @property
    def role_names(self) -> list[str]:
        """The roles in the reader's language."""
        return [str(Role(role).label) for role in self.roles]


@dataclass(frozen=True, slots=True)
class TokenView:
    id: UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    organisation: OrganisationView | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def active(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > clock.now())

    @property
    def scope_names(self) -> list[str]:
        """What it may do, in the reader's language."""
        return [str(Scope(scope).label) for scope in self.scopes]


def organisation(slug_or_id: str | UUID) -> OrganisationView:
    """By slug or id; raises `NotFound`."""
    row = _find(slug_or_id)
    if row is None:
        raise NotFound(code="organisation_not_found")
    return organisation_view(row)


def organisation_for(*, actor: Actor, slug_or_id: str | UUID) -> OrganisationView:
    """The same for an actor: others' organisations are not there."""
    view = organisation(slug_or_id)
    if not rules.may_see_organisation(actor, view.id):
        raise NotFound(code="organisation_not_found")
    return view


def profile_for(*, actor: Actor, slug_or_id: str | UUID) -> OrganisationProfile:
    """Everything about an organisation that the actor may see; raises `NotFound`."""
    return profile(organisation_for(actor=actor, slug_or_id=slug_or_id).id)


def organisations(
    *, kind: str | None = None, search: str | None = None, limit: int = 200, offset: int = 0
) -> list[OrganisationView]:
    rows = Organisation.objects.order_by("slug")
    if kind:
        rows = rows.filter(kind=kind)
    if search := _printable(search):
        rows = rows.filter(
            Q(slug__icontains=search) | Q(name_ko__icontains=search) | Q(name_en__icontains=search)
        )
    return [organisation_view(row) for row in rows[offset : offset + limit]]


@once_each
def names_of(ids: Collection[UUID]) -> dict[UUID, OrganisationView]:
    return {row.pk: organisation_view(row) for row in Organisation.objects.filter(pk__in=set(ids))}


@once_a_page
def memberships_of(person_id: UUID) -> list[MembershipView]:
    """The organisations a person may act for today, by name."""
    rows = _current(Membership.objects.filter(person_id=person_id)).order_by("organisation__name_ko")
    return [membership_view(row) for row in rows]


def members_of(organisation_id: UUID) -> list[MembershipView]:
    rows = _current(Membership.objects.filter(organisation_id=organisation_id)).order_by("person__name")
    return [membership_view(row) for row in rows]


def member(organisation_id: UUID, person_id: UUID) -> MembershipView:
    """One of an organisation's members; raises `NotFound`."""
    found = next((one for one in members_of(organisation_id) if one.person.id == person_id), None)
    if found is None:
        raise NotFound(code="membership_not_found")
    return found


def invitations_for_administrators(*, actor: Actor, organisation_id: UUID) -> list[InvitationView]:
    """An organisation's invitations; other people's addresses are its administrators' business alone."""
    if not rules.may_manage_members(actor, organisation_id):
        raise NotFound(code="invitation_not_found")
    return invitations_of(organisation_id)


def demonstration_members() -> list[MembershipView]:
    """Who may sign in for the organisations that are marked as a demonstration."""
    rows = _current(Membership.objects.filter(organisation__demo=True, person__is_active=True))
    return [membership_view(row) for row in rows]


def people(*, search: str | None = None, limit: int = 200, offset: int = 0) -> list[PersonView]:
    rows = Person.objects.order_by("email")
    if search := _printable(search):
        rows = rows.filter(Q(email__icontains=search) | Q(name__icontains=search))
    return [person_view(row) for row in rows[offset : offset + limit]]


def person(person_id: UUID) -> PersonView:
    """By id; raises `NotFound`."""
    row = Person.objects.filter(pk=person_id).first()
    if row is None:
        raise NotFound(code="person_not_found")
    return person_view(row)


def person_views(ids: Collection[UUID]) -> list[PersonView]:
    """These people, by name."""
    return [person_view(row) for row in Person.objects.filter(pk__in=set(ids)).order_by("name", "pk")]


def people_names(ids: Collection[UUID]) -> dict[UUID, str]:
    """How these people are called now; who was erased has a pseudonym, who is gone is missing."""
    return dict(Person.objects.filter(pk__in=set(ids)).values_list("pk", "name"))


def person_by_email(email: str) -> PersonView | None:
    row = Person.objects.filter(email=_printable(email).strip().lower()).first()
    return person_view(row) if row else None


def people_to_notify(organisation_id: UUID, *, roles: Collection[str]) -> list[PersonView]:
    """Members who hold one of these roles or stand in for someone who does: whom a notice about their organisation
    goes to."""
    rows = _current(Membership.objects.filter(organisation_id=organisation_id, roles__overlap=list(roles)))
    found = {row.person_id: row.person for row in rows if row.person.is_active}
    found |= {person.pk: person for person in delegates_with(organisation_id, list(roles))}
    return [person_view(person) for person in found.values()]


def officers_to_notify(*, agency_id: UUID, programme_id: UUID) -> list[PersonView]:
    """Whom a notice about a programme goes to: officers of its agency, and those of the programme alone, who must be
    members of the agency for that to count."""
    found = people_to_notify(agency_id, roles=["officer"])
    members = _current(Membership.objects.filter(organisation_id=agency_id, person__is_active=True))
    holders = {one.person_id for one in people_with_programme_role(programme_id, role="officer")}
    return list(
        {
            one.id: one
            for one in (*found, *(person_view(row.person) for row in members.filter(person__in=holders)))
        }.values()
    )


def people_with_role(role: str) -> list[PersonView]:
    """Everybody who holds this role somewhere or stands in for someone who does, once each."""
    rows = _current(Membership.objects.filter(roles__contains=[role], person__is_active=True))
    found = {row.person_id: row.person for row in rows}
    found |= {person.pk: person for person in delegates_anywhere(role)}
    return [person_view(person) for person in found.values()]


def actor_for(*, person_id: UUID, organisation_id: UUID | None = None) -> Actor:
    """The person acting for one of their organisations: the one asked for, else their first. Roles that another member
    lent them are theirs while the delegation lasts. What they are in single programmes comes along where they act for a
    ministry or an agency, for none other has programmes."""
    memberships = memberships_of(person_id)
    chosen = next((m for m in memberships if m.organisation.id == organisation_id), None)
    chosen = chosen or next(iter(memberships), None)
    if chosen is None:
        return alone(Person.objects.get(pk=person_id))
    own = frozenset(chosen.roles)
    lent = lent_roles(person_id=person_id, organisation_id=chosen.organisation.id)
    return Actor(
        kind="person",
        name=chosen.person.name,
        person_id=person_id,
        organisation_id=chosen.organisation.id,
        organisation_kind=chosen.organisation.kind,
        roles=own | {one.role for one in lent},
        programme_roles=(
            roles_in_programmes(person_id) if chosen.organisation.kind in AGENCY_KINDS else frozenset()
        ),
        on_behalf_of=tuple(
            sorted({(one.giver_id, one.giver_name) for one in lent if one.role not in own}, key=str)
        ),
    )


def alone(person: Person) -> Actor:
    """The person acting for no organisation."""
    return Actor(kind="person", name=person.name, person_id=person.pk)


def actor_for_token(secret: str) -> Actor | None:
    """Whom a personal access token speaks for; None for unknown, expired and revoked ones."""
    digest = hashlib.sha256(secret.encode()).hexdigest()
    now = clock.now()
    row = (
        PersonalAccessToken.objects.select_related("person")
        .filter(digest=digest, revoked_at=None, person__is_active=True)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .first()
    )
    if row is None:
        return None
    if row.last_used_at is None or (now - row.last_used_at).total_seconds() > 60:
        PersonalAccessToken.objects.filter(pk=row.pk).update(last_used_at=now)
    if row.organisation_id is None:
        actor = alone(row.person)
    else:
        actor = actor_for(person_id=row.person_id, organisation_id=row.organisation_id)
    # Who has left the organisation the token was made for does not act for another one by it.
    if actor.organisation_id != row.organisation_id:
        return None
    return replace(actor, scopes=frozenset(row.scopes))


def tokens_of(person_id: UUID) -> list[TokenView]:
    rows = PersonalAccessToken.objects.select_related("organisation").filter(person_id=person_id)
    return [token_view(row) for row in rows.order_by("-id")]


def token(*, actor: Actor, token_id: UUID) -> TokenView:
    """One of one's own tokens; raises `NotFound`."""
    own = tokens_of(actor.person_id) if actor.person_id else []
    found = next((token for token in own if token.id == token_id), None)
    if found is None:
        raise NotFound(code="token_not_found")
    return found


def organisation_view(row: Organisation) -> OrganisationView:
    return OrganisationView(
        id=row.pk,
        slug=row.slug,
        kind=row.kind,
        name_ko=row.name_ko,
        name_en=row.name_en,
        demo=row.demo,
        active=row.active,
    )


def person_view(row: Person) -> PersonView:
    return PersonView(
        id=row.pk,
        email=row.email,
        name=row.name,
        language=row.language,
        active=row.is_active,
        email_verified_at=row.email_verified_at,
    )


def token_view(row: PersonalAccessToken) -> TokenView:
    return TokenView(
        id=row.pk,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes),
        organisation=organisation_view(row.organisation) if row.organisation else None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def membership_view(row: Membership) -> MembershipView:
    return MembershipView(
        organisation=organisation_view(row.organisation),
        person=person_view(row.person),
        roles=tuple(row.roles),
        valid_until=row.valid_until,
    )


def _current(rows: QuerySet[Membership]) -> QuerySet[Membership]:
    now = clock.now()
    return (
        rows.select_related("organisation", "person")
        .filter(organisation__active=True, valid_from__lte=now)
        .filter(Q(valid_until=None) | Q(valid_until__gt=now))
    )


def _printable(text: str | None) -> str:
    """What PostgreSQL can compare: text without NUL and other signs that no name has."""
    return "".join(sign for sign in text or "" if sign.isprintable())


def _find(slug_or_id: str | UUID) -> Organisation | None:
    if isinstance(slug_or_id, UUID):
        return Organisation.objects.filter(pk=slug_or_id).first()
    if not slug_or_id.isprintable():
        return None
    try:
        return Organisation.objects.filter(Q(slug=slug_or_id) | Q(pk=UUID(slug_or_id))).first()
    except ValueError:
        return Organisation.objects.filter(slug=slug_or_id).first()
