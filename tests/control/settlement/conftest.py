"""A funded award, a gateway process, and the SQL doors between them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import connection, transaction

from dure.contracts import gateway_api
from dure.contracts.directory import AwardEntry
from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord
from dure.control.foundation import clock, directory
from dure.control.ledger import selectors, services

GRANT = 1_000_000


def call(statement: str, *arguments: object) -> Any:
    """One door, one row."""
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        row = cursor.fetchone()
    return row[0] if row is not None and len(row) == 1 else row


@dataclass
class World:
    """One programme with one award, as rooms above would make it."""

    award: UUID = field(default_factory=uuid7)
    provider: UUID = field(default_factory=uuid7)
    key: UUID = field(default_factory=uuid7)
    programme: UUID = field(default_factory=uuid7)

    def fund(self, amount: int = GRANT) -> "World":
        services.open_book(book_id=self.programme, name="programme")
        treasury = services.open_account(book_id=self.programme, kind="treasury", owner_id=self.programme)
        award = services.open_account(book_id=self.programme, kind="award", owner_id=self.award)
        services.transfer(
            transfer_id=uuid7(),
            debit_account_id=treasury.id,
            credit_account_id=award.id,
            amount=amount,
            kind="grant",
        )
        entry = AwardEntry(
            id=str(self.award), organisation=str(uuid7()), programme=str(self.programme), valid_from=0
        )
        with transaction.atomic():
            directory.publish("award", entry)
        return self

    def held(self, kind: str) -> int:
        owner = self.provider if kind == "payable" else self.award
        return selectors.balances(owner_ids=[owner], kind=kind).get(owner, 0)

    def record(self, sequence: int, cost: int, **changes: object) -> UsageRecord:
        now = clock.to_unix_us(datetime.now(UTC))
        values: dict[str, Any] = {
            "request_id": uuid7(),
            "sequence": sequence,
            "award": self.award,
            "key": self.key,
            "model": "small",
            "deployment": UUID(int=1),
            "provider": self.provider,
            "price": UUID(int=2),
            "endpoint": "chat.completions",
            "status": "completed",
            "http_status": 200,
            "streamed": False,
            "estimated": False,
            "input_tokens": 10,
            "output_tokens": 5,
            "cached_tokens": 0,
            "cost_micro_won": cost,
            "opened_at": now - 1_000,
            "closed_at": now,
        }
        return UsageRecord(**(values | changes))


def start() -> UUID:
    process = uuid7()
    call(gateway_api.START_PROCESS, process, "node", 1, "test")
    return process


def post(process: UUID, after: int, records: list[UsageRecord]) -> int:
    body = msgspec.json.encode(records).decode()
    return int(call(gateway_api.POST_USAGE, process, after, after + len(records), body))


@pytest.fixture
def world(db: None) -> World:
    return World().fund()
