"""Publishing to the gateway's directory, in the transaction of the change itself."""

import msgspec
from django.db import connection, transaction

from dure.contracts.directory import NOTIFY_CHANNEL, DirectoryEntry, DirectoryKind

#: Publications take turns, so that versions are visible in the order of their numbers and a reader
#: that asks for "everything above version N" never misses one that commits late.
_PUBLICATION_LOCK = 0x6475_7265_0002

_UPSERT = """
INSERT INTO foundation_directoryentry (kind, entry_id, version, payload)
SELECT %(kind)s, %(entry_id)s, coalesce(max(version), 0) + 1, %(payload)s FROM foundation_directoryentry
ON CONFLICT (kind, entry_id) DO UPDATE SET version = excluded.version, payload = excluded.payload
WHERE foundation_directoryentry.payload IS DISTINCT FROM excluded.payload
"""


def publish(kind: DirectoryKind, entry: DirectoryEntry) -> None:
    """Create or replace an entry. Publishing what stands already changes nothing."""
    _write(kind, entry.id, msgspec.json.encode(entry).decode())


def withdraw(kind: DirectoryKind, entry_id: object) -> None:
    """Take an entry away; gateways refuse it within a second of the commit."""
    _write(kind, str(entry_id), None)


def version() -> int:
    """The latest version there is: what a gateway that is up to date has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(version), 0) FROM foundation_directoryentry")
        (latest,) = cursor.fetchone()
    return int(latest)


def _write(kind: DirectoryKind, entry_id: str, payload: str | None) -> None:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a directory entry is published in the transaction of its change")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PUBLICATION_LOCK])
        cursor.execute(_UPSERT, {"kind": kind, "entry_id": entry_id, "payload": payload})
        cursor.execute("SELECT pg_notify(%s, '')", [NOTIFY_CHANNEL])
