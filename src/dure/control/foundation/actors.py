"""Who acts. Services receive an `Actor`, never a request, so that a page, a REST call, a command
and a scheduled task are judged by the same rules."""

from dataclasses import dataclass
from typing import Literal, Self
from uuid import UUID

PLATFORM_ROLES = frozenset({"officer", "operator", "auditor"})


@dataclass(frozen=True, slots=True)
class Actor:
    """A person acting for one organisation, or the system itself, or nobody in particular."""

    kind: Literal["person", "system", "anonymous"]
    name: str
    person_id: UUID | None = None
    organisation_id: UUID | None = None
    organisation_kind: str | None = None
    roles: frozenset[str] = frozenset()
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
        return self.is_system or not self.roles.isdisjoint(roles)

    def acts_for(self, organisation_id: UUID) -> bool:
        return self.is_system or self.organisation_id == organisation_id
