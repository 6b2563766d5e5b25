"""Keeps the directory in step with PostgreSQL: one load, then every change within a second.

A change is announced by NOTIFY and, beneath it, looked for every half second, so a lost notice costs
half a second and no more. Versions rise in commit order, so "what is above the version I have" is
complete, and replaying it equals a fresh load. While the database is away the last directory stands,
and `age_seconds` says for how long nobody has confirmed it.
"""

import asyncio
import logging
import time
from typing import Protocol

from dure.gateway.io.database import DatabaseAway, DatabaseLink, DatabaseRefused

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5

#: Rows applied before the loop gets its turn, so that a big change does not hold up running streams.
_ROWS_PER_TURN = 500


class Directory(Protocol):
    def apply(self, version: int, kind: str, entry_id: str, payload: str | None, /) -> None:
        """Take over one entry's state; None when it is gone. `ValueError` for a payload it cannot read."""


class DirectorySync:
    """Feeds `directory` from `link`. `await load()` once, then run `follow()` as a task."""

    def __init__(
        self, directory: Directory, link: DatabaseLink, *, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self.version = 0
        self.loaded = False
        self._directory = directory
        self._link = link
        self._poll_seconds = poll_seconds
        self._confirmed_at: float | None = None
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        link.on_directory_changed = self._wake.set
        link.on_connected = self._wake.set

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the database last confirmed that nothing is newer; None before the first load."""
        return None if self._confirmed_at is None else time.monotonic() - self._confirmed_at

    async def load(self) -> None:
        """Catch up with the database once. `DatabaseAway` leaves what was there."""
        async with self._turn:
            asked_at = time.monotonic()
            rows = await self._link.directory_changes(self.version)
            for count, (version, kind, entry_id, payload) in enumerate(rows, start=1):
                self._apply(version, kind, entry_id, payload)
                if count % _ROWS_PER_TURN == 0:
                    await asyncio.sleep(0)
            self._confirmed_at = asked_at
            self.loaded = True

    async def follow(self) -> None:
        """Load again at every notice and every poll, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.load()
            except DatabaseAway:
                pass  # the link says so once; the last directory stands
            except DatabaseRefused as refused:
                logger.error("the directory cannot be read: %s", refused)
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_seconds)
            except TimeoutError:
                pass

    def _apply(self, version: int, kind: str, entry_id: str, payload: str | None) -> None:
        try:
            self._directory.apply(version, kind, entry_id, payload)
        except (ValueError, TypeError, KeyError) as error:
            # A newer control plane may have written it; a revocation behind it must still take effect.
            logger.error(
                "directory entry %s %s, version %d: not understood: %s", kind, entry_id, version, error
            )
        self.version = version
