"""How deployments have done lately, cheap enough to note on every answer: counts, and latencies in a sketch.

The sketch has four buckets to each doubling, so a percentile read from it is at most a quarter above the true one,
and never below. What is told covers the last two to four minutes: two halves, of which the older is dropped.
"""

from collections.abc import Iterable

HALF_WINDOW_SECONDS = 120.0

#: Microseconds up to 2^40, twelve days.
_OCTAVES = 40
_BUCKETS = (_OCTAVES + 1) * 4
PERCENTS = (50, 95, 99)


class Sketch:
    """Counts of durations in microseconds, by bucket."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS

    def add(self, microseconds: int) -> None:
        octave = microseconds.bit_length()
        if 4 <= octave <= _OCTAVES:
            # The octave and the two bits behind its first.
            self.counts[(octave << 2) + (microseconds >> octave - 3) - 4] += 1
        else:
            self.counts[-1 if octave > _OCTAVES else max(0, microseconds)] += 1


def percentiles_ms(sketches: Iterable[Sketch], percents: Iterable[int] = PERCENTS) -> list[float] | None:
    """The percentiles over all of them, in milliseconds; None where nothing was counted."""
    counts = [sum(column) for column in zip(*(sketch.counts for sketch in sketches), strict=True)]
    total = sum(counts)
    if not total:
        return None
    found = []
    for percent in percents:
        wanted = -(-total * percent // 100)
        seen = 0
        for bucket, count in enumerate(counts):
            seen += count
            if seen >= wanted:
                found.append(round(_upper_us(bucket) / 1000, 3))
                break
    return found


def _upper_us(bucket: int) -> int:
    """The largest whole number of microseconds that falls into this bucket."""
    octave, quarter = bucket >> 2, bucket & 3
    return bucket if octave < 4 else ((5 + quarter) << (octave - 3)) - 1


class _Half:
    __slots__ = ("errors", "first_byte", "requests", "total")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.first_byte = Sketch()
        self.total = Sketch()


class DeploymentHealth:
    """One deployment as this process has seen it. `requests` counts attempts that ended, `errors` those that failed."""

    __slots__ = ("_now", "_past")

    def __init__(self) -> None:
        self._now = _Half()
        self._past = _Half()

    def answered(self, first_byte_us: int, total_us: int) -> None:
        half = self._now
        half.requests += 1
        half.first_byte.add(first_byte_us)
        half.total.add(total_us)

    def failed(self) -> None:
        self._now.requests += 1
        self._now.errors += 1

    def turn(self) -> None:
        """Once in `HALF_WINDOW_SECONDS`."""
        self._past, self._now = self._now, _Half()

    @property
    def requests(self) -> int:
        return self._now.requests + self._past.requests

    @property
    def errors(self) -> int:
        return self._now.errors + self._past.errors

    @property
    def first_byte(self) -> tuple[Sketch, Sketch]:
        return self._now.first_byte, self._past.first_byte

    @property
    def total(self) -> tuple[Sketch, Sketch]:
        return self._now.total, self._past.total

    def figures(self) -> dict[str, object]:
        """For a heartbeat; percentiles 50, 95 and 99 in milliseconds, absent where nothing was answered."""
        told: dict[str, object] = {"requests": self.requests, "errors": self.errors}
        for name, sketches in (("first_byte_ms", self.first_byte), ("total_ms", self.total)):
            if (percentiles := percentiles_ms(sketches)) is not None:
                told[name] = percentiles
        return told


class HealthBook:
    """The health of every deployment that was used, by its id."""

    def __init__(self) -> None:
        self.deployments: dict[str, DeploymentHealth] = {}
        self._turned_at = 0.0

    def of(self, deployment_id: str) -> DeploymentHealth:
        health = self.deployments.get(deployment_id)
        if health is None:
            health = self.deployments[deployment_id] = DeploymentHealth()
        return health

    def forget(self, deployment_id: str) -> None:
        self.deployments.pop(deployment_id, None)

    def tick(self, now: float) -> None:
        if now - self._turned_at >= HALF_WINDOW_SECONDS:
            self._turned_at = now
            for health in self.deployments.values():
                health.turn()

    def figures(self) -> dict[str, dict[str, object]]:
        return {name: health.figures() for name, health in self.deployments.items()}

    def latency(self) -> dict[str, object]:
        """Percentiles over all deployments together."""
        told: dict[str, object] = {}
        every = self.deployments.values()
        for name, sketches in (
            ("first_byte_ms", [one for health in every for one in health.first_byte]),
            ("total_ms", [one for health in every for one in health.total]),
        ):
            if sketches and (percentiles := percentiles_ms(sketches)) is not None:
                told[name] = percentiles
        return told
