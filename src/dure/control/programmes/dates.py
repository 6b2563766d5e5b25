"""What this room puts into a person's calendar: the end of each award that is theirs to use."""

from collections.abc import Iterator
from uuid import UUID

from django.utils.translation import gettext

from dure.control.foundation import exports
from dure.control.foundation.calendars import Event
from dure.control.identity import selectors as identity
from dure.control.programmes import selectors


def ends_of_awards(person_id: UUID) -> Iterator[Event]:
    """Of the organisations a person uses awards for; who serves the platform has the lists instead."""
    for membership in identity.memberships_of(person_id):
        actor = identity.actor_for(person_id=person_id, organisation_id=membership.organisation.id)
        if actor.is_platform:
            continue
        awards: Iterator[selectors.AwardView] = exports.every(
            lambda page, actor=actor: selectors.awards(  # type: ignore[misc]
                actor=actor,
                organisation_id=actor.organisation_id,
                state="open",
                page=page,
                page_size=100,
            )
        )
        for award in awards:
            if award.valid_until is not None:
                yield Event(
                    uid=f"award-end-{award.id}",
                    title=gettext("The award ends: %(name)s") % {"name": award.name},
                    at=award.valid_until,
                    url=f"/awards/{award.id}/",
                    text=gettext("What is left of it then goes back to the programme."),
                    updated_at=award.created_at,
                )
