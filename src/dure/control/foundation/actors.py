"""Who acts. Services receive an `Actor`, never a request, so that a page, a REST call, a command
and a scheduled task are judged by the same rules."""

from dataclasses import dataclass
from typing import Literal, Self
from uuid import UUID

PLATFORM_ROLES = frozenset({"officer", "operator", "auditor"})
#: Kinds of organisation that give the money, and so apply for none.
AGENCY_KINDS = frozenset({"ministry", "agency"})
#: The audience of one who is an officer in single programmes alone: no membership carries it, roles in programmes do.
PROGRAMME_OFFICER = "programme_officer"
#: Who may open what officers of a programme work with; `Actor.officer_for` then says of which programme.
OFFICERS = ("officer", PROGRAMME_OFFICER)


@dataclass(frozen=True, slots=True)
class Actor:
    """A person acting for one organisation, or the system itself, or nobody in particular."""

    kind: Literal["person", "system", "anonymous"]
    name: str
    person_id: UUID | None = None
    organisation_id: UUID | None = None
    organisation_kind: str | None = None
    roles: frozenset[str] = frozenset()
    #: What the person is in single programmes, as (programme id, role); counts for programmes of the agency acted for.
    programme_roles: frozenset[tuple[UUID, str]] = frozenset()
    #: Who lent the actor roles that they have not by themselves: (person id, name) of each.
    on_behalf_of: tuple[tuple[UUID, str], ...] = ()
    #: What a personal access token allows (`read`, `write`); None where no token speaks, which allows all.
    scopes: frozenset[str] | None = None

    @classmethod
    def system(cls, name: str) -> Self:
        """The software acting on an operator's word (command line, schedule). It may do everything."""
        return cls(kind="system", name=name)

    @classmethod
    def anonymous(cls) -> Self:
        return cls(kind="anonymous", name="")

    @property
    def is_system(self) -> bool:
        return self.kind == "system"

    @property
    def is_platform(self) -> bool:
        """Whether the actor serves the whole platform (ministry or agency), not one beneficiary."""
        return self.is_system or bool(self.roles & PLATFORM_ROLES)

    def has(self, *roles: str) -> bool:
        """Whether the actor holds any of these roles; the system holds all of them."""
        if self.is_system or not self.roles.isdisjoint(roles):
            return True
        return PROGRAMME_OFFICER in roles and bool(self.officer_programmes)

    @property
    def officer_programmes(self) -> frozenset[UUID]:
        """The programmes of which the person is an officer alone. Of them, only those of `organisation_id` count."""
        return frozenset(programme for programme, role in self.programme_roles if role == "officer")

    def officer_for(self, agency_id: UUID | None, programme_id: UUID) -> bool:
        """Whether the actor is an officer where this programme is concerned: of its agency (of any, where it has
        none), or of this programme alone while acting for its agency."""
        if self.has("officer") and (agency_id is None or self.acts_for(agency_id)):
            return True
        return agency_id is not None and self.acts_for(agency_id) and programme_id in self.officer_programmes

    @property
    def for_agency(self) -> bool:
        """Whether the actor acts for one of those that give the money."""
        return self.organisation_kind in AGENCY_KINDS

    def acts_for(self, organisation_id: UUID) -> bool:
        return self.is_system or self.organisation_id == organisation_id
