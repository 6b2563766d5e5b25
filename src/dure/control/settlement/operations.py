"""What an operator must know: is anything lost, late or overloaded, and if so, what to do.

One report for the page, REST and the command line. It is put together from what gateway processes told with their
last heartbeat, from the ledger, and from the database itself. A heartbeat's figures come from other machines, perhaps
of another release, so each is read with care and may be missing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import get_language, gettext, ngettext

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.catalogue import selectors as catalogue
from dure.control.foundation import clock, directory, outbox
from dure.control.foundation.actors import Actor
from dure.control.foundation.money import format_won
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger
from dure.control.settlement.processes import (
    GatewayProcessView,
    WaitingEscrow,
    gateway_processes,
    number_in,
    percentiles_in,
    waiting_escrow,
)

#: Everything is recounted once a day; this long without is late.
RECOUNT_LATE = timedelta(hours=26)
MAIL_LATE = timedelta(minutes=10)
#: Records are posted within a second; this many seconds behind is late.
POSTING_LATE_SECONDS = 15.0
#: A gateway hears of changes within a second.
DIRECTORY_LATE_SECONDS = 10.0
#: A turn of the gateway's loop that comes later than this keeps every stream waiting, in milliseconds.
LOOP_LATE_MS = 500.0
#: Of the attempts at a deployment in the last minutes; and at least so many.
ERRORS_SHARE, ERRORS_LEAST = 0.5, 10
CONNECTIONS_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something an operator should act on: what is wrong, and what to do. `process_id` is whose page says more."""

    code: str
    text: str
    remedy: str
    process_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RouteHealth:
    """A deployment as all living processes see it, over the last minutes.

    `state` is the gravest that any process reports: `closed` (calls go there), `half_open`, `open` (it rests after
    failures), `unusable`; empty where nobody has used it. Percentiles 50, 95 and 99 in milliseconds are of
    the slowest process.
    """

    deployment_id: UUID
    name: str
    model: str
    provider: OrganisationView
    base_url: str
    offered: str
    state: str
    outstanding: int
    queued: int
    requests: int
    errors: int
    first_byte_ms: tuple[float, ...]
    total_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Database:
    version: str
    connections: int
    connections_most: int
    size_bytes: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Operations:
    """Everything together, at one moment. Money is micro-won."""

    at: datetime
    troubles: list[Trouble]
    processes: list[GatewayProcessView]
    waiting: list[WaitingEscrow]
    routes: list[RouteHealth]
    directory_version: int
    database: Database
    verification: ledger.VerificationView | None

    @property
    def running(self) -> list[GatewayProcessView]:
        return [process for process in self.processes if process.state == "running"]

    @property
    def nodes(self) -> int:
        return len({process.node for process in self.running})

    @property
    def open_requests(self) -> int:
        return sum(process.open_requests for process in self.running)

    @property
    def open_streams(self) -> int:
        return sum(process.open_streams for process in self.running)

    @property
    def escrow_micro_won(self) -> int:
        return sum(process.escrow_micro_won for process in self.processes)

    @property
    def waiting_micro_won(self) -> int:
        return sum(one.micro_won for one in self.waiting)

    @property
    def unposted_records(self) -> int:
        return sum(process.unposted_records for process in self.running)

    @property
    def unposted_bytes(self) -> int:
        return sum(process.unposted_bytes for process in self.running)

    @property
    def unposted_seconds(self) -> float:
        return max((process.unposted_seconds for process in self.running), default=0.0)


def operations(*, actor: Actor) -> Operations:
    """The state of everything that runs; the caller has made sure that the actor serves the platform."""
    processes = gateway_processes(finished_since=timedelta(hours=1))
    waiting = waiting_escrow()
    routes = _routes(actor, [process for process in processes if process.state == "running"])
    database = _database()
    verification = ledger.verification_state()
    return Operations(
        at=clock.now(),
        troubles=troubles(processes, waiting, routes, database, verification),
        processes=processes,
        waiting=waiting,
        routes=routes,
        directory_version=directory.version(),
        database=database,
        verification=verification,
    )


# Trouble


