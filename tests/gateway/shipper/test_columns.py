"""Usage as columns: what comes out of the database is what the journal says, as by the door for JSON."""

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.contracts.usage import Attempt, UsageRecord
from dure.gateway.io.connections import Connections, DatabaseRefused
from dure.gateway.io.usage_poster import Batch, UsagePoster
from dure.gateway.protocol.usage_columns import ColumnWriter, Line, Unfit, int4_array, int8_array, uuid_array
from gateway.database import Ledger, Postgres
from gateway.journal.records import closed as a_record

from .conftest import Process

pytestmark = pytest.mark.xdist_group("gateway-database")

ROWS = """
SELECT sequence, closed_at, opened_at, first_byte_at, award_id, key_id, model, deployment_id, provider_id, price_id,
    endpoint, status, http_status, streamed, estimated, input_tokens, output_tokens, cached_tokens, cost_micro_won,
    uncovered_micro_won, attempts, error_code, units, tries, transfer_id IS NULL
FROM settlement_usagerecord WHERE process_id = %s ORDER BY sequence
"""
DAYS = """
SELECT day, award_id, model, deployment_id, status, provider_id, calls, input_tokens, output_tokens, cached_tokens,
    cost_micro_won, last_closed_at, units
FROM settlement_usageday WHERE key_id = %s ORDER BY 1, 2, 3, 4, 5
"""
MIDNIGHT = 1_767_193_200_000_000  # 2026-01-01 00:00 in Seoul, where the year and the day begin


def text(records: list[UsageRecord]) -> list[tuple[int, bytes]]:
    return [(record.sequence, msgspec.json.encode(record)) for record in records]


def batch_of(closed: list[tuple[int, bytes]]) -> Batch:
    batch = Batch()
    batch.add(closed)
    batch.pack()
    return batch


def post(server: Postgres, root: Path, process: UUID, batch: Batch) -> UsagePoster:
    async def run() -> UsagePoster:
        connections = Connections(server.gateway_dsn, "test", count=1)
        try:
            poster = UsagePoster(connections, root / "refused")
            await poster.post(process, batch)
            return poster
        finally:
            await connections.close()

    return asyncio.run(run())


def various(process: Process, awards: list[UUID], key: UUID) -> list[UsageRecord]:
    """Records that differ in everything in which records may differ, on both sides of a midnight."""
    records = []
    for number in range(60):
        changes: dict[str, object] = {
            "key": key,
            "request_id": uuid7(),
            "model": ("small", "모델 '큰' \"\\ %s", "large")[number % 3],
            "opened_at": MIDNIGHT - 1_700_000 * (60 - number),
            "closed_at": MIDNIGHT + 1_700_001 * (number - 30),
            "cost_micro_won": number * 11 if number % 4 else 0,
            "input_tokens": number,
            "cached_tokens": number // 2,
        }
        if number % 3:
            changes["first_byte_at"] = MIDNIGHT - 1_000_003 * (60 - number)
        if number % 5 == 0:
            changes |= {"units": {"reasoning": number, "image": 1}, "uncovered_micro_won": number}
        if number % 7 == 0:
            tries = [
                Attempt(deployment=uuid7(), outcome="timeout", ms=3),
                Attempt(deployment=uuid7(), outcome="answered"),
            ]
            changes |= {"tries": tries, "attempts": 2, "status": "failed", "error_code": "upstream_timeout"}
        if number % 11 == 0:
            changes |= {"status": "cancelled", "estimated": True, "streamed": False, "http_status": 499}
        records.append(a_record(number + 1, award=awards[number % len(awards)], **changes))
    return records


def test_both_doors_write_the_same(server: Postgres, ledger: Ledger, root: Path) -> None:
    awards = [ledger.grant(10**9) for _ in range(2)]
    found = []
    batches = {}
    for door in ("columns", "json"):
        process = Process(root, ledger)
        for award in awards:
            process.lease(award, 10**6)
        key = uuid7()
        batches[door] = batch_of(text(various(process, awards, key)))
        if door == "json":
            batches[door].columns = None
        post(server, root, process.id, batches[door])
        rows = ledger.connection.execute(ROWS, (process.id,)).fetchall()
        found.append(
            ([row[:5] + row[6:23] for row in rows], ledger.connection.execute(DAYS, (key,)).fetchall())
        )
        assert [len(row[23] or ()) for row in rows] == [2 * (number % 7 == 0) for number in range(60)]
        assert sum(row[18] for row in rows) == sum(number * 11 for number in range(60) if number % 4)
    assert batches["columns"].columns is not None
    assert found[0] == found[1]
    assert len(found[0][0]) == 60


