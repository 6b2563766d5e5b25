"""What processes count together: exactly, without losing a count, and without the table as well as it goes."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.db import connection, transaction
from django.test import RequestFactory

from dure.control.foundation import clock
from dure.control.foundation.models import SharedCount
from dure.control.foundation.shared_cache import SharedCache

_PROCESS = """
import sys
from dure.control.config.wsgi import application
from allauth.core.internal import ratelimit
from django.test import RequestFactory
request = RequestFactory().post("/")
sys.stdin.readline()
print(sum(bool(ratelimit.consume(request, app="allauth.account", action="x", config={"x": "7/m/ip"})) for _ in range(10)))
"""


def attempts(how_many: int, *, rate: str = "5/m/ip") -> int:
    request = RequestFactory().post("/")
    return sum(
        bool(ratelimit.consume(request, app="allauth.account", action="x", config={"x": rate}))
        for _ in range(how_many)
    )


def test_two_processes_at_once_allow_together_what_one_may(database_url: str) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS],
            env={**os.environ, "DURE_DATABASE_URL": database_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    assert sum(int(one.communicate(timeout=60)[0]) for one in running) == 7
    assert attempts(1, rate="7/m/ip") == 0


@pytest.mark.django_db
def test_an_attempt_outlives_the_process_and_ends_with_its_time() -> None:
    assert attempts(9) == 5
    SharedCount.objects.update(expires=clock.now() - timedelta(seconds=2))
    assert attempts(9) == 5


@pytest.mark.django_db
def test_an_empty_table_is_a_fresh_start() -> None:
    assert attempts(9) == 5
    SharedCount.objects.all().delete()
    assert attempts(9) == 5


@pytest.mark.django_db
def test_what_still_counts_is_never_dropped_to_make_room() -> None:
    small = SharedCache("foundation_sharedcount", {"OPTIONS": {"MAX_ENTRIES": 3}})
    small.set("old", 1, 60)
    SharedCount.objects.update(expires=clock.now() - timedelta(seconds=2))
    for number in range(20):
        small.set(f"attempt-{number}", number, 60)
    assert [small.get(f"attempt-{number}") for number in range(20)] == list(range(20))
    assert SharedCount.objects.count() == 20


@pytest.mark.django_db
def test_without_the_table_each_process_counts_for_itself_and_the_transaction_lives() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE foundation_sharedcount RENAME TO elsewhere")
        assert attempts(9) == 5
        assert cache.get("nothing") is None
        assert not cache.has_key("nothing")
        assert not cache.touch("nothing")
        assert not cache.delete("nothing")
        cache.delete_many(["nothing"])
        cursor.execute("ALTER TABLE elsewhere RENAME TO foundation_sharedcount")
        assert SharedCount.objects.count() == 0
    cache.clear()


@pytest.mark.django_db
def test_the_table_holds_no_address_in_the_clear() -> None:
    cache.set("login:127.0.0.1:kim@example.kr", [1], 60)
    assert cache.get("login:127.0.0.1:kim@example.kr") == [1]
    (key,) = SharedCount.objects.values_list("cache_key", flat=True)
    assert ("127.0.0.1" in key, "kim" in key, len(key)) == (False, False, 64)