def troubles(
    processes: Sequence[GatewayProcessView],
    waiting: Sequence[WaitingEscrow],
    routes: Sequence[RouteHealth],
    database: Database,
    verification: ledger.VerificationView | None,
) -> list[Trouble]:
    """What is wrong now, the gravest first; empty when nothing is lost, late or overloaded."""
    running = [process for process in processes if process.state == "running"]
    return [
        *_difference(verification),
        *_nobody(running),
        *_silent(processes, waiting),
        *(trouble for process in running for trouble in _of_process(process)),
        *(trouble for route in routes for trouble in _of_route(route)),
        *_of_control_plane(database, verification),
    ]


def _difference(verification: ledger.VerificationView | None) -> Iterable[Trouble]:
    if verification is not None and not verification.ok:
        yield Trouble(
            "ledger_difference",
            gettext("The recount found a difference: %(difference)s")
            % {"difference": verification.difference},
            gettext("Do not correct anything by hand. Keep the data and run “dure ledger verify”."),
        )


def _nobody(running: Sequence[GatewayProcessView]) -> Iterable[Trouble]:
    if not running:
        yield Trouble(
            "no_gateway",
            gettext("No gateway is running: calls are not answered."),
            gettext("Start one with “dure gateway”."),
        )


def _silent(processes: Sequence[GatewayProcessView], waiting: Sequence[WaitingEscrow]) -> Iterable[Trouble]:
    sums: dict[UUID, list[int]] = {}
    for one in waiting:
        sums.setdefault(one.process_id, []).append(one.micro_won)
    silent = [process for process in processes if process.state == "silent"]
    for process in sorted(silent, key=lambda one: one.id not in sums):
        amounts = sums.get(process.id, [])
        if not amounts:
            yield Trouble(
                "gateway_silent",
                gettext("A process of the gateway %(node)s fell silent; no money waits for it.")
                % {"node": process.node},
                gettext("Its node settles it by itself as soon as it is back."),
                process.id,
            )
            continue
        awards = ngettext("%(n)s award", "%(n)s awards", len(amounts)) % {"n": len(amounts)}
        yield Trouble(
            "escrow_waiting",
            gettext("A process of the gateway %(node)s fell silent; %(sum)s of %(awards)s waits for it.")
            % {
                "node": process.node,
                "sum": _shown(sum(amounts)),
                "awards": awards,
            },
            gettext(
                "Bring the node back. If it is lost, settle its journal with “dure gateway recover”; without a"
                " journal two officers may declare it lost."
            ),
            process.id,
        )


def _shown(micro_won: int) -> str:
    """Whole won, as far as there are many; the exact sum is a click away."""
    decimals = 0 if micro_won >= 100 * MICRO_WON_PER_WON else 2
    return format_won(micro_won, get_language() or "ko", decimals=decimals)


def _of_process(process: GatewayProcessView) -> Iterable[Trouble]:
    figures, node = process.figures, process.node
    if figures.get("journal_healthy") is False:
        yield Trouble(
            "journal_unhealthy",
            gettext("The gateway %(node)s cannot write its journal and refuses new calls.") % {"node": node},
            gettext("Free space on its disk; it goes on by itself."),
            process.id,
        )
    if process.unposted_seconds > POSTING_LATE_SECONDS:
        yield Trouble(
            "posting_late",
            gettext("Calls of the gateway %(node)s reach the ledger %(seconds)s seconds late.")
            % {"node": node, "seconds": f"{process.unposted_seconds:,.0f}"},
            gettext(
                "See its log for “journal … is not posted further”, and whether the database is overloaded."
            ),
            process.id,
        )
    if (process.directory_age_seconds or 0.0) > DIRECTORY_LATE_SECONDS:
        yield Trouble(
            "directory_old",
            gettext("The gateway %(node)s last heard of changes %(seconds)s seconds ago.")
            % {"node": node, "seconds": f"{process.directory_age_seconds:,.0f}"},
            gettext("See its log for what the database refuses; calls go on with what it knew."),
            process.id,
        )
    if unreadable := int(_number(figures, "directory_unreadable")):
        yield Trouble(
            "directory_unreadable",
            ngettext(
                "The gateway %(node)s does not understand %(n)s directory entry and treats it as withdrawn.",
                "The gateway %(node)s does not understand %(n)s directory entries and treats them as withdrawn.",
                unreadable,
            )
            % {"node": node, "n": unreadable},
            gettext("Upgrade that gateway to the portal's release."),
            process.id,
        )
    if _number(figures, "loop_delay_ms") > LOOP_LATE_MS:
        yield Trouble(
            "gateway_overloaded",
            gettext("The gateway %(node)s is overloaded: streams wait up to %(ms)s ms for their turn.")
            % {"node": node, "ms": f"{_number(figures, 'loop_delay_ms'):,.0f}"},
            gettext("Start it with more workers, or add a node."),
            process.id,
        )


