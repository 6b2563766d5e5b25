"""What a key may call a model for, made ready once and used for many calls.

An offer holds as long as the directory entries it was made from and the price of the moment. Whenever an entry
changes, all offers are forgotten: making one takes microseconds, and nothing then depends on which of them it was.
"""

from uuid import UUID

from dure.contracts.directory import AwardEntry, Endpoint, KeyEntry, ModelEntry, Price
from dure.gateway.app.gateway import Route
from dure.gateway.protocol import directory
from dure.gateway.protocol.journal import Parties
from dure.gateway.protocol.metering import Tariff

#: Beyond so many they are forgotten, so that many keys do not fill the memory.
MOST_OFFERS = 50_000


class Offer:
    """`until` is when another price takes effect, in microseconds since 1970 UTC; None for never."""

    __slots__ = ("_parties", "award", "key", "model", "price", "tariff", "until")

    def __init__(
        self, key: KeyEntry, award: AwardEntry, model: ModelEntry, price: Price, until: int | None
    ) -> None:
        self.key = key
        self.award = award
        self.model = model
        self.price = price
        self.until = until
        self.tariff = Tariff.of(price.meters)
        self._parties: dict[tuple[str, Endpoint], Parties] = {}

    def parties(self, route: Route, endpoint: Endpoint) -> Parties:
        """For the records of calls that go to `route`."""
        which = (route.deployment.id, endpoint)
        parties = self._parties.get(which)
        if parties is None:
            parties = self._parties[which] = Parties(
                award=UUID(self.award.id),
                key=UUID(self.key.id),
                model=self.model.name,
                deployment=route.uuid,
                provider=route.provider,
                price=UUID(self.price.id),
                endpoint=endpoint,
                meters=self.price.meters,  # type: ignore[arg-type]
            )
        return parties


class Offers:
    """The offers of a process, by key and model."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Offer] = {}

    def forget(self) -> None:
        self._made.clear()

    def offer(self, key: KeyEntry, award: AwardEntry, model: ModelEntry, now: int) -> Offer | None:
        """The offer at this moment; None for a model without a price yet."""
        which = (key.id, model.id)
        offer = self._made.get(which)
        if offer is not None and (offer.until is None or now < offer.until):
            return offer
        price = directory.current_price(model, now)
        if price is None:
            return None
        until = min((p.effective_from for p in model.prices if p.effective_from > now), default=None)
        if len(self._made) >= MOST_OFFERS:
            self._made.clear()
        offer = self._made[which] = Offer(key, award, model, price, until)
        return offer
