"""What the keeper of limits asks of the database. It is a module of its own since coroutines are not compiled."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Protocol

from dure.gateway.app.errands import Errands
from dure.gateway.io.database import Allotment, DatabaseAway, DatabaseRefused, Lease
from dure.gateway.protocol.limits import Rate

logger = logging.getLogger(__name__)


class LimitsLink(Protocol):
    """The doors of `io.database.DatabaseLink` for limits."""

    async def allot(
        self,
        subject: str,
        kind: str,
        *,
        revision: int,
        minute: int,
        holding: int,
        limit: int,
        needed: int,
        wanted: int,
    ) -> Allotment: ...

    async def recall_slots(self, subject: str) -> None: ...


class Heard:
    """What all questions share: their order, and how many processes there are, as the database last said."""

    def __init__(self) -> None:
        self.revisions = itertools.count(1)
        self.processes = 1


class Allotments:
    """Parts of a minute's requests and tokens, asked for by this process."""

    def __init__(self, link: LimitsLink, heard: Heard, now: Callable[[], float]) -> None:
        self._link = link
        self._heard = heard
        self._now = now
        self._errands = Errands()

    def ask(self, rate: Rate, needed: int, wanted: int, answered: Callable[[Rate], None]) -> None:
        """`answered` is called once the rate knows what became of it."""
        rate.asking = True
        self._errands.send(self._allot(rate, needed, wanted, answered))

    async def _allot(self, rate: Rate, needed: int, wanted: int, answered: Callable[[Rate], None]) -> None:
        heard = self._heard
        asked_at = self._now()
        try:
            answer = await self._link.allot(
                rate.subject,
                rate.kind,
                revision=next(heard.revisions),
                minute=rate.minute,
                holding=rate.allotted,
                limit=rate.limit,
                needed=needed,
                wanted=wanted,
            )
            heard.processes = rate.processes = answer.processes
            rate.answered(
                answer.granted,
                answer.left,
                answer.minute,
                answer.ends_in_ms / 1000,
                asked_at=asked_at,
                now=self._now(),
            )
        except (DatabaseAway, DatabaseRefused) as error:
            if isinstance(error, DatabaseRefused):
                logger.warning("%s %s: %s per minute: %s", rate.owner, rate.subject, rate.kind, error)
            rate.processes = heard.processes
            if needed:
                rate.database_away(self._now())
        finally:
            rate.asking = False
        answered(rate)


class SlotLink:
    """The database's door for slots, in the shape in which the escrow's keeper knows its own. `limits` are the slots that
    each subject has."""

    def __init__(self, link: LimitsLink, heard: Heard, limits: dict[str, int]) -> None:
        self._link = link
        self._heard = heard
        self._limits = limits
        self._held: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._untold: set[str] = set()
        self._errands = Errands()

    async def lease(self, award: str, needed: int) -> Lease:
        async with self._turn(award):
            try:
                answer = await self._allot(award, needed)
            except DatabaseAway:
                # It may have been granted, and only its answer lost.
                self._untold.add(award)
                raise
            self._held[award] = self._held.get(award, 0) + answer.granted
            return Lease(answer.granted, answer.left, answer.elsewhere)

    async def give_back(self, award: str, amount: int) -> bool:
        async with self._turn(award):
            self._held[award] = self._held.get(award, 0) - amount
            return await self._tell(award)

    async def recall(self, award: str) -> None:
        await self._link.recall_slots(award)

    def retry(self) -> None:
        """Tell the database what it could not be told before."""
        for subject in list(self._untold):
            self._untold.discard(subject)
            self._errands.send(self.give_back(subject, 0))

    async def _tell(self, subject: str) -> bool:
        try:
            await self._allot(subject, 0)
        except DatabaseAway:
            self._untold.add(subject)
            return False
        except DatabaseRefused as refused:
            logger.warning("%s: slots not given back: %s", subject, refused)
        return True

    async def _allot(self, subject: str, needed: int) -> Allotment:
        answer = await self._link.allot(
            subject,
            "slots",
            revision=next(self._heard.revisions),
            minute=0,
            holding=self._held.get(subject, 0),
            limit=self._limits.get(subject, 0),
            needed=needed,
            wanted=needed,
        )
        self._heard.processes = answer.processes
        return answer

    def _turn(self, subject: str) -> asyncio.Lock:
        """One statement at a time: what it says is held must be what is held when it arrives."""
        turn = self._turns.get(subject)
        if turn is None:
            turn = self._turns[subject] = asyncio.Lock()
        return turn
