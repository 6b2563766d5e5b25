"""Which deployments a call was given to, and what came of it.

A call may go to another deployment, or once more over a fresh connection, only until the provider's first byte, and as
far as the model's retry budget allows. What is noted here goes into the record of a call that took more than one
attempt, and into what is known of each deployment.
"""

from dure.contracts.directory import ModelEntry
from dure.contracts.usage import Attempt
from dure.gateway.app.gateway import Gateway, Route


class Attempts:
    """The attempts of one call. `route` is where it is now, `taken_at` since when, in the loop's seconds.

    `count`: how often it was sent, or could not be. `tried`: the deployments that are out of the question for it.
    `timed_out`: whether one of them kept it waiting; `fresh`: whether the present one got a connection of its own;
    `outstanding`: whether this call has a place there.
    """

    __slots__ = (
        "_first_byte_seconds",
        "_gateway",
        "_noted",
        "count",
        "fresh",
        "model",
        "outstanding",
        "route",
        "taken_at",
        "timed_out",
        "tried",
        "tries",
    )

    route: Route

    def __init__(self, gateway: Gateway, model: ModelEntry) -> None:
        self._gateway = gateway
        self.model = model
        self.count = 0
        self.tried: list[str] = []
        self.tries: list[Attempt] | None = None
        self.timed_out = False
        self.outstanding = False

    def take(self, route: Route, now: float) -> None:
        """Take a place at a deployment; `leave` gives it up."""
        self.route = route
        self.taken_at = now
        self.fresh = False
        self.outstanding = True
        self._noted = False
        self._first_byte_seconds = -1.0
        state = route.state
        state.outstanding += 1
        if state.resting_until:
            state.probed(now)

    def leave(self, now: float) -> None:
        if self.outstanding:
            self.outstanding = False
            state = self.route.state
            state.outstanding -= 1
            if state.limit is not None:
                state.held_for(now - self.taken_at)
            waiting = self._gateway.waiting
            if waiting.lines:
                waiting.freed(self.model.id)

    def reached(self, status: int, now: float) -> None:
        """The deployment's first byte is here."""
        route = self.route
        self._first_byte_seconds = now - self.taken_at
        if 200 <= status < 300 and route.state.took(now, self.taken_at):
            self._gateway.recovered(route)

    def answered_the_caller(self, status: int) -> None:
        """An error that speaks of the request: the deployment is well."""
        if 400 <= status < 500 and self.route.state.succeeded(self.taken_at):
            self._gateway.recovered(self.route)

    def failed(self, reason: str, *, asked_rest_seconds: float = 0.0) -> None:
        """Nothing usable came of it, or not all."""
        gateway, route = self._gateway, self.route
        self.tried.append(route.deployment.id)
        self.note(reason)
        route.health.failed()
        gateway.metrics.upstream_errors.add(1, route.deployment.id, reason)
        self.leave(gateway.now())
        gateway.failed(route, self.taken_at, asked_rest_seconds=asked_rest_seconds)

    def note(self, outcome: str) -> None:
        """What came of the attempt under way, for the record."""
        seconds = self._first_byte_seconds
        if seconds < 0.0:
            seconds = self._gateway.now() - self.taken_at
        if self.tries is None:
            self.tries = []
        self.tries.append(Attempt(deployment=self.route.uuid, outcome=outcome, ms=round(seconds * 1000)))
        self._noted = True

    def note_last(self, outcome: str) -> None:
        """The call has ended with this attempt, unless that was noted as a failure."""
        if not self._noted:
            self.note(outcome)

    def once_more(self) -> None:
        """The same deployment again, over a fresh connection: an attempt of its own in the record."""
        self.note("closed")
        self._noted = False

    def may_go_on(self, route: Route) -> bool:
        """Whether the call may be tried once more, at `route`; a retry is then spent."""
        gateway, model = self._gateway, self.model
        if not route.budget.take(gateway.now()):
            gateway.metrics.retry_budget_exhausted.add(1, model.name)
            return False
        gateway.metrics.retries.add(1, model.name)
        return True
