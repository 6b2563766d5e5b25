"""The audit trail: append-only, hash-chained, written in the transaction of the change it tells of."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from dure.contracts.ids import uuid7
from dure.control.foundation import clock
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
        actor_name=_name(actor),
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


#: What stands between a delegate's name and those they act for, in the trail.
ON_BEHALF_OF = " on behalf of "


def _name(actor: Actor) -> str:
    if not actor.on_behalf_of:
        return actor.name
    return f"{actor.name}{ON_BEHALF_OF}{', '.join(name for _, name in actor.on_behalf_of)}"[:200]


def _with_givers(actor: Actor, after: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not actor.on_behalf_of:
        return after
    return {**(after or {}), "on_behalf_of": [identity for identity, _ in actor.on_behalf_of]}


def events_for(subject_kind: str, subject_id: object, *, limit: int = 50) -> list[AuditEvent]:
    """The latest events about one subject, newest first."""
    return list(
        AuditEvent.objects.filter(subject_kind=subject_kind, subject_id=str(subject_id)).order_by(
            "-sequence"
        )[:limit]
    )


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
