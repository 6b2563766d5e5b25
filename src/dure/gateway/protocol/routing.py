"""Choosing a deployment, resting those that fail, and how often a call may be tried again: pure decisions.

The lowest priority number that has an available deployment wins; within it the one with the fewest calls
under way for its weight, `(outstanding + 1) / weight`, and chance where several have as few.

A deployment's *breaker* is closed while it answers. Failures open it, and the deployment rests: first for half a
second, then for twice as long each time, up to half a minute. Three failures in a row open it, or half of
the calls in a window of ten to twenty seconds, so that one bad answer among thousands does not. After the rest the
breaker is half open: one call a second is let through, not a herd, until one of them is answered (closed) or
fails (open again). Only what came of calls that left after the breaker opened counts then: calls that were under way
already, and fail or succeed together, say nothing new.

A *retry budget* keeps an outage from multiplying the load. Each call earns its model a fifth of a retry, and a quiet
model is given one a second beside, so a model's calls are tried again at most 20 % of the time, plus one a second.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from dure.contracts.directory import DeploymentEntry

FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 30.0
#: A provider that names its own rest (`Retry-After`) is believed up to here.
LONGEST_ASKED_REST_SECONDS = 60.0
FAILURES_IN_A_ROW = 3
WINDOW_SECONDS = 10.0
FAILURES_IN_WINDOW = 10
FAILED_SHARE = 0.5
PROBE_SECONDS = 1.0
#: A rest that ends within this time is waited out; for a longer one callers are told to come back.
BRIDGED_REST_SECONDS = 1.0

RETRY_SHARE = 0.2
RETRIES_PER_SECOND = 1.0
RETRIES_AT_ONCE = 10.0


BreakerState = Literal["closed", "open", "half_open"]


class DeploymentState:
    """What this process has seen of a deployment. Times are the loop's seconds.

    `limit` is how many calls this process may have under way there; None is no limit. `resting_until` is 0 while the
    breaker is closed, which is all that the way of an ordinary call looks at.
    """

    __slots__ = (
        "_answers",
        "_before",
        "_failures",
        "_in_a_row",
        "_window_ends",
        "limit",
        "openings",
        "outstanding",
        "probe_at",
        "resting_until",
        "service_seconds",
        "waits_as_asked",
    )

    def __init__(self) -> None:
        self.limit: int | None = None
        self.outstanding = 0
        self.resting_until = 0.0
        self.openings = 0
        self.probe_at = 0.0
        self.service_seconds = 0.0
        self.waits_as_asked = False
        self._in_a_row = 0
        self._answers = 0
        self._failures = 0
        self._before = (0, 0)
        self._window_ends = 0.0

    # What came of a call

    def took(self, now: float, taken_at: float) -> bool:
        """The first byte of an answer came; whether the deployment is thereby well again."""
        if now >= self._window_ends:
            self._next_window(now)
        return bool(self.resting_until) and taken_at >= self.resting_until

    def succeeded(self, taken_at: float) -> bool:
        """A call given to the deployment at `taken_at` was answered; whether it is thereby well again."""
        self._answers += 1
        if self.resting_until:
            return taken_at >= self.resting_until
        self._in_a_row = 0
        return False

    def failed(self, now: float, taken_at: float) -> bool:
        """A call given to the deployment at `taken_at` failed; whether that opened the breaker."""
        if now >= self._window_ends:
            self._next_window(now)
        self._failures += 1
        self._in_a_row += 1
        if self.resting_until:
            # Half open, the probe failed; or open, and this call had left before.
            return taken_at >= self.resting_until and self._open(now)
        answers, failures = self._answers + self._before[0], self._failures + self._before[1]
        often = failures >= FAILURES_IN_WINDOW and failures >= FAILED_SHARE * (failures + answers)
        return (self._in_a_row >= FAILURES_IN_A_ROW or often) and self._open(now)

    def asked_to_rest(self, now: float, seconds: float) -> None:
        """The provider said how long to stay away."""
        self.resting_until = max(self.resting_until, now + min(seconds, LONGEST_ASKED_REST_SECONDS))
        self.waits_as_asked = True

    def close(self) -> None:
        """It answers again; what failed before is forgotten."""
        self.resting_until = 0.0
        self.openings = 0
        self.waits_as_asked = False
        self._in_a_row = self._answers = self._failures = 0
        self._before = (0, 0)

    def _open(self, now: float) -> bool:
        rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0 ** min(self.openings, 16))
        self.openings += 1
        self.resting_until = now + rest
        self.waits_as_asked = False
        return True

    def held_for(self, seconds: float) -> None:
        """A place was in use for so long: a running mean, for telling others how long they may have to wait."""
        self.service_seconds += (seconds - self.service_seconds) * (0.1 if self.service_seconds else 1.0)

    # What may go there

    def probed(self, now: float) -> None:
        """A call goes to a deployment that rested: the next may follow a second later."""
        self.probe_at = now + PROBE_SECONDS

    @property
    def ready_at(self) -> float:
        """When the next call may go there, as far as the breaker is concerned; 0 while it is closed."""
        return max(self.resting_until, self.probe_at) if self.resting_until else 0.0

    @property
    def full(self) -> bool:
        return self.limit is not None and self.outstanding >= self.limit

    # What is told about it

    def breaker(self, now: float) -> BreakerState:
        if not self.resting_until:
            return "closed"
        return "open" if now < self.resting_until else "half_open"

    def failures(self, now: float) -> int:
        """Failed calls in the window."""
        return self._failures + self._before[1] if self._current(now) else 0

    def answers(self, now: float) -> int:
        """Answered calls in the window."""
        return self._answers + self._before[0] if self._current(now) else 0

    def _current(self, now: float) -> bool:
        return now < self._window_ends + WINDOW_SECONDS

    def _next_window(self, now: float) -> None:
        """The window is two halves: the one that fills, and the one before it."""
        self._before = (self._answers, self._failures) if self._current(now) else (0, 0)
        self._answers = self._failures = 0
        self._window_ends = now + WINDOW_SECONDS


def choose(
    candidates: Sequence[DeploymentEntry],
    state_of: Callable[[str], DeploymentState],
    *,
    tried: Sequence[str],
    now: float,
    chance: Callable[[], float],
) -> DeploymentEntry | None:
    """One of `candidates` (sorted by priority) that was not `tried`, rests not and is not full; None for none.

    `chance()` is uniform in [0, 1).
    """
    best: list[DeploymentEntry] = []
    least = 0.0
    for entry in candidates:
        if best and entry.priority != best[0].priority:
            break
        state = state_of(entry.id)
        if (
            entry.weight <= 0
            or entry.id in tried
            or (state.resting_until and now < state.ready_at)
            or (state.limit is not None and state.outstanding >= state.limit)
        ):
            continue
        load = (state.outstanding + 1) / entry.weight
        if not best or load < least:
            best, least = [entry], load
        elif load == least:
            best.append(entry)
    if not best:
        return None
    return best[0] if len(best) == 1 else best[int(chance() * len(best))]


class Prospect:
    """What a call may hope for where no deployment can take it now.

    `busy`: one is at its limit, and will have a place again. `ready_at`: when the first that rests may be asked again,
    in the loop's seconds; None where none rests.
    """

    __slots__ = ("busy", "ready_at")

    def __init__(self, *, busy: bool, ready_at: float | None) -> None:
        self.busy = busy
        self.ready_at = ready_at

    def worth_waiting(self, now: float) -> bool:
        return self.busy or (self.ready_at is not None and self.ready_at <= now + BRIDGED_REST_SECONDS)


def prospect(
    candidates: Sequence[DeploymentEntry],
    state_of: Callable[[str], DeploymentState],
    *,
    tried: Sequence[str],
    now: float,
) -> Prospect:
    busy = False
    ready_at: float | None = None
    for entry in candidates:
        if entry.weight <= 0 or entry.id in tried:
            continue
        state = state_of(entry.id)
        at = state.ready_at
        if at > now:
            ready_at = at if ready_at is None else min(ready_at, at)
        elif state.full:
            busy = True
    return Prospect(busy=busy, ready_at=ready_at)


def share_of(limit: int, processes: int, place: int) -> int:
    """This process's part of a limit that `processes` keep together; it is number `place`, from 0.

    The parts add up to the limit, except that each process has at least one: a process that could never send
    would fail its callers.
    """
    whole, rest = divmod(limit, max(1, processes))
    return max(1, whole + (place < rest))


class RetryBudget:
    """Retries that a model's calls have earned. `calls` is counted by the caller, one for each call."""

    __slots__ = ("_balance", "_calls_seen", "_seen_at", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self._calls_seen = 0
        self._seen_at = 0.0
        self._balance = RETRIES_AT_ONCE

    def take(self, now: float) -> bool:
        """One retry, if there is one."""
        earned = RETRY_SHARE * (self.calls - self._calls_seen) + RETRIES_PER_SECOND * (now - self._seen_at)
        self._balance = min(RETRIES_AT_ONCE, self._balance + earned)
        self._calls_seen = self.calls
        self._seen_at = now
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True
