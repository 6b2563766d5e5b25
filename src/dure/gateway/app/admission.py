"""How a call comes to go out: limits, a place at a deployment, its worst case held, in this order.

Nearly every call has all of it at once, and is sent on its way in one straight line (`admit`). One that has to wait for
something gets an `Admission`, which lasts until the call goes out, is refused, or its client leaves. `app.waiting` says
why the place comes before the money.
"""

from dure.gateway.app.gateway import Route
from dure.gateway.app.relay import Relay
from dure.gateway.app.waiting import Taking, Ticket
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.escrow import Shortage, Waiter


def admit(relay: Relay) -> None:
    """Take a place, hold the money, and go; or wait. Raises `Refusal` where there is nothing to wait for."""
    charge = relay.charge
    if charge.permit is not None and not charge.permit.take(relay.gateway.now()):
        Admission(relay).pass_limits()
        return
    try:
        # Where others wait for a place already, nobody overtakes them.
        route = None if relay.model.id in relay.gateway.waiting.lines else relay.next_route()
    except Refusal:
        charge.refused()
        raise
    if route is None:
        Admission(relay).join()
        relay.begin()
        return
    relay.begin()
    if relay.gateway.keeper.try_hold(charge.escrow, charge.hold, relay.request.received_at):
        relay.go(route)
    else:
        Admission(relay).wait_for_money()


class Admission:
    """A call that waits: for what its key and award allow, for a place, or for money."""

    __slots__ = ("_has_money", "_relay", "_ticket", "_waiter")

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._waiter: Waiter | None = None
        self._ticket: Ticket | None = None
        self._has_money = False
        relay.admission = self

    def leave(self) -> None:
        """Nobody waits for an answer any more."""
        if self._waiter is not None:
            self._waiter.cancelled = True
        if self._ticket is not None:
            self._relay.gateway.waiting.leave(self._ticket)
            self._ticket = None
        self._let_go_of_money()
        self._relay.charge.refused()

    def _refuse(self, refusal: Refusal) -> None:
        self._relay.charge.refused()
        self._relay.refuse(refusal)

    # Limits

    def pass_limits(self) -> None:
        relay = self._relay
        permit = relay.charge.permit
        assert permit is not None
        relay.begin()
        if permit.enter(granted=self._permitted, refused=self._refuse):
            self._permitted()

    def _permitted(self) -> None:
        """The limits of key and award let it pass."""
        relay = self._relay
        try:
            route = None if relay.model.id in relay.gateway.waiting.lines else relay.next_route()
            if route is None:
                self.join()
                return
        except Refusal as refusal:
            self._refuse(refusal)
            return
        self._pay_for(route)

    # A place

    def join(self, *, first: bool = False) -> None:
        relay = self._relay
        self._ticket = relay.gateway.waiting.join(
            relay.model,
            relay.charge.escrow.award,
            self,
            tried=relay.attempts.tried,
            came_at=relay.request.received_at,
            first=first,
        )

    def take_place(self) -> Taking:
        """It is this call's turn in line."""
        relay = self._relay
        try:
            route = relay.next_route()
        except Refusal as refusal:
            self.place_refused(refusal)
            return "left"
        if route is None:
            return "blocked"
        self._ticket = None
        if self._has_money:
            relay.go(route)
            return "taken"
        return "taken" if self._pay_for(route) else "left"

    def place_refused(self, refusal: Refusal) -> None:
        self._ticket = None
        self._let_go_of_money()
        self._refuse(refusal)

    # Money

    def _pay_for(self, route: Route) -> bool:
        """Hold the worst case and go, or leave the place to others and wait for money."""
        relay = self._relay
        charge = relay.charge
        charge.find_escrow()
        if relay.gateway.keeper.try_hold(charge.escrow, charge.hold, relay.request.received_at):
            self._has_money = True
            relay.go(route)
            return True
        self.wait_for_money()
        return False

    def wait_for_money(self) -> None:
        relay = self._relay
        charge = relay.charge
        charge.find_escrow()
        self._waiter = relay.gateway.keeper.wait(
            charge.escrow, charge.hold, granted=self._money_came, refused=self._no_money
        )

    def _money_came(self) -> None:
        self._waiter = None
        self._has_money = True
        relay = self._relay
        try:
            if relay.model.id not in relay.gateway.waiting.lines:
                route = relay.next_route()
                if route is not None:
                    relay.go(route)
                    return
            self.join(first=True)
        except Refusal as refusal:
            self.place_refused(refusal)

    def _let_go_of_money(self) -> None:
        if self._has_money:
            self._has_money = False
            self._relay.charge.release()

    def _no_money(self, shortage: Shortage) -> None:
        relay = self._relay
        charge = relay.charge
        if (
            shortage.reason == "insufficient"
            and relay.request.headers.get(b"x-dure-fit", b"").lower() == b"true"
        ):
            # What lies idle in other processes is asked for once; then what is here must do.
            most = shortage.available if charge.fitted else charge.escrow.left - charge.escrow.held
            if charge.fit(most):
                self.wait_for_money()
                return
        self._refuse(charge.refusal(shortage))
