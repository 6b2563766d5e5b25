"""Who calls, and what for: what was found out about a key and its models, made ready once and used for many calls.

A caller and its offers hold as long as the directory entries they were made from, and within the times that those
name. Whenever an entry changes, all are forgotten: finding out again takes microseconds, and nothing then depends on
which of them it was. So the rules about keys, awards and models stand in one place, `app/service.py`, and the way of a
call that has been made before is two look-ups and two comparisons.
"""

from uuid import UUID

from dure.contracts.directory import AwardEntry, Endpoint, KeyEntry, ModelEntry, Price
from dure.gateway.app.gateway import Route
from dure.gateway.protocol.frames import Parties
from dure.gateway.protocol.metering import Tariff

#: Beyond so many they are forgotten, so that many keys do not fill the memory.
MOST_CALLERS = 50_000
#: A time that does not come.
NEVER = 1 << 62


class Offer:
    """A model, at an endpoint and a price, for a caller. `until` is when another price takes effect, in microseconds
    since 1970 UTC. `parties` are what all records of its calls say alike, by where they went."""

    __slots__ = ("award", "endpoint", "key", "model", "parties", "price", "tariff", "until")

    def __init__(
        self,
        key: KeyEntry,
        award: AwardEntry,
        model: ModelEntry,
        endpoint: Endpoint,
        price: Price,
        until: int,
    ) -> None:
        self.key = key
        self.award = award
        self.model = model
        self.endpoint: Endpoint = endpoint
        self.price = price
        self.until = until
        self.tariff = Tariff.of(price.meters)
        self.parties: dict[Route, Parties] = {}

    def parties_at(self, route: Route) -> Parties:
        """For the records of calls that go to `route`, the first time."""
        parties = self.parties[route] = Parties(
            award=UUID(self.award.id),
            key=UUID(self.key.id),
            model=self.model.name,
            deployment=route.uuid,
            provider=route.provider,
            price=UUID(self.price.id),
            endpoint=self.endpoint,
            meters=self.price.meters,  # type: ignore[arg-type]
        )
        return parties


class Caller:
    """A key and its award, which both hold from `begins` to before `ends`, microseconds since 1970 UTC.

    `limited`: whether either limits anything. `offers` are those that were made to it, by endpoint and model's name.
    """

    __slots__ = ("award", "begins", "ends", "key", "limited", "offers")

    def __init__(self, key: KeyEntry, award: AwardEntry, *, limited: bool) -> None:
        self.key = key
        self.award = award
        self.limited = limited
        self.begins = award.valid_from
        self.ends = min(
            NEVER if key.expires_at is None else key.expires_at,
            NEVER if award.valid_until is None else award.valid_until,
        )
        self.offers: dict[tuple[Endpoint, str], Offer] = {}