def _of_route(route: RouteHealth) -> Iterable[Trouble]:
    names = {"model": route.model, "deployment": route.name}
    if route.state == "unusable":
        yield Trouble(
            "route_unusable",
            gettext("%(model)s cannot be called at %(deployment)s: address or credential is missing.")
            % names,
            gettext("See the gateway's log, and where the catalogue's “credential” points."),
        )
    elif route.state == "open" or (
        route.errors >= ERRORS_LEAST and route.errors >= route.requests * ERRORS_SHARE
    ):
        yield Trouble(
            "route_failing",
            gettext("%(model)s fails at %(deployment)s: %(errors)s of %(requests)s attempts lately.")
            % {**names, "errors": f"{route.errors:,}", "requests": f"{route.requests:,}"},
            gettext("Ask its provider; calls go to the model's other deployments meanwhile, if it has any."),
        )


def _of_control_plane(database: Database, verification: ledger.VerificationView | None) -> Iterable[Trouble]:
    if verification is not None and clock.now() - verification.finished_at > RECOUNT_LATE:
        yield Trouble(
            "recount_late",
            gettext("The recount is late."),
            gettext("See whether the worker runs (“dure worker”)."),
        )
    unsent = outbox.unsent_older_than(MAIL_LATE)
    if unsent:
        yield Trouble(
            "mail_late",
            ngettext("%(n)s notice waits to be sent.", "%(n)s notices wait to be sent.", unsent)
            % {"n": unsent},
            gettext("See whether the worker runs and the mail server answers."),
        )
    if database.connections > database.connections_most * CONNECTIONS_SHARE:
        yield Trouble(
            "database_connections",
            gettext("%(n)s of the database's %(most)s connections are taken.")
            % {"n": database.connections, "most": database.connections_most},
            gettext("Raise max_connections, or run fewer portal processes."),
        )


# Parts


#: The gravest first.
_STATES = ("unusable", "open", "half_open", "closed")


def _routes(actor: Actor, running: Sequence[GatewayProcessView]) -> list[RouteHealth]:
    told: dict[str, list[dict[str, Any]]] = {}
    for process in running:
        deployments = process.figures.get("deployments")
        for name, figures in deployments.items() if isinstance(deployments, dict) else ():
            if isinstance(figures, dict):
                told.setdefault(name, []).append(figures)
    return [
        _route(model.name, deployment, told.get(str(deployment.id), []))
        for model in catalogue.models(actor=actor)
        for deployment in model.deployments
    ]


def _route(model: str, deployment: catalogue.DeploymentView, told: list[dict[str, Any]]) -> RouteHealth:
    states = {str(figures.get("state", "")) for figures in told}

    def total(name: str) -> int:
        return sum(int(_number(figures, name)) for figures in told)

    return RouteHealth(
        deployment_id=deployment.id,
        name=deployment.name,
        model=model,
        provider=deployment.provider,
        base_url=deployment.base_url,
        offered=deployment.state,
        state=next((state for state in _STATES if state in states), ""),
        outstanding=total("outstanding"),
        queued=total("queued"),
        requests=total("requests"),
        errors=total("errors"),
        first_byte_ms=_slowest(told, "first_byte_ms"),
        total_ms=_slowest(told, "total_ms"),
    )


def _slowest(told: list[dict[str, Any]], name: str) -> tuple[float, ...]:
    """Percentiles cannot be added up; the slowest process's are true for at least that many calls everywhere."""
    lists = [values for figures in told if (values := percentiles_in(figures, name))]
    return tuple(max(column) for column in zip(*lists, strict=True))


def _number(figures: dict[str, Any], name: str) -> float:
    return number_in(figures, name) or 0.0


def _database() -> Database:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), (SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend'), current_setting('max_connections')::int,"
            " pg_database_size(current_database()), (SELECT count(*) FROM pg_stat_replication)"
        )
        version, connections, most, size, replicas = cursor.fetchone()
    return Database(version.split()[0], connections, most, size, replicas)
