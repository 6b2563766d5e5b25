"""The audit trail: every change says who, what, when, on what; and none of it can be changed unseen."""

import pytest
from django.db import Error, connection, transaction

from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.models import AuditEvent

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


def note(number: int) -> None:
    audit.record(
        actor=SYSTEM,
        action="thing.changed",
        subject_kind="thing",
        subject_id=number,
        before={"n": number},
        after={"n": number + 1, "이름": "한글"},
    )


def test_events_follow_one_another() -> None:
    for number in range(3):
        note(number)
    first, second, third = AuditEvent.objects.order_by("sequence")
    assert [first.sequence, second.sequence, third.sequence] == [1, 2, 3]
    assert bytes(second.previous_hash) == bytes(first.hash)
    assert bytes(third.previous_hash) == bytes(second.hash)
    assert audit.first_difference() is None
    (event,) = audit.events_for("thing", 1)
    assert (event.before, event.after) == ({"n": 1}, {"n": 2, "이름": "한글"})


def test_events_are_never_changed() -> None:
    note(1)
    for change in (AuditEvent.objects.all().delete, lambda: AuditEvent.objects.update(action="x")):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        (
            "UPDATE foundation_auditevent SET after = '{\"n\": 9}' WHERE sequence = 2",
            "audit event 2 was altered",
        ),
        ("DELETE FROM foundation_auditevent WHERE sequence = 2", "audit event 2 is missing"),
        ("UPDATE foundation_auditevent SET actor_name = 'x' WHERE sequence = 3", "audit event 3 was altered"),
    ],
)
def test_tampering_is_found(deed: str, found: str) -> None:
    for number in range(3):
        note(number)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(deed)
    assert found in str(audit.first_difference())


def test_an_event_belongs_to_a_transaction(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="transaction of its change"):
        note(1)
