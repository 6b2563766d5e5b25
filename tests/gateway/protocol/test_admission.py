"""The worst case is never better than what can happen."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.contracts.directory import AwardEntry, Meter, ModelEntry
from dure.gateway.protocol.admission import Bounds, hold_micro_won, largest_output_tokens
from dure.gateway.protocol.endpoints import ENDPOINTS
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.metering import Quantities, Tariff, actual_cost_micro_won

MODEL = ModelEntry(
    id="m", name="m", provider="p", endpoints=(), context_length=4096, max_output_tokens=1024, prices=()
)
AWARD = AwardEntry(id="a", organisation="o", programme="p", valid_from=0)
prices = st.integers(0, 10**12)
METERS = get_args(Meter)
tariffs = st.dictionaries(st.sampled_from(METERS), prices).map(Tariff.of)


def call(endpoint="chat.completions", **fields):
    return ENDPOINTS[endpoint].read(json.dumps({"model": "m", **fields}).encode(), {})


def chat(content="Hi", **fields):
    return call(messages=[{"role": "user", "content": content}], **fields)


def written(of, **options):
    return ENDPOINTS[of.endpoint].upstream_body(of, **options)


def bounds(of, model=MODEL, award=AWARD):
    return ENDPOINTS[of.endpoint].bounds(of, model, award)


@given(
    tariff=tariffs,
    used=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    limit=st.integers(1, 2000),
    n=st.integers(1, 4),
    units=st.dictionaries(
        st.sampled_from(["cache_write", "audio_input", "audio_output", "reasoning"]), st.integers(0, 10**6)
    ),
)
def test_whatever_is_used_within_the_bounds_costs_at_most_the_hold(tariff, used, limit, n, units):
    of = bounds(chat(max_tokens=limit, n=n))
    input_tokens = int(of.input * used[0])
    counted = Quantities(input_tokens, int(of.output * used[1]), int(input_tokens * used[2]), units)
    assert actual_cost_micro_won(counted, tariff) <= hold_micro_won(of, tariff)


@given(
    tariff=tariffs,
    said=st.none() | st.builds(Quantities, st.integers(0, 200), st.integers(0, 5), st.just(0)),
    relayed=st.integers(0, 5_000),
    limit=st.integers(1, 2_000),
    endpoint=st.sampled_from(["chat.completions", "messages"]),
)
def test_our_own_count_costs_at_most_the_hold(tariff, said, relayed, limit, endpoint):
    of = bounds(call(endpoint, messages=[{"role": "user", "content": "Hi"}], max_tokens=limit))
    if said is not None:
        said = said._replace(input=min(said.input, of.input), output=min(said.output, of.output))
    assert actual_cost_micro_won(of.estimate(relayed, said), tariff) <= hold_micro_won(of, tariff)


@given(
    units=st.dictionaries(st.sampled_from(["character", "second", "image", "search"]), st.integers(0, 10**6)),
    part=st.floats(0, 1),
    tariff=tariffs,
)
def test_other_meters_within_their_bounds_cost_at_most_the_hold(units, part, tariff):
    of = Bounds(10, 0, 1, 0, 1, units)
    used = {meter: int(most * part) for meter, most in units.items()}
    assert actual_cost_micro_won(Quantities(10, 0, 0, used), tariff) <= hold_micro_won(of, tariff)


@given(tariff=tariffs, available=st.integers(0, 10**10), limit=st.integers(1, 1024))
def test_the_largest_limit_fits_and_one_more_does_not(tariff, available, limit):
    of = bounds(chat(max_tokens=limit))
    largest = largest_output_tokens(of, tariff, available)
    if largest is None:
        assert hold_micro_won(of._replace(output_each=1), tariff) > available
    else:
        assert hold_micro_won(of._replace(output_each=largest), tariff) <= available
        assert largest == limit or hold_micro_won(of._replace(output_each=largest + 1), tariff) > available


@given(content=st.text(max_size=200))
def test_a_prompt_has_no_more_tokens_than_its_bound(content):
    assert (
        bounds(chat(content)).input >= len(content.encode("utf-8", "surrogatepass"))
        or bounds(chat(content)).input == 4096
    )


def test_the_context_bounds_everything():
    assert bounds(chat("x" * 100_000, max_tokens=100_000))[:2] == (4096, 1024)


@pytest.mark.parametrize(
    ("content", "whole_context"),
    [
        ("Hi", False),
        ([{"type": "text", "text": "Hi"}], False),
        (None, False),
        ([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}], True),
        ([{"type": "text", "text": "a"}, {"type": "input_audio", "input_audio": {}}], True),
        ([{"text": "no type"}], True),
        (["not an object"], True),
    ],
)
def test_anything_but_text_is_held_for_the_whole_context(content, whole_context):
    assert (bounds(chat(content)).input == 4096) is whole_context


@pytest.mark.parametrize(
    ("fields", "each", "answers"),
    [
        ({}, 1024, 1),
        ({"max_tokens": 5}, 5, 1),
        ({"max_completion_tokens": 6}, 6, 1),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 5, 1),
        ({"max_tokens": None}, 1024, 1),
        ({"max_tokens": 5, "n": 3}, 5, 3),
        ({"max_tokens": 5, "n_predict": 3, "n_cmpl": 4}, 3, 4),
    ],
)
def test_output_of_a_chat(fields, each, answers):
    assert bounds(chat(**fields))[1:3] == (each, answers)


@pytest.mark.parametrize(
    ("fields", "each", "answers"),
    [
        ({"prompt": "a"}, 16, 1),
        ({"prompt": "a", "max_tokens": 5, "n": 2}, 5, 2),
        ({"prompt": "a", "n": 2, "best_of": 4}, 16, 4),
        ({"prompt": ["a", "b", "c"], "n": 2}, 16, 6),
        ({"prompt": [1, 2, 3]}, 16, 1),
        ({"prompt": [[1, 2], [3]]}, 16, 2),
        ({"prompt": None}, 16, 1),
    ],
)
def test_output_of_a_completion(fields, each, answers):
    assert bounds(call("completions", **fields))[1:3] == (each, answers)


def test_embeddings_cost_input_only():
    of = bounds(call("embeddings", input=["a"] * 100_000))
    assert (of.output, of.input) == (0, 500_000 + 128 * 100_000)


def test_the_award_may_set_a_lower_ceiling():
    award = AwardEntry(id="a", organisation="o", programme="p", valid_from=0, max_tokens_ceiling=50)
    assert bounds(chat(max_tokens=100), award=award).output_each == 50


def test_a_prediction_may_be_billed_on_top():
    assert bounds(chat(prediction={"type": "content", "content": "x" * 90})).extra_output > 90


@pytest.mark.parametrize(
    "fields", [{"best_of": 1, "n": 2}, {"best_of": 999}, {"n": True}, {"max_tokens": -1}]
)
def test_completions_that_make_no_sense(fields):
    with pytest.raises(Refusal):
        call("completions", prompt="a", **fields)


def test_the_provider_gets_what_was_admitted_and_everything_else_untouched():
    raw = b'{"model":"m","messages":[{"role":"user","content":"\\u00e9"}], "max_tokens":1, "vendor":{"deep":[1.50, 2e3]},"max_tokens":7}'
    chat_completions = ENDPOINTS["chat.completions"]
    sent = chat_completions.upstream_body(
        chat_completions.read(raw, {}), upstream_model="up", dialect="openai", output_limit=7
    )
    assert sent == (
        b'{"model":"up","messages":[{"role":"user","content":"\\u00e9"}],"max_tokens":7,"vendor":{"deep":[1.50, 2e3]}}'
    )


@pytest.mark.parametrize(
    ("dialect", "name"), [("openai", "max_completion_tokens"), ("llama.cpp", "max_tokens")]
)
def test_a_limit_that_nobody_set_is_set(dialect, name):
    sent = json.loads(written(chat(), upstream_model="up", dialect=dialect, output_limit=7))
    assert sent[name] == 7


def test_a_second_name_of_the_limit_cannot_overrule_it():
    of = chat(max_tokens=5, n_predict=900)
    sent = json.loads(written(of, upstream_model="up", dialect="llama.cpp", output_limit=5))
    assert (sent["max_tokens"], sent["n_predict"]) == (5, 5)


@pytest.mark.parametrize("field", ["chat_template", "chat_template_kwargs", "web_search_options"])
def test_what_may_swell_the_prompt_is_held_for_the_whole_context(field):
    assert bounds(chat(**{field: {}})).input == 4096


def test_stream_options_of_the_caller_are_kept():
    of = chat(stream=True, stream_options={"include_usage": False, "other": 1})
    sent = json.loads(written(of, upstream_model="up", dialect="openai", output_limit=None))
    assert sent["stream_options"] == {"include_usage": True, "other": 1}


@pytest.mark.parametrize("endpoint", ["responses", "messages"])
def test_no_other_name_of_the_limit_can_overrule_it_at_a_provider_of_another_dialect(endpoint):
    own = "max_output_tokens" if endpoint == "responses" else "max_tokens"
    prompt = {"input": "Hi"} if endpoint == "responses" else {"messages": [{"role": "user", "content": "Hi"}]}
    of = call(endpoint, **prompt, **{own: 50, "n_predict": 40, "max_completion_tokens": 900})
    assert bounds(of).output == 40
    sent = json.loads(written(of, upstream_model="up", dialect="llama.cpp", output_limit=40))
    assert (sent[own], sent["n_predict"], sent["max_completion_tokens"]) == (40, 40, 40)
    with pytest.raises(Refusal):
        call(endpoint, **prompt, **{own: 50, "n": 2})
