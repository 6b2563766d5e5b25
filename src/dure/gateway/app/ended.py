"""What operators are told of each request when it has ended. Never a prompt, an answer, or a key.

Where nobody asked for it, `Gateway.observer` is None and nothing of this is made. What is told is gathered when a
request ends and looked at later, out of its way.
"""

from typing import NamedTuple, Protocol

from dure.contracts.usage import UsageRecord
from dure.gateway.protocol.journal import FRAME_HEAD_BYTES, decode_closed


class Ended(NamedTuple):
    """A request that has been answered, refused or given up. Times are microseconds since 1970 UTC.

    `frame` is its record as it was journalled, None where it was not admitted. `key` is the key's public prefix.
    `server` is the provider's host and port, as far as it came. `client` is empty unless addresses are kept.
    """

    received_at: int
    ended_at: int
    endpoint: str
    http_status: int
    error_code: str = ""
    request_id: str = ""
    key: str = ""
    award: str = ""
    model: str = ""
    owner: str = ""
    streamed: bool = False
    server: tuple[str, int] | None = None
    traceparent: bytes = b""
    client: str = ""
    frame: bytes | None = None

    def record(self) -> UsageRecord | None:
        return None if self.frame is None else decode_closed(self.frame[FRAME_HEAD_BYTES:])


class Observer(Protocol):
    def ended(self, ended: Ended) -> None:
        """In a request's way: must be quick, and must not raise."""

    def reopen(self) -> None:
        """Begin a new file, where there is one."""

    def close(self) -> None: ...


class Observers:
    """Several as one."""

    def __init__(self, observers: list[Observer]) -> None:
        self._observers = observers

    def ended(self, ended: Ended) -> None:
        for observer in self._observers:
            observer.ended(ended)

    def reopen(self) -> None:
        for observer in self._observers:
            observer.reopen()

    def close(self) -> None:
        for observer in self._observers:
            observer.close()
