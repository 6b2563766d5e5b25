"""What a worker lets be seen of itself: gauges for a scrape, and the figures of its heartbeat."""

import time
from collections.abc import Iterator

from dure.gateway.app.gateway import Gateway
from dure.gateway.app.lag import JournalLag
from dure.gateway.app.metrics import Labels
from dure.gateway.io.http_server import HttpServer
from dure.gateway.io.journal import JournalWriter

_BREAKER = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


def figures(
    gateway: Gateway, server: HttpServer, journal: JournalWriter, lag: JournalLag
) -> dict[str, object]:
    """What a heartbeat tells operators. Readers do without what an older gateway leaves out."""
    escrows = gateway.keeper.escrows.values()
    age = gateway.directory_age()
    return {
        "worker": gateway.config.worker,
        "connections": len(server.connections),
        "open_requests": gateway.open_requests,
        "open_streams": gateway.open_streams,
        "requests": sum(gateway.metrics.requests.values.values()),
        "cost_micro_won": gateway.metrics.cost.values[()],
        "free_micro_won": sum(escrow.free for escrow in escrows),
        "held_micro_won": sum(escrow.held for escrow in escrows),
        "waiting": sum(len(escrow.waiters) for escrow in escrows),
        "journal_sequence": journal.last_sequence,
        "journal_backlog_bytes": journal.backlog_bytes,
        "journal_healthy": journal.healthy,
        "journal_unposted_records": lag.records,
        "journal_unposted_seconds": round(lag.seconds(gateway.now()), 3),
        "journal_unposted_bytes": lag.bytes,
        "directory_version": gateway.directory.version,
        "directory_age_seconds": None if age is None else round(age, 3),
        "directory_unreadable": len(gateway.directory.unreadable),
        "deployments": deployments(gateway),
        **gateway.health.latency(),
    }


def deployments(gateway: Gateway) -> dict[str, dict[str, object]]:
    """How each deployment that has been asked is doing, as this process sees it, by the deployment's id.

    `state` is closed, open or half_open; `queued` are the calls that wait for a place at any deployment of
    the model; `limit` is this process's part of `max_concurrency`. What `app/health.py` has of it stands beside that.
    """
    now = gateway.now()
    found: dict[str, dict[str, object]] = dict(gateway.health.figures())
    for deployment_id, state in gateway.states.items():
        entry = gateway.directory.deployments.get(deployment_id)
        if entry is None:
            continue
        model = gateway.directory.models.get(entry.model)
        found[deployment_id] = found.get(deployment_id, {}) | {
            "model": model.name if model is not None else "",
            "state": state.breaker(now),
            "outstanding": state.outstanding,
            "limit": state.limit,
            "queued": gateway.waiting.queued(entry.model),
        }
    return found


def add_gauges(gateway: Gateway, server: HttpServer, journal: JournalWriter, lag: JournalLag) -> None:
    metrics = gateway.metrics
    escrows = gateway.keeper.escrows
    started = time.time()
    gauge = metrics.gauge
    gauge(
        "info",
        "Which process this is.",
        lambda: 1,
        process=str(gateway.process_id),
        worker=str(gateway.config.worker),
    )
    gauge("start_time_seconds", "When this process started, seconds since 1970.", lambda: started)
    gauge("connections", "Open client connections.", lambda: len(server.connections))
    gauge("open_requests", "Requests under way.", lambda: gateway.open_requests)
    gauge("open_streams", "Streams under way.", lambda: gateway.open_streams)
    gauge("escrow_free_micro_won", "Escrow that is free.", lambda: sum(e.free for e in escrows.values()))
    gauge(
        "escrow_held_micro_won",
        "Escrow held for requests under way.",
        lambda: sum(e.held for e in escrows.values()),
    )
    gauge(
        "escrow_waiting",
        "Requests that wait for money.",
        lambda: sum(len(e.waiters) for e in escrows.values()),
    )
    gauge("journal_sequence", "Number of the last usage record.", lambda: journal.last_sequence)
    gauge("journal_backlog_bytes", "Bytes not yet written to the journal.", lambda: journal.backlog_bytes)
    gauge("journal_healthy", "1 while the journal can be written.", lambda: int(journal.healthy))
    gauge("journal_unposted_records", "Usage records not in the ledger yet.", lambda: lag.records)
    gauge(
        "journal_unposted_seconds",
        "Age of the oldest usage record that is not in the ledger yet.",
        lambda: lag.seconds(gateway.now()),
    )
    gauge("journal_unposted_bytes", "Bytes of the journal not in the ledger yet.", lambda: lag.bytes)
    gauge("directory_version", "Version of the directory.", lambda: gateway.directory.version)
    gauge("directory_age_seconds", "Since the directory was last confirmed.", gateway.directory_age)
    gauge(
        "directory_unreadable", "Directory entries not understood.", lambda: len(gateway.directory.unreadable)
    )
    gauge("database_connected", "1 while the database answers.", lambda: int(gateway.database_connected()))
    _add_route_gauges(gateway)


def _add_route_gauges(gateway: Gateway) -> None:
    def breakers() -> Iterator[tuple[Labels, float]]:
        now = gateway.now()
        for deployment_id, state in gateway.states.items():
            yield (deployment_id,), _BREAKER[state.breaker(now)]

    def outstanding() -> Iterator[tuple[Labels, float]]:
        for deployment_id, state in gateway.states.items():
            yield (deployment_id,), state.outstanding

    def queued() -> Iterator[tuple[Labels, float]]:
        for line in gateway.waiting.lines.values():
            yield (line.model.name,), len(line.turns)

    by = gateway.metrics.gauges_by
    by("breaker_state", "0 closed, 1 half open, 2 open, by deployment.", ("deployment",), breakers)
    by("outstanding", "Calls under way at a deployment.", ("deployment",), outstanding)
    by("queued", "Calls that wait for a place, by model.", ("model",), queued)
