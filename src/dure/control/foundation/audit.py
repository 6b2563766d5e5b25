"""The audit trail: append-only, hash-chained, written in the transaction of the change it tells of.

The trail cannot forget, and people may ask to be forgotten. So an event about what a person did holds the
person's id and no name; who reads the trail is shown the name that the id has then, or, of somebody who was
erased, a pseudonym (docs/decisions/0013). What else an event holds is the room's choice, and must not be a
name, an address or anything else that tells who somebody is.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from dure.contracts.ids import uuid7
from dure.control.foundation import clock, reading
from dure.control.foundation.actors import Actor
from dure.control.foundation.models import AuditEvent

_GENESIS = bytes(32)
#: Advisory lock that makes the order of events the order of commits.
_CHAIN_LOCK = 0x6475_7265_0001


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), cls=DjangoJSONEncoder)


def _hash(event: AuditEvent) -> bytes:
    content = _canonical(
        [
            event.sequence,
            str(event.id),
            clock.to_unix_us(event.at),
            event.actor_kind,
            event.actor_name,
            str(event.person_id or ""),
            str(event.organisation_id or ""),
            event.action,
            event.subject_kind,
            event.subject_id,
            event.before,
            event.after,
        ]
    )
    return hashlib.sha256(bytes(event.previous_hash) + content.encode()).digest()


def record(
    *,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: object,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Append one event; must run inside the transaction of the change (which it serialises briefly).

    Whoever acts with roles that others lent them is named with those others, and `after` has their ids.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("an audit event belongs to the transaction of its change")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])
    last = AuditEvent.objects.order_by("-sequence").values_list("sequence", "hash").first()
    sequence, previous = last or (0, _GENESIS)
    event = AuditEvent(
        sequence=sequence + 1,
        id=uuid7(),
        at=clock.now(),
        actor_kind=actor.kind,
        actor_name="" if actor.person_id else actor.name,
        person_id=actor.person_id,
        organisation_id=actor.organisation_id,
        action=action,
        subject_kind=subject_kind,
        subject_id=str(subject_id),
        # Through JSON and back, so that what is hashed is what will be read from the table.
        before=json.loads(_canonical(before)),
        after=json.loads(_canonical(_with_givers(actor, after))),
        previous_hash=previous,
    )
    event.hash = _hash(event)
    event.save(force_insert=True)
    reading.forget()


#: What stands between a delegate's name and those they act for, where the trail is shown.
ON_BEHALF_OF = " on behalf of "


def _with_givers(actor: Actor, after: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not actor.on_behalf_of:
        return after
    return {**(after or {}), "on_behalf_of": [identity for identity, _ in actor.on_behalf_of]}


def events_for(subject_kind: str, subject_id: object, *, limit: int = 50) -> list[AuditEvent]:
    """The latest events about one subject, newest first; `actor_name` is the name that people have now."""
    rows = AuditEvent.objects.filter(subject_kind=subject_kind, subject_id=str(subject_id))
    return with_names(rows.order_by("-sequence")[:limit])


type FindNames = Callable[[Collection[UUID]], Mapping[UUID, str]]
_find_names: list[FindNames] = []


def find_names_with(find: FindNames) -> None:
    """The room that knows people says how they are called; this one only knows their ids."""
    _find_names[:] = [find]


def with_names(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Events to be shown: each with the name of who acted, and of whom they stood in for, as it is now."""
    shown = list(events)
    givers = {
        event.sequence: [UUID(one) for one in (event.after or {}).get("on_behalf_of", [])] for event in shown
    }
    ids = {event.person_id for event in shown if event.person_id}.union(*givers.values())
    names = dict(_find_names[0](ids)) if ids and _find_names else {}
    for event in shown:
        if event.person_id is None:
            continue
        name = names.get(event.person_id) or pseudonym(event.person_id)
        others = ", ".join(names.get(one) or pseudonym(one) for one in givers[event.sequence])
        event.actor_name = f"{name}{ON_BEHALF_OF}{others}" if others else name
    return shown


#: How the name of somebody who was erased begins; the end of their id follows.
ERASED = "erased-"


def pseudonym(person_id: UUID) -> str:
    """What stands for the name of somebody who is gone: always the same for one person, and no name."""
    return f"{ERASED}{person_id.hex[-8:]}"


def first_difference() -> str | None:
    """Recount the whole chain; the first event that does not follow from its predecessor, in words."""
    previous, expected = _GENESIS, 1
    events: Iterator[AuditEvent] = AuditEvent.objects.order_by("sequence").iterator(chunk_size=2_000)
    for event in events:
        if event.sequence != expected:
            return f"audit event {expected} is missing (found {event.sequence})"
        if bytes(event.previous_hash) != previous or bytes(event.hash) != _hash(event):
            return f"audit event {event.sequence} was altered or does not follow its predecessor"
        previous, expected = bytes(event.hash), expected + 1
    return None
