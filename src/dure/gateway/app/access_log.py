"""The access log: a line of JSON for each request, without content.

Lines are written once per turn of the loop, for all requests that ended in it. Several workers may append to
one file: each write is whole lines. A log that cannot be written costs lines, never a request.
"""

import asyncio
import logging
import os
from datetime import UTC, datetime
from typing import Any

import msgspec

from dure.gateway.app.ended import Ended

logger = logging.getLogger(__name__)

STANDARD_OUTPUT = "-"
_encode = msgspec.json.Encoder().encode


class AccessLog:
    """`path` is a file that is appended to, or `-` for standard output."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._waiting: list[Ended] = []
        self._failed = False
        self._descriptor = -1
        self.reopen()

    def ended(self, ended: Ended) -> None:
        if not self._waiting:
            self._loop.call_soon(self._write)
        self._waiting.append(ended)

    def reopen(self) -> None:
        """Begin a new file under the same name, where the last one was renamed."""
        self._write()
        if self._path == STANDARD_OUTPUT:
            self._descriptor = 1
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            logger.error("the access log %s cannot be opened: %s", self._path, error.strerror)
            return
        self.close()
        self._descriptor = descriptor

    def close(self) -> None:
        self._write()
        if self._descriptor > 2:
            os.close(self._descriptor)
        self._descriptor = -1

    def _write(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        if self._descriptor < 0:
            return
        left = memoryview(b"".join(_encode(line_of(ended)) + b"\n" for ended in waiting))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            if not self._failed:
                logger.error("the access log cannot be written, lines are lost: %s", error.strerror)
            self._failed = True
        else:
            self._failed = False


def line_of(ended: Ended) -> dict[str, Any]:
    """What is written of a request. What is empty or not known is left out."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(ended.ended_at / 1_000_000, UTC).isoformat(timespec="milliseconds"),
        "request_id": ended.request_id,
        "endpoint": ended.endpoint,
        "status": ended.http_status,
        "error": ended.error_code,
        "key": ended.key,
        "award": ended.award,
        "model": ended.model,
        "client": ended.client,
        "total_ms": _ms(ended.ended_at - ended.received_at),
    }
    record = ended.record()
    if record is not None:
        line |= {
            "error": record.error_code or ended.error_code,
            "outcome": record.status,
            "streamed": record.streamed,
            "estimated": record.estimated,
            "deployment": str(record.deployment),
            "attempts": record.attempts,
            "input_tokens": record.input_tokens,
            "output_tokens": record.output_tokens,
            "cached_tokens": record.cached_tokens,
            "units": record.units,
            "cost_micro_won": record.cost_micro_won,
        }
        if record.first_byte_at is not None:
            # The loop's clock has a coarser grain than the wall's: no answer ends before it begins for that.
            line["first_byte_ms"] = _ms(record.first_byte_at - ended.received_at)
            line["total_ms"] = max(line["total_ms"], line["first_byte_ms"])
    return {name: value for name, value in line.items() if value not in ("", {})}


def _ms(microseconds: int) -> float:
    return round(max(0, microseconds) / 1000, 3)
