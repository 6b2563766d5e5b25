"""Journal records for tests: complete, and told apart by their numbers."""

from uuid import UUID

from dure.contracts.usage import UsageRecord
from dure.gateway.protocol import journal

PROCESS = UUID("01900000-0000-7000-8000-00000000aaaa")
AWARD = UUID("01900000-0000-7000-8000-00000000bbbb")
PROVIDER = UUID("01900000-0000-7000-8000-00000000cccc")
OTHER = UUID("01900000-0000-7000-8000-00000000dddd")


def request_id(number: int) -> UUID:
    return UUID(int=(0x0190 << 112) | (0x7 << 76) | (0x8 << 60) | number)


def opened(number: int, **changes: object) -> journal.Opened:
    fields: dict = {
        "request_id": request_id(number),
        "award": AWARD,
        "key": OTHER,
        "model": "smollm2-135m-instruct",
        "deployment": OTHER,
        "provider": PROVIDER,
        "price": OTHER,
        "endpoint": "chat.completions",
        "streamed": True,
        "estimated_input_tokens": 40,
        "meters": {"input": 120_000_000, "output": 480_000_000},
        "hold_micro_won": 100_000,
        "opened_at": 1_767_225_600_000_000 + number,
    }
    return journal.Opened(**{**fields, **changes})


def closed(sequence: int, number: int | None = None, **changes: object) -> UsageRecord:
    fields: dict = {
        "request_id": request_id(sequence if number is None else number),
        "sequence": sequence,
        "award": AWARD,
        "key": OTHER,
        "model": "smollm2-135m-instruct",
        "deployment": OTHER,
        "provider": PROVIDER,
        "price": OTHER,
        "endpoint": "chat.completions",
        "status": "completed",
        "http_status": 200,
        "streamed": True,
        "estimated": False,
        "input_tokens": 38,
        "output_tokens": 12,
        "cached_tokens": 0,
        "cost_micro_won": 10_320,
        "opened_at": 1_767_225_600_000_000 + sequence,
        "closed_at": 1_767_225_601_000_000 + sequence,
    }
    return UsageRecord(**{**fields, **changes})


def header(segment: int = 1, **changes: object) -> bytes:
    return journal.encode_header(PROCESS, segment, created_at=1_767_225_600_000_000, **changes)
