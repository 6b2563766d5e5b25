"""The directory in memory: who may call what, at which price, and where it is served.

Rows come from `gateway_api.directory_changes` in the order of their versions. Applying them is the only
way this object changes, so replaying every change equals loading afresh. An entry that cannot be read
counts as withdrawn, because refusing a call is safer than honouring rules that were not understood.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

import msgspec

from dure.contracts.directory import (
    DECODERS,
    AwardEntry,
    DeploymentEntry,
    DirectoryEntry,
    DirectoryKind,
    Endpoint,
    KeyEntry,
    ModelEntry,
    Price,
)

Listener = Callable[[str, str, DirectoryEntry | None], None]


def key_digest(key: bytes) -> str:
    return sha256(key).hexdigest()


class Directory:
    """Look-ups over the entries applied so far. Times are microseconds since 1970 UTC.

    Listeners are told `(kind, id, entry or None)` after each change.
    """

    def __init__(self) -> None:
        self.version = 0
        self.keys: dict[str, KeyEntry] = {}
        self.awards: dict[str, AwardEntry] = {}
        self.models: dict[str, ModelEntry] = {}
        self.deployments: dict[str, DeploymentEntry] = {}
        self.unreadable: dict[tuple[str, str], str] = {}
        self.listeners: list[Listener] = []
        self._key_by_digest: dict[str, KeyEntry] = {}
        self._model_by_name: dict[str, ModelEntry] = {}
        self._deployments_of: dict[str, tuple[DeploymentEntry, ...]] = {}

    def apply(self, version: int, kind: str, entry_id: str, payload: str | bytes | None) -> None:
        """One row of the directory; one at or below the standing version was applied before."""
        if version <= self.version:
            return
        self.version = version
        decoder = DECODERS.get(kind)  # type: ignore[call-overload]
        if decoder is None:
            # A newer control plane may publish kinds that this release does not know.
            return
        entry: DirectoryEntry | None = None
        self.unreadable.pop((kind, entry_id), None)
        if payload is not None:
            try:
                entry = decoder.decode(payload)
            except msgspec.MsgspecError as error:
                self.unreadable[kind, entry_id] = str(error)
        self._replace(kind, entry_id, entry)  # type: ignore[arg-type]
        for listener in self.listeners:
            listener(kind, entry_id, entry)

    def _replace(self, kind: DirectoryKind, entry_id: str, entry: DirectoryEntry | None) -> None:
        match kind:
            case "key":
                self._replace_key(entry_id, entry)
            case "award":
                self.awards.pop(entry_id, None)
                if isinstance(entry, AwardEntry):
                    self.awards[entry_id] = entry
            case "model":
                self.models.pop(entry_id, None)
                if isinstance(entry, ModelEntry):
                    self.models[entry_id] = entry
                self._model_by_name = {model.name: model for model in self.models.values()}
            case "deployment":
                self._replace_deployment(entry_id, entry)

    def _replace_key(self, entry_id: str, entry: DirectoryEntry | None) -> None:
        before = self.keys.pop(entry_id, None)
        if before is not None and self._key_by_digest.get(before.digest) is before:
            del self._key_by_digest[before.digest]
        if isinstance(entry, KeyEntry):
            self.keys[entry_id] = self._key_by_digest[entry.digest] = entry

    def _replace_deployment(self, entry_id: str, entry: DirectoryEntry | None) -> None:
        gone = self.deployments.pop(entry_id, None)
        if gone is not None:
            self._regroup(gone.model, without=entry_id)
        if isinstance(entry, DeploymentEntry):
            self.deployments[entry_id] = entry
            self._regroup(entry.model, without=entry_id, with_entry=entry)

    def _regroup(self, model_id: str, *, without: str, with_entry: DeploymentEntry | None = None) -> None:
        group = [entry for entry in self._deployments_of.pop(model_id, ()) if entry.id != without]
        if with_entry is not None:
            group.append(with_entry)
        if group:
            group.sort(key=lambda entry: (entry.priority, entry.id))
            self._deployments_of[model_id] = tuple(group)

    def key_by_digest(self, digest: str) -> KeyEntry | None:
        return self._key_by_digest.get(digest)

    def award(self, award_id: str) -> AwardEntry | None:
        return self.awards.get(award_id)

    def model_by_name(self, name: str) -> ModelEntry | None:
        return self._model_by_name.get(name)

    def deployments_of(self, model_id: str) -> tuple[DeploymentEntry, ...]:
        """Sorted by priority."""
        return self._deployments_of.get(model_id, ())

    def models_for(self, award: AwardEntry, now: int) -> Iterator[ModelEntry]:
        """Models that this award may call now: allowed, priced and served somewhere. By name."""
        for _, model in sorted(self._model_by_name.items()):
            if (
                allows(award, model)
                and served_for(award, model)
                and current_price(model, now)
                and self.deployments_of(model.id)
            ):
                yield model


def allows(award: AwardEntry, model: ModelEntry) -> bool:
    return not award.models or model.id in award.models or model.name in award.models


def served_for(award: AwardEntry, model: ModelEntry) -> tuple[Endpoint, ...]:
    """The endpoints of a model that this award may call."""
    if not award.endpoints:
        return model.endpoints
    return tuple(name for name in model.endpoints if name in award.endpoints)


def is_open(award: AwardEntry, now: int) -> bool:
    return award.valid_from <= now and (award.valid_until is None or now < award.valid_until)


def current_price(model: ModelEntry, now: int) -> Price | None:
    for price in reversed(model.prices):
        if price.effective_from <= now:
            return price
    return None
