"""Replayed changes equal a fresh load; look-ups say what the last change said."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dure.contracts.directory import AwardEntry, DeploymentEntry, KeyEntry, ModelEntry, Price
from dure.gateway.protocol.directory import Directory, current_price

ids = st.sampled_from(["1", "2", "3"])
entries = st.one_of(
    st.tuples(
        st.just("key"),
        st.builds(KeyEntry, id=ids, digest=st.sampled_from("ab"), award=ids, prefix=st.just("p")),
    ),
    st.tuples(
        st.just("award"),
        st.builds(
            AwardEntry,
            id=ids,
            organisation=st.just("o"),
            programme=st.just("p"),
            valid_from=st.integers(0, 9),
        ),
    ),
    st.tuples(
        st.just("model"),
        st.builds(
            ModelEntry,
            id=ids,
            name=st.sampled_from("xyz"),
            provider=st.just("p"),
            endpoints=st.just(()),
            context_length=st.just(1),
            max_output_tokens=st.just(1),
            prices=st.just(()),
        ),
    ),
    st.tuples(
        st.just("deployment"),
        st.builds(
            DeploymentEntry,
            id=ids,
            model=ids,
            provider=st.just("p"),
            base_url=st.just("http://x"),
            upstream_model=st.just("m"),
            priority=st.integers(0, 2),
        ),
    ),
)
changes = st.lists(
    st.one_of(
        entries.map(lambda entry: (entry[0], entry[1].id, msgspec.json.encode(entry[1]))),
        st.tuples(st.sampled_from(["key", "award", "model", "deployment"]), ids, st.none()),
        st.tuples(st.sampled_from(["key", "award"]), ids, st.just(b"{}")),
    )
)


def state(directory: Directory) -> tuple:
    return (
        directory.keys,
        directory.awards,
        directory.models,
        directory.deployments,
        {model: directory.deployments_of(model) for model in "123"},
        set(directory.unreadable),
    )


@given(changes)
def test_replaying_equals_loading_the_last_row_of_each_entry(rows):
    replayed, loaded = Directory(), Directory()
    last = {}
    for version, (kind, entry_id, payload) in enumerate(rows, start=1):
        replayed.apply(version, kind, entry_id, payload)
        last[kind, entry_id] = (version, payload)
    for (kind, entry_id), (version, payload) in sorted(last.items(), key=lambda item: item[1][0]):
        loaded.apply(version, kind, entry_id, payload)
    assert state(replayed) == state(loaded)
    assert replayed.version == loaded.version == len(rows)


def test_a_row_that_was_applied_before_changes_nothing():
    directory = Directory()
    key = msgspec.json.encode(KeyEntry(id="k", digest="d", award="a", prefix="p"))
    directory.apply(5, "key", "k", key)
    directory.apply(6, "key", "k", None)
    directory.apply(5, "key", "k", key)
    assert directory.key_by_digest("d") is None


def test_an_entry_that_cannot_be_read_counts_as_withdrawn():
    directory = Directory()
    told = []
    directory.listeners.append(lambda kind, entry_id, entry: told.append((kind, entry_id, entry)))
    directory.apply(1, "key", "k", msgspec.json.encode(KeyEntry(id="k", digest="d", award="a", prefix="p")))
    directory.apply(2, "key", "k", b'{"id": 1}')
    directory.apply(3, "something new", "n", b"{}")
    assert directory.key_by_digest("d") is None
    assert list(directory.unreadable) == [("key", "k")]
    assert told[-1] == ("key", "k", None)
    assert directory.version == 3


def test_the_price_of_the_moment():
    prices = (Price("a", 100, {}), Price("b", 200, {}))
    model = ModelEntry("m", "m", "p", (), 1, 1, prices)
    found = [current_price(model, now) for now in (99, 100, 199, 200)]
    assert found == [None, prices[0], prices[0], prices[1]]
