"""Calls that wait for a place at a deployment: one line for each model, in which awards take turns.

A call waits where every deployment of its model is at its limit, or rests for a moment. Whatever makes a place (a
call that ends, a breaker that closes, a change of the directory, the end of a rest) lets the line move in the
same turn of the loop; a call that comes meanwhile goes to its own place in the line and overtakes nobody.

Nobody waits at the expense of money: a call in line holds none. When it is offered a place it holds its worst
case at once, or it gives the place to the next and waits for money alone; once it has that, it is the first in
line and keeps what it holds. So a place is never taken by a call that cannot pay, money is not tied up by a
queue, and a call that has waited for both goes on with the next place.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

from dure.contracts.directory import DeploymentEntry, ModelEntry
from dure.gateway.app.metrics import Metrics
from dure.gateway.protocol import errors
from dure.gateway.protocol.directory import Directory
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.routing import DeploymentState, choose, prospect
from dure.gateway.protocol.turns import Turns

LONGEST_RETRY_AFTER_SECONDS = 60

Taking = Literal["taken", "blocked", "left"]


class Taker(Protocol):
    """A call in line."""

    def take_place(self) -> Taking:
        """Take a place: `blocked` if there is none for this call, `left` if it goes elsewhere without one."""

    def place_refused(self, refusal: Refusal) -> None:
        """It waited in vain. Called once, and nothing after it."""


class Ticket:
    """A call's place in line. Times are the loop's seconds."""

    __slots__ = ("award", "came_at", "line", "taker", "timer")

    def __init__(self, line: "Line", award: str, taker: Taker, came_at: float) -> None:
        self.line = line
        self.award = award
        self.taker = taker
        self.came_at = came_at
        self.timer: asyncio.TimerHandle | None = None


class Line:
    """Those who wait for one model."""

    __slots__ = ("model", "scheduled", "timer", "turns")

    def __init__(self, model: ModelEntry) -> None:
        self.model = model
        self.turns: Turns[Ticket] = Turns()
        self.scheduled = False
        self.timer: asyncio.TimerHandle | None = None


class WaitingRoom:
    """All lines of a process. `lines` (by model) has those in which somebody waits, and is mostly empty."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        directory: Directory,
        state_of: Callable[[str], DeploymentState],
        metrics: Metrics,
    ) -> None:
        self.lines: dict[str, Line] = {}
        self._loop = loop
        self._directory = directory
        self._state_of = state_of
        self._metrics = metrics

    def queued(self, model_id: str) -> int:
        line = self.lines.get(model_id)
        return len(line.turns) if line is not None else 0

    def join(
        self,
        model: ModelEntry,
        award: str,
        taker: Taker,
        *,
        tried: list[str],
        came_at: float,
        first: bool = False,
    ) -> Ticket:
        """Get in line, `first` if it had its turn before. Raises `Refusal` where that is no use."""
        now = self._loop.time()
        candidates = [entry for entry in self._directory.deployments_of(model.id) if entry.id not in tried]
        hope = prospect(candidates, self._state_of, tried=(), now=now)
        line = self.lines.get(model.id)
        if line is None and not hope.worth_waiting(now):
            raise self._no_hope(model, hope.ready_at, now)
        if not first and self.queued(model.id) >= sum(entry.queue_limit for entry in candidates):
            raise errors.deployments_busy(model.name, self._retry_after(line, award, candidates))
        if line is None:
            line = self.lines[model.id] = Line(model)
        ticket = Ticket(line, award, taker, came_at)
        line.turns.join(award, ticket, first=first)
        patience = max((entry.queue_timeout_ms for entry in candidates), default=0) / 1000
        ticket.timer = self._loop.call_later(max(0.0, came_at + patience - now), self._late, ticket)
        self._schedule(line)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """The call does not want a place any more."""
        ticket.line.turns.leave(ticket.award, ticket)
        self._forget(ticket)

    def freed(self, model_id: str) -> None:
        """There may be a place at one of the model's deployments, or there may be none any more."""
        line = self.lines.get(model_id)
        if line is not None:
            self._schedule(line)

    def _schedule(self, line: Line) -> None:
        if not line.scheduled:
            line.scheduled = True
            self._loop.call_soon(self._move, line)

    def _forget(self, ticket: Ticket) -> None:
        if ticket.timer is not None:
            ticket.timer.cancel()
        self._metrics.queue_seconds.observe(self._loop.time() - ticket.came_at, ticket.line.model.name)
        self._close_if_empty(ticket.line)

    def _close_if_empty(self, line: Line) -> None:
        if not line.turns and self.lines.get(line.model.id) is line:
            del self.lines[line.model.id]
            if line.timer is not None:
                line.timer.cancel()

    def _move(self, line: Line) -> None:
        """Give places to those whose turn it is, until there are none; send away those for whom there is no hope."""
        line.scheduled = False
        turns = line.turns
        while turns and self._any_place(line):
            # The first may need a deployment that is full while another's is free.
            if not any(self._serve(line, *head) for head in self._in_turn(turns)):
                break
        if turns:
            self._wait_on(line)

    @staticmethod
    def _in_turn(turns: Turns[Ticket]) -> Iterator[tuple[str, Ticket]]:
        head = turns.head()
        if head is not None:
            yield head
            yield from turns.heads()[1:]

    def _any_place(self, line: Line) -> bool:
        candidates = self._directory.deployments_of(line.model.id)
        now = self._loop.time()
        return choose(candidates, self._state_of, tried=(), now=now, chance=lambda: 0.0) is not None

    def _serve(self, line: Line, award: str, ticket: Ticket) -> bool:
        if ticket.taker.take_place() == "blocked":
            return False
        line.turns.served(award, ticket)
        self._forget(ticket)
        return True

    def _wait_on(self, line: Line) -> None:
        now = self._loop.time()
        candidates = self._directory.deployments_of(line.model.id)
        hope = prospect(candidates, self._state_of, tried=(), now=now)
        if not hope.worth_waiting(now):
            for ticket in list(line.turns):
                self._refuse(ticket, self._no_hope(line.model, hope.ready_at, now))
            return
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        if hope.ready_at is not None:
            line.timer = self._loop.call_later(max(0.0, hope.ready_at - now), self._schedule, line)

    def _late(self, ticket: Ticket) -> None:
        candidates = self._directory.deployments_of(ticket.line.model.id)
        retry_after = self._retry_after(ticket.line, ticket.award, candidates)
        waited = self._loop.time() - ticket.came_at
        self._refuse(
            ticket, errors.deployments_busy(ticket.line.model.name, retry_after, waited_seconds=waited)
        )

    def _refuse(self, ticket: Ticket, refusal: Refusal) -> None:
        self.leave(ticket)
        ticket.taker.place_refused(refusal)

    @staticmethod
    def _no_hope(model: ModelEntry, ready_at: float | None, now: float) -> Refusal:
        if ready_at is None:
            return errors.model_unavailable(model.name)
        return errors.deployments_rest(model.name, max(1, math.ceil(ready_at - now)))

    def _retry_after(self, line: Line | None, award: str, candidates: Sequence[DeploymentEntry]) -> int:
        """Seconds until a call of this award that joined now would be served, by how long places were in use lately."""
        pace = 0.0
        for entry in candidates:
            state = self._state_of(entry.id)
            if state.limit is not None and state.service_seconds:
                pace += state.limit / state.service_seconds
        ahead = line.turns.ahead_of(award) if line is not None else 0
        seconds = math.ceil((ahead + 1) / pace) if pace else 1
        return min(LONGEST_RETRY_AFTER_SECONDS, max(1, seconds))
