"""Choosing a deployment: a pure decision over what is known about each.

The lowest priority number that has an available deployment wins; within it, chance by weight. A
deployment that failed rests for a while, twice as long after each further failure; when all rest, the one
that is ready soonest is tried anyway, since a refusal would be no better.
"""

from collections.abc import Callable, Sequence

from dure.contracts.directory import DeploymentEntry

FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 30.0


class DeploymentState:
    """What this process has seen of a deployment. Times are the loop's seconds."""

    __slots__ = ("failures", "outstanding", "resting_until")

    def __init__(self) -> None:
        self.failures = 0
        self.outstanding = 0
        self.resting_until = 0.0

    def succeeded(self) -> None:
        self.failures = 0
        self.resting_until = 0.0

    def failed(self, now: float) -> None:
        rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0 ** min(self.failures, 16))
        self.failures += 1
        self.resting_until = now + rest


def choose(
    candidates: Sequence[DeploymentEntry],
    state_of: Callable[[str], DeploymentState],
    *,
    tried: Sequence[str],
    now: float,
    chance: Callable[[], float],
) -> DeploymentEntry | None:
    """One of `candidates` (sorted by priority) that was not `tried`; None where all are tried or full.

    `chance()` is uniform in [0, 1).
    """
    free = [
        entry
        for entry in candidates
        if entry.id not in tried
        and entry.weight > 0
        and (entry.max_concurrency is None or state_of(entry.id).outstanding < entry.max_concurrency)
    ]
    if len(free) <= 1:
        return free[0] if free else None
    rested = [entry for entry in free if state_of(entry.id).resting_until <= now]
    if not rested:
        return min(free, key=lambda entry: state_of(entry.id).resting_until)
    first = [entry for entry in rested if entry.priority == rested[0].priority]
    mark = chance() * sum(entry.weight for entry in first)
    for entry in first:
        mark -= entry.weight
        if mark < 0:
            return entry
    return first[-1]