def test_a_batch_that_was_posted_changes_nothing_more(server: Postgres, ledger: Ledger, root: Path) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    batch = batch_of(text([process.closed(award) for _ in range(5)]))
    for _ in range(3):
        post(server, root, process.id, batch)
    assert [row[0] for row in process.posted()] == [1, 2, 3, 4, 5]
    assert ledger.balance(award, "escrow") == process.leased - 5 * 10_320

    # The mark stands in the middle of what comes now: what lies behind it is posted, and nothing else.
    more = batch_of([*batch.closed, *text([process.closed(award) for _ in range(2)])])
    post(server, root, process.id, more)
    assert [row[0] for row in process.posted()] == [1, 2, 3, 4, 5, 6, 7]
    assert ledger.balance(award, "escrow") == process.leased - 7 * 10_320


@pytest.mark.parametrize(
    "changes",
    [
        {"cached_tokens": 39},
        {"cost_micro_won": 10**12},
        {"status": "lost"},
        {"error_code": "x" * 61},
        {"input_tokens": 1 << 70},
        {"model": "nul \0"},
    ],
    ids=str,
)
def test_one_bad_record_does_not_stand_in_the_way(
    server: Postgres, ledger: Ledger, root: Path, changes: dict[str, object]
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    records = [process.closed(award, **(changes if number == 3 else {})) for number in range(1, 8)]

    poster = post(server, root, process.id, batch_of(text(records)))

    assert (poster.posted_records, poster.refused_records) == (6, 1)
    assert [row[3] for row in process.posted()] == [10_320, 10_320, 0, 10_320, 10_320, 10_320, 10_320]
    assert [path.name for path in (root / "refused").iterdir()] == [f"{process.id}-{3:012d}.json"]


def test_the_door_refuses_what_is_not_whole(server: Postgres, ledger: Ledger, root: Path) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    columns = batch_of(text([process.closed(award) for _ in range(3)])).columns
    assert columns is not None
    short = columns._replace(numbers=[*columns.numbers[:6], int8_array([1, 2])])
    strange = columns._replace(kind_of=int4_array([0, 0, 7]))
    for wrong in (short, strange):
        with pytest.raises(DatabaseRefused, match=r"different lengths|known kind"):
            _post_columns(server, root, process.id, 3, wrong)
    with pytest.raises(DatabaseRefused, match="different lengths"):
        _post_columns(server, root, process.id, 4, columns)
    assert process.posted() == []
    assert ledger.balance(award, "escrow") == process.leased


def _post_columns(server: Postgres, root: Path, process: UUID, up_to: int, columns) -> None:
    async def run() -> None:
        connections = Connections(server.gateway_dsn, "test", count=1)
        try:
            await UsagePoster(connections, root / "refused")._post_columns(process, 0, up_to, columns)
        finally:
            await connections.close()

    asyncio.run(run())


def test_a_gateway_of_an_earlier_release_posts_by_its_own_door(
    server: Postgres, ledger: Ledger, root: Path
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    closed = text([process.closed(award) for _ in range(4)])
    with psycopg.connect(server.gateway_dsn, autocommit=True) as gateway:
        old = "[" + ",".join(line.decode() for _, line in closed[:2]) + "]"
        assert gateway.execute(gateway_api.POST_USAGE, (process.id, 0, 2, old)).fetchone() == (2,)
    post(server, root, process.id, batch_of(closed[2:]))
    assert [row[0] for row in process.posted()] == [1, 2, 3, 4]
    assert ledger.balance(award, "escrow") == process.leased - 4 * 10_320


# The encoding alone


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.integers(-(2**31), 2**31 - 1)),
    st.lists(st.uuids()),
)
def test_arrays_are_what_postgresql_reads(numbers: list[int], small: list[int], ids: list[UUID]) -> None:
    if numbers:
        assert int8_array(numbers) == _reference(20, [number.to_bytes(8, signed=True) for number in numbers])
    if small:
        assert int4_array(small) == _reference(23, [number.to_bytes(4, signed=True) for number in small])
    if ids:
        assert uuid_array([one.bytes for one in ids]) == _reference(2950, [one.bytes for one in ids])


def _reference(oid: int, elements: list[bytes]) -> bytes:
    head = b"".join(value.to_bytes(4) for value in (1, 0, oid, len(elements), 1))
    return head + b"".join(len(element).to_bytes(4) + element for element in elements)


@pytest.mark.parametrize(
    "changed",
    [
        b"{}", b"not json", b'{"sequence":1}', b"\xff",
        msgspec.json.encode(a_record(2)),
        msgspec.json.encode(a_record(1)).replace(b"0190", b"019x", 1),
        msgspec.json.encode(a_record(1, closed_at=-1)),
    ],
)  # fmt: skip
def test_what_is_no_sound_record_of_ours_goes_another_way(changed: bytes) -> None:
    with pytest.raises(Unfit):
        ColumnWriter().add([(1, changed)])


def test_a_field_that_the_record_gains_is_not_lost_on_the_way() -> None:
    """Columns know the record of today; anything more goes as JSON, whole, until there is a column for it."""
    assert Line.__struct_fields__ == UsageRecord.__struct_fields__
    closed = (1, b'{"request_id":"01a21254-8e83-7e5a-931b-da5950c18409","sequence":1,"gained":1}')
    with pytest.raises(Unfit, match="gained"):
        ColumnWriter().add([closed])
