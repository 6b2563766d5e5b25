"""One PostgreSQL for these tests, and gateway processes that tests can write journals for."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord
from dure.gateway.io.journal import segment_path
from dure.gateway.protocol import journal
from gateway.database import Ledger, Postgres, postgres
from gateway.journal.records import closed, opened

COST = 10_320


class Process:
    """A gateway process as its journal and the database know it."""

    def __init__(self, root: Path, ledger: Ledger, *, known: bool = True) -> None:
        self.id = uuid7()
        self.folder = root / str(self.id)
        self.folder.mkdir(parents=True)
        self.ledger = ledger
        self.segment = 0
        self.sequence = 0
        self.leased = 0
        if known:
            ledger.connection.execute(gateway_api.START_PROCESS, (self.id, "test", 1, "0"))

    def lease(self, award: UUID, micro_won: int) -> None:
        row = self.ledger.connection.execute(
            gateway_api.LEASE, (self.id, award, uuid7(), micro_won)
        ).fetchone()
        assert row is not None
        assert row[0] >= micro_won
        self.leased += row[0]

    def opened(self, award: UUID, request_id: UUID | None = None) -> journal.Opened:
        return opened(1, award=award, request_id=request_id or uuid7())

    def closed(self, award: UUID, **changes: object) -> UsageRecord:
        self.sequence += 1
        return closed(self.sequence, **{"award": award, "request_id": uuid7(), **changes})

    def write(self, *frames: bytes) -> Path:
        """One more segment."""
        self.segment += 1
        path = segment_path(self.folder, self.segment)
        path.write_bytes(journal.encode_header(self.id, self.segment, created_at=0) + b"".join(frames))
        return path

    def calls(self, award: UUID, count: int) -> list[UsageRecord]:
        """Write a segment of completed calls."""
        records = [self.closed(award) for _ in range(count)]
        self.write(
            *(
                journal.encode_opened(self.opened(award, record.request_id)) + journal.encode_closed(record)
                for record in records
            )
        )
        return records

    def posted(self) -> list[tuple]:
        return self.ledger.usage(self.id)


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def ledger(server: Postgres) -> Iterator[Ledger]:
    ledger = Ledger(server.dsn)
    yield ledger
    ledger.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "journal"
    root.mkdir()
    return root
