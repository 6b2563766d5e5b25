"""What this room puts into a person's calendar: until when each thing that waits for them has to be done."""

from collections.abc import Iterator
from uuid import UUID

from django.utils.translation import gettext

from dure.control.applications import selectors
from dure.control.foundation.calendars import Event
from dure.control.identity import selectors as identity


def deadlines_of(person_id: UUID) -> Iterator[Event]:
    """For each organisation they act for, their duties that have a deadline."""
    for membership in identity.memberships_of(person_id):
        actor = identity.actor_for(person_id=person_id, organisation_id=membership.organisation.id)
        for duty in selectors.duties(actor=actor):
            if duty.due_at is not None:
                yield Event(
                    uid=f"{duty.kind}{duty.path.replace('/', '-')}",
                    title=gettext("Deadline: %(subject)s") % {"subject": duty.subject},
                    at=duty.due_at,
                    url=duty.path,
                    text=duty.detail,
                    updated_at=duty.since,
                )
