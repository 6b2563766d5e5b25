"""Whom identity tells of what."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from dure.control.foundation import notices
from dure.control.identity import selectors
from dure.control.identity.selectors import PersonView


def page_of(organisation: Any, name: str = "") -> str:
    """The address of an organisation's page, or of one below it."""
    return f"/organisations/{organisation.slug}/{name}"


def administrators(organisation_id: UUID, **notice: Any) -> None:
    """Tell the organisation's administrators (the keywords of `foundation.notices.tell`)."""
    people(selectors.people_to_notify(organisation_id, roles=["administrator"]), **notice)


def people(to: Iterable[PersonView], **notice: Any) -> None:
    """Tell these people; a notice in the portal and a mail, each in their language."""
    notices.tell(to=to, **notice)
