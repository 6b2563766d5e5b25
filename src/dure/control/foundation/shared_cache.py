"""What all processes of a deployment count together: attempts to sign in and to register.

Django's cache in the database, with two differences. What still counts is never dropped to make room, for somebody
could wash away their own attempts by filling the table. And while the table is away (a migration that is to come, a
database that was put back without it), each process counts for itself rather than nobody signing in.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import ProgrammingError, router, transaction
from django.utils.crypto import salted_hmac

_log = logging.getLogger(__name__)


def hidden_key(key: str, key_prefix: str, version: int) -> str:
    """What is counted names network addresses and people's mail addresses; the table holds neither (PIPA art. 29)."""
    return salted_hmac("dure.shared-count", f"{key_prefix}:{version}:{key}", algorithm="sha256").hexdigest()


class SharedCache(DatabaseCache):
    """For few and short values; `LOCATION` is the table."""

    def __init__(self, table: str, params: dict[str, Any]) -> None:
        super().__init__(table, params)
        self._name = table
        self._alone = LocMemCache(f"instead of {table}", params)

    def get_many(self, keys: Any, version: int | None = None) -> Any:
        wanted = list(keys)
        return self._shared(
            lambda: super(SharedCache, self).get_many(wanted, version),
            lambda: self._alone.get_many(wanted, version),
        )

    def has_key(self, key: str, version: int | None = None) -> Any:
        return self._shared(
            lambda: super(SharedCache, self).has_key(key, version), lambda: self._alone.has_key(key, version)
        )

    def set(self, key: str, value: Any, *given: Any, **more: Any) -> Any:
        return self._shared(
            lambda: super(SharedCache, self).set(key, value, *given, **more),
            lambda: self._alone.set(key, value, *given, **more),
        )

    def add(self, key: str, value: Any, *given: Any, **more: Any) -> Any:
        return self._shared(
            lambda: super(SharedCache, self).add(key, value, *given, **more),
            lambda: self._alone.add(key, value, *given, **more),
        )

    def touch(self, key: str, *given: Any, **more: Any) -> Any:
        return self._shared(
            lambda: super(SharedCache, self).touch(key, *given, **more),
            lambda: self._alone.touch(key, *given, **more),
        )

    def delete(self, key: str, version: int | None = None) -> Any:
        return self._shared(
            lambda: super(SharedCache, self).delete(key, version), lambda: self._alone.delete(key, version)
        )

    def delete_many(self, keys: Any, version: int | None = None) -> Any:
        wanted = list(keys)
        return self._shared(
            lambda: super(SharedCache, self).delete_many(wanted, version),
            lambda: self._alone.delete_many(wanted, version),
        )

    def clear(self) -> None:
        self._alone.clear()
        self._shared(super().clear, lambda: None)

    def _shared(self, ask: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        try:
            # A step of its own, lest a missing table ends the transaction of whoever asks.
            with transaction.atomic(using=router.db_for_write(self.cache_model_class)):
                return ask()
        except ProgrammingError:
            _log.warning("the table %s is away: each process counts attempts for itself", self._name)
            return otherwise()

    def _cull(self, db: str, cursor: Any, now: Any, num: int) -> None:
        cursor.execute(f"DELETE FROM {self._name} WHERE expires < %s", [now])  # noqa: S608  # a name of ours
