"""Replaying changes comes to the same as loading afresh, in whatever portions they are read."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.io.database import DatabaseAway
from dure.gateway.io.directory_sync import DirectorySync


class Table:
    """The directory table and its doors: a row per entry, each change with the next version."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[int, str | None]] = {}
        self.version = 0
        self.away = False

    def publish(self, kind: str, entry_id: str, payload: str | None) -> None:
        if self.rows.get((kind, entry_id), (0, None))[1] != payload:
            self.version += 1
            self.rows[kind, entry_id] = (self.version, payload)

    async def directory_changes(self, since: int) -> list[tuple[int, str, str, str | None]]:
        if self.away:
            raise DatabaseAway("away")
        return sorted(
            (version, *key, payload) for key, (version, payload) in self.rows.items() if version > since
        )

    def standing(self) -> dict[tuple[str, str], str]:
        return {key: payload for key, (_, payload) in self.rows.items() if payload not in (None, '"bad"')}


class Kept:
    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def apply(self, version: int, kind: str, entry_id: str, payload: str | None) -> None:
        self.entries.pop((kind, entry_id), None)
        if payload == '"bad"':
            raise ValueError("not understood")
        if payload is not None:
            self.entries[kind, entry_id] = payload


changes = st.tuples(
    st.just("publish"),
    st.sampled_from(["key", "award", "model", "deployment"]),
    st.sampled_from("abcd"),
    st.sampled_from([None, None, "1", "2", '"bad"']),
)
steps = st.lists(st.one_of(changes, st.just(("load",)), st.just(("away",)), st.just(("back",))), max_size=40)


@given(steps)
def test_replayed_changes_equal_a_fresh_load(script: list[tuple]) -> None:
    async def load(sync: DirectorySync) -> None:
        try:
            await sync.load()
        except DatabaseAway:
            pass

    async def main() -> None:
        table, followed = Table(), Kept()
        sync = DirectorySync(followed, table)  # type: ignore[arg-type]
        before: dict = {}
        for name, *values in script:
            if name == "publish":
                table.publish(*values)
            elif name == "load":
                before = followed.entries.copy()
                await load(sync)
                assert followed.entries == (before if table.away else table.standing())
            else:
                table.away = name == "away"
        table.away = False
        await load(sync)
        fresh = Kept()
        await load(DirectorySync(fresh, table))  # type: ignore[arg-type]
        assert followed.entries == fresh.entries == table.standing()
        assert sync.version == table.version

    asyncio.run(main())


def test_a_change_whose_notice_was_lost_is_found_by_asking() -> None:
    async def main() -> None:
        table, followed = Table(), Kept()
        sync = DirectorySync(followed, table, poll_seconds=0.01)  # type: ignore[arg-type]
        following = asyncio.create_task(sync.follow())
        for version in ("1", "2", None):
            table.publish("key", "a", version)  # and nobody is told
            async with asyncio.timeout(10):
                while followed.entries != table.standing() or sync.version != table.version:
                    await asyncio.sleep(0.005)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(main())
