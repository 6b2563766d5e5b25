"""What an escrow's keeper asks of the database. It is a module of its own since coroutines are not compiled."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from dure.gateway.app.errands import Errands
from dure.gateway.io.database import DatabaseAway, DatabaseRefused, Lease
from dure.gateway.protocol.escrow import AwardEscrow

logger = logging.getLogger(__name__)


class EscrowLink(Protocol):
    """The doors of `io.database.DatabaseLink` that move money."""

    async def lease(self, award: str, needed: int) -> Lease: ...

    async def give_back(self, award: str, amount: int) -> bool: ...

    async def recall(self, award: str) -> None: ...


class Leases:
    """`retired`: nothing more is leased, and nothing is given back."""

    def __init__(self, link: EscrowLink, loop: asyncio.AbstractEventLoop) -> None:
        self.retired = False
        self._link = link
        self._loop = loop
        self._errands = Errands()

    def ask(self, escrow: AwardEscrow, amount: int, answered: Callable[[AwardEscrow], None]) -> None:
        """Lease at least `amount`; `answered` is called once the escrow knows what became of it."""
        escrow.leasing = True
        self._errands.send(self.lease(escrow, amount, answered))

    async def lease(self, escrow: AwardEscrow, amount: int, answered: Callable[[AwardEscrow], None]) -> None:
        try:
            if self.retired:
                raise DatabaseAway("this process may lease nothing more")
            lease = await self._link.lease(escrow.award, amount)
            escrow.lease_granted(
                lease.granted,
                award_left=lease.award_left,
                elsewhere=lease.escrow_elsewhere,
                now=self._loop.time(),
            )
        except DatabaseAway:
            escrow.database_away = True
        except DatabaseRefused as refused:
            logger.warning("award %s: no lease: %s", escrow.award, refused)
            escrow.lease_granted(0, award_left=0, elsewhere=0, now=self._loop.time())
        finally:
            escrow.leasing = False
        answered(escrow)

    def recall(self, award: str) -> None:
        """Ask other processes for what lies idle there."""
        self._errands.send(self._recall(award))

    async def _recall(self, award: str) -> None:
        try:
            await self._link.recall(award)
        except (DatabaseAway, DatabaseRefused) as error:
            logger.info("award %s: recall: %s", award, error)

    def give_back(self, award: str, amount: int) -> None:
        if not self.retired:
            self._errands.send(self._give_back(award, amount))

    async def _give_back(self, award: str, amount: int) -> None:
        try:
            await self._link.give_back(award, amount)
        except DatabaseRefused as refused:
            # It stays in the ledger's escrow account and returns when this process is finished.
            logger.error("award %s: %d micro-won not given back: %s", award, amount, refused)

    def finish(self, timeout_seconds: float) -> Coroutine[Any, Any, None]:
        """Wait for the database to take what is on its way."""
        return self._errands.finish(timeout_seconds)
