"""Publishing to the gateway: versions in commit order, nothing for what does not change."""

import threading

import pytest
from django.db import connection, connections, transaction

from dure.contracts.directory import DECODERS, KeyEntry
from dure.control.foundation import directory
from dure.control.foundation.models import DirectoryEntry


def entry(number: int, **changes: object) -> KeyEntry:
    return KeyEntry(**({"id": f"key-{number}", "digest": "d", "award": "a", "prefix": "p"} | changes))  # type: ignore[arg-type]


def rows() -> list[tuple[str, int, str | None]]:
    return list(DirectoryEntry.objects.order_by("version").values_list("entry_id", "version", "payload"))


@pytest.mark.django_db
def test_an_entry_is_replaced_under_a_new_version() -> None:
    directory.publish("key", entry(1))
    directory.publish("key", entry(2))
    directory.publish("key", entry(1, prefix="other"))
    assert [(name, version) for name, version, _ in rows()] == [("key-2", 2), ("key-1", 3)]
    assert DECODERS["key"].decode(rows()[1][2] or "") == entry(1, prefix="other")


@pytest.mark.django_db
def test_what_stands_already_gets_no_new_version() -> None:
    directory.publish("key", entry(1))
    directory.publish("key", entry(1))
    assert rows()[0][1] == 1


@pytest.mark.django_db
def test_what_is_withdrawn_stays_as_a_mark_for_those_who_have_it() -> None:
    directory.publish("key", entry(1))
    directory.withdraw("key", "key-1")
    assert rows() == [("key-1", 2, None)]


def test_publishing_outside_a_transaction_is_a_mistake(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="transaction of its change"):
        directory.publish("key", entry(1))


def test_versions_become_visible_in_their_order(transactional_db: None) -> None:
    """While one publication is open the next one waits, so no reader sees 2 and misses 1."""
    published = threading.Event()

    def second() -> None:
        try:
            with transaction.atomic():
                directory.publish("key", entry(2))
            published.set()
        finally:
            connections.close_all()

    with transaction.atomic():
        directory.publish("key", entry(1))
        thread = threading.Thread(target=second)
        thread.start()
        assert not published.wait(0.3)
    thread.join(10)
    assert [(name, version) for name, version, _ in rows()] == [("key-1", 1), ("key-2", 2)]
    assert connection.in_atomic_block is False
