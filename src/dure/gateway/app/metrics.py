"""Counters in Prometheus' text format (version 0.0.4), small enough to sit on the hot path.

A worker counts for itself; `process` in `dure_gateway_info` tells which one answered a scrape.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from dure.gateway.protocol.metering import Quantities

LATENCY_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
)

Labels = tuple[str, ...]


_INPUT, _OUTPUT = ("input",), ("output",)


class Counter:
    def __init__(self, name: str, about: str, labels: Labels = ()) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.values: dict[Labels, int] = {} if labels else {(): 0}

    def add(self, amount: int, *values: str) -> None:
        try:
            self.values[values] += amount
        except KeyError:
            self.values[values] = amount

    def render(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} counter"
        for values, count in self.values.items():
            yield f"{self.name}{_labels(self.labels, values)} {count}"


class Gauge:
    """A figure that is looked up when it is asked for."""

    def __init__(
        self, name: str, about: str, read: Callable[[], float | None], labels: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.about = about
        self.read = read
        self.labels = labels or {}

    def render(self) -> Iterable[str]:
        value = self.read()
        if value is not None:
            yield f"# HELP {self.name} {self.about}"
            yield f"# TYPE {self.name} gauge"
            yield f"{self.name}{_labels(tuple(self.labels), tuple(self.labels.values()))} {value:.15g}"


class Gauges:
    """Figures of one kind that are looked up when they are asked for, each with its labels."""

    def __init__(
        self,
        name: str,
        about: str,
        labels: Labels,
        read: Callable[[], Iterable[tuple[Labels, float | None]]],
    ) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.read = read

    def render(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} gauge"
        for values, figure in self.read():
            if figure is not None:
                yield f"{self.name}{_labels(self.labels, values)} {figure:.15g}"


class Series:
    """What was observed of one label."""

    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0


class Histogram:
    def __init__(
        self, name: str, about: str, label: str, bounds: tuple[float, ...] = LATENCY_SECONDS
    ) -> None:
        self.name = name
        self.about = about
        self.label = label
        self.bounds = bounds
        self.series: dict[str, Series] = {}

    def observe(self, value: float, label: str) -> None:
        series = self.series.get(label)
        if series is None:
            series = self.series[label] = Series(len(self.bounds) + 1)
        series.sum += value
        series.counts[bisect_left(self.bounds, value)] += 1

    def render(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} histogram"
        for label, series in self.series.items():
            counts = series.counts
            total = 0
            for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_labels((self.label, 'le'), (label, bound))} {total}"
            yield f"{self.name}_sum{_labels((self.label,), (label,))} {series.sum:.9g}"
            yield f"{self.name}_count{_labels((self.label,), (label,))} {total}"


class Metrics:
    """Everything a worker counts. Gauges are added by whoever knows the figure."""

    def __init__(self) -> None:
        self.requests = Counter(
            "dure_gateway_requests_total",
            "Requests answered, by endpoint and HTTP status.",
            ("endpoint", "status"),
        )
        self.records = Counter("dure_gateway_records_total", "Usage records closed, by status.", ("status",))
        self.tokens = Counter("dure_gateway_tokens_total", "Tokens charged, by kind.", ("kind",))
        self.units = Counter("dure_gateway_units_total", "Counted beside the tokens, by meter.", ("meter",))
        self.cost = Counter("dure_gateway_cost_micro_won_total", "Charged to awards, in micro-won.")
        self.uncovered = Counter(
            "dure_gateway_uncovered_micro_won_total",
            "Reported by providers beyond what could be charged, in micro-won.",
        )
        self.refusals = Counter("dure_gateway_refusals_total", "Requests refused, by error code.", ("code",))
        self.upstream_errors = Counter(
            "dure_gateway_upstream_errors_total",
            "Failures of providers, by deployment and reason.",
            ("deployment", "reason"),
        )
        self.breaker_openings = Counter(
            "dure_gateway_breaker_openings_total",
            "Times a deployment was put to rest because it failed.",
            ("deployment",),
        )
        self.retries = Counter(
            "dure_gateway_retries_total", "Calls tried again at another deployment, by model.", ("model",)
        )
        self.retry_budget_exhausted = Counter(
            "dure_gateway_retry_budget_exhausted_total",
            "Calls not tried again because the model's retry budget was spent, by model.",
            ("model",),
        )
        self.queue_seconds = Histogram(
            "dure_gateway_queue_seconds",
            "Time that calls waited for a place at a deployment, by model.",
            "model",
        )
        self.request_seconds = Histogram(
            "dure_gateway_request_seconds",
            "From the request's last byte to the answer's last, by endpoint.",
            "endpoint",
        )
        self.first_byte_seconds = Histogram(
            "dure_gateway_first_byte_seconds",
            "From the request's last byte to the provider's first, by endpoint.",
            "endpoint",
        )
        self.gauges: list[Gauge | Gauges] = []

    def closed(self, status: str, counted: Quantities, charged: int, uncovered: int) -> None:
        """A record was closed."""
        records = self.records.values
        labels = (status,)
        records[labels] = records.get(labels, 0) + 1
        if charged:
            self.cost.values[()] += charged
            tokens = self.tokens.values
            tokens[_INPUT] = tokens.get(_INPUT, 0) + counted.input
            tokens[_OUTPUT] = tokens.get(_OUTPUT, 0) + counted.output
        if counted.cached:
            self.tokens.add(counted.cached, "cached")
        if counted.units:
            for meter, quantity in counted.units.items():
                self.units.add(quantity, meter)
        if uncovered:
            self.uncovered.add(uncovered)

    def ended(
        self, endpoint: str, http_status: int, seconds: float, first_byte_seconds: float | None
    ) -> None:
        """A call was answered, after so long; and the first byte came after so long, if it came."""
        requests = self.requests.values
        labels = (endpoint, "200" if http_status == 200 else str(http_status))
        requests[labels] = requests.get(labels, 0) + 1
        self.request_seconds.observe(seconds, endpoint)
        if first_byte_seconds is not None:
            self.first_byte_seconds.observe(first_byte_seconds, endpoint)

    def gauge(self, name: str, about: str, read: Callable[[], float | None], **labels: str) -> None:
        self.gauges.append(Gauge(f"dure_gateway_{name}", about, read, labels))

    def gauges_by(
        self,
        name: str,
        about: str,
        labels: Labels,
        read: Callable[[], Iterable[tuple[Labels, float | None]]],
    ) -> None:
        self.gauges.append(Gauges(f"dure_gateway_{name}", about, labels, read))

    def render(self) -> bytes:
        families: list[Counter | Gauge | Gauges | Histogram] = [
            self.requests,
            self.records,
            self.tokens,
            self.units,
            self.cost,
            self.uncovered,
            self.refusals,
            self.upstream_errors,
            self.breaker_openings,
            self.retries,
            self.retry_budget_exhausted,
            self.queue_seconds,
            self.request_seconds,
            self.first_byte_seconds,
            *self.gauges,
        ]
        lines = [line for family in families for line in family.render()]
        return ("\n".join(lines) + "\n").encode()


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    return (
        "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)) + "}"
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
