"""What a wrong document is told: line, column, field, what is wrong, what to do. All of it at once."""

import pytest
import yaml
from django.utils import translation
from tests.control.catalogue.conftest import DOCUMENT

from dure.control.catalogue.document import (
    DIALECTS,
    ENDPOINTS,
    ENDPOINTS_OF_DIALECT,
    METERS,
    REQUIRED_METERS,
    read,
)
from dure.gateway.protocol.endpoints import ENDPOINTS as GATEWAY


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def told(document: object) -> list[str]:
    return [str(problem) for problem in read(document)[1]]


def test_a_right_document_is_told_nothing() -> None:
    document, problems = read(DOCUMENT)
    assert problems == []
    (model,) = document.models
    assert model.name == "nuri-7b"
    assert model.endpoints == ("chat.completions",)
    assert [price.meters for price in model.prices or ()] == [{"input": 120_000_000, "output": 480_000_000}]
    assert [one.base_url for one in model.deployments or ()] == ["https://models.nuri.example"]


def test_the_same_as_values_is_read_alike() -> None:
    values = yaml.safe_load(DOCUMENT)
    from_values, problems = read(values)
    assert problems == []
    from_text, _ = read(DOCUMENT)
    assert from_values.models[0].prices[0].meters == from_text.models[0].prices[0].meters
    assert from_values.models[0].prices[0].effective_from == from_text.models[0].prices[0].effective_from


def test_a_wrong_value_is_named_by_its_path() -> None:
    values = yaml.safe_load(DOCUMENT)
    values["models"][0]["prices"][0]["input"] = -1
    assert told(values) == ["models[0].prices[0].input: -1 is less than zero. Write 0 if it is free."]


@pytest.mark.parametrize(
    ("won", "micro_won"),
    [("0", 0), ("0.000001", 1), ("0.1", 100_000), ('"12.50"', 12_500_000), ("1_000", 1_000_000_000)],
)
def test_a_price_is_taken_exactly_as_written(won: str, micro_won: int) -> None:
    document, problems = read(DOCUMENT.replace("input: 120", f"input: {won}"))
    assert problems == []
    assert document.models[0].prices[0].meters["input"] == micro_won


VARIANTS = {
    "a field nobody knows": (
        ("    context_length: 8192", "    context_lenght: 8192"),
        [
            "3:5: models[0].context_length: This field is missing. Write it like “context_length: 8192”.",
            "6:5: models[0].context_lenght: There is no such field. Did you mean “context_length”?",
        ],
    ),
    "a field given twice": (
        ("    max_output_tokens: 2048", "    max_output_tokens: 2048\n    max_output_tokens: 1"),
        ["8:5: models[0].max_output_tokens: This field is given twice. Keep one of them."],
    ),
    "text where a number belongs": (
        ("8192", "many"),
        ["6:21: models[0].context_length: Expected a whole number, got many."],
    ),
    "a number out of range": (
        ("8192", "0"),
        ["6:21: models[0].context_length: 0 is out of range. Write a whole number from 1 to 100,000,000."],
    ),
    "more output than context": (
        ("2048", "9000"),
        ["7:24: models[0].max_output_tokens: 9000 is more than context_length 8192."],
    ),
    "a negative price": (
        ("input: 120", "input: -1"),
        ["10:16: models[0].prices[0].input: -1 is less than zero. Write 0 if it is free."],
    ),
    "a price finer than a millionth of a won": (
        ("input: 120", "input: 0.0000001"),
        [
            (
                "10:16: models[0].prices[0].input: 0.0000001 has more than 6 decimals. "
                "A price is at finest a millionth of a won."
            )
        ],
    ),
    "a price in words": (
        ("input: 120", "input: cheap"),
        [
            (
                "10:16: models[0].prices[0].input: Expected a number, got cheap. "
                "Write it with digits and a point, like 120 or 0.25."
            )
        ],
    ),
    "a price that is no number": (
        ("input: 120", "input: .nan"),
        [
            (
                "10:16: models[0].prices[0].input: Expected a number, got .nan. "
                "Write it with digits and a point, like 120 or 0.25."
            )
        ],
    ),
    "a price too large to count": (
        ("input: 120", "input: 10000000000"),
        ["10:16: models[0].prices[0].input: 10000000000 is more than 1,000,000,000."],
    ),
    "a meter nobody knows": (
        ("        output: 480", "        output: 480\n        outputs: 3"),
        ["12:9: models[0].prices[0].outputs: There is no such field. Did you mean “output”?"],
    ),
    "a meter that calls are charged by is missing": (
        ("        output: 480\n", ""),
        [
            (
                "9:9: models[0].prices[0].output: This price is missing; chat.completions is charged by it. "
                "Write won per million, like “output: 120”, or 0 if it is free."
            )
        ],
    ),
    "an endpoint that no deployment's dialect has": (
        ("    context_length", "    endpoints: [chat.completions, messages]\n    context_length"),
        [
            (
                "6:16: models[0].endpoints: No deployment of this model serves messages. "
                "It is served by deployments of these dialects: llama.cpp, anthropic."
            )
        ],
    ),
    "a dialect that has none of the endpoints": (
        ("        base_url:", "        dialect: anthropic\n        base_url:"),
        [
            (
                "3:5: models[0].endpoints: No deployment of this model serves chat.completions. "
                "It is served by deployments of these dialects: openai, llama.cpp."
            )
        ],
    ),
    "a date that is none": (
        ("2026-01-01", "2026-13-01"),
        [
            (
                "9:25: models[0].prices[0].effective_from: Expected a date, got 2026-13-01. "
                "Write it like 2027-01-01 (midnight in Seoul) or 2027-01-01T09:00:00+09:00."
            )
        ],
    ),
    "an address that is not http": (
        ("https://models", "ftp://models"),
        [
            (
                "14:19: models[0].deployments[0].base_url: The address must start with http:// or https://. "
                "Write it like https://models.example.kr."
            )
        ],
    ),
    "an address with a password": (
        ("https://models", "https://me:secret@models"),
        [
            (
                "14:19: models[0].deployments[0].base_url: The address must not hold a user name or a password. "
                "Name the provider's key under “credential”."
            )
        ],
    ),
    "an address that goes on too long": (
        (".example", ".example/v1/chat"),
        [
            (
                "14:19: models[0].deployments[0].base_url: The address ends before /v1, which the gateway adds. "
                "Leave /v1 and what follows away."
            )
        ],
    ),
    "a health check at another host": (
        (
            "    base_url: https://models.nuri.example",
            "    base_url: https://models.nuri.example\n        health_path: //evil.example",
        ),
        [
            (
                "15:22: models[0].deployments[0].health_path: This is not a path. "
                "Write what follows base_url, starting with /, like “health_path: /health”."
            )
        ],
    ),
    "a queue that never moves": (
        (
            "    base_url: https://models.nuri.example",
            "    base_url: https://models.nuri.example\n        queue_limit: -1\n        queue_timeout_ms: 0",
        ),
        [
            "15:22: models[0].deployments[0].queue_limit: -1 is out of range. Write a whole number from 0 to 100,000.",
            "16:27: models[0].deployments[0].queue_timeout_ms: 0 is out of range. Write a whole number from 10 to 600,000.",
        ],
    ),
    "an active deployment without an address": (
        ("        base_url: https://models.nuri.example\n", ""),
        [
            (
                "13:9: models[0].deployments[0].base_url: An active deployment needs an address. "
                "Write “base_url: https://…”, or “state: unreachable” until there is one."
            )
        ],
    ),
    "a key where the place of a key belongs": (
        ("        base_url:", "        credential: sk-live-1234\n        base_url:"),
        [
            (
                "14:21: models[0].deployments[0].credential: This must say where the gateway finds the "
                "provider's key, never the key itself. Write “env:NAME” (a variable of the gateway's "
                "environment) or “file:/path”."
            )
        ],
    ),
    "a dialect nobody knows": (
        ("        base_url:", "        dialect: opena1\n        base_url:"),
        ["14:18: models[0].deployments[0].dialect: “opena1” is not known here. Did you mean “openai”?"],
    ),
    "yes where a name belongs": (
        ("name: nuri-7b", "name: no"),
        ["3:11: models[0].name: Expected text, got yes or no. Put it in quotes."],
    ),
    "another version": (
        ("version: 1", "version: 2"),
        ["1:10: version: 2 is out of range. Write a whole number from 1 to 1."],
    ),
    "a tab": (
        ("    provider", "\tprovider"),
        [
            (
                "4:1: This is not valid YAML: found a tab character that violates indentation. "
                "Check the indentation and the quotes around this line."
            )
        ],
    ),
    "an alias": (
        ("provider: nuri", "provider: &it nuri\n    description: *it"),
        [
            (
                "4:15: Anchors (&) and aliases (*) are not accepted. "
                "Write the value out where it is needed, and quote text that starts with & or *."
            )
        ],
    ),
    "a tag": (
        ("provider: nuri", "provider: !!python/object:os.system nuri"),
        ["4:15: Tags (!) are not accepted. Leave the tag away, and quote text that starts with !."],
    ),
    "several at once": (
        ("8192\n    max_output_tokens: 2048", "x\n    max_output_tokens: y\n    colour: red"),
        [
            "6:21: models[0].context_length: Expected a whole number, got x.",
            "7:24: models[0].max_output_tokens: Expected a whole number, got y.",
            (
                "8:5: models[0].colour: There is no such field. Known fields: name, provider, title, "
                "description, modalities, endpoints, context_length, max_output_tokens, state, prices, "
                "deployments."
            ),
        ],
    ),
}


def test_where_there_are_several_ways_to_charge_one_is_enough() -> None:
    speech = DOCUMENT.replace(
        "    context_length", "    endpoints: [audio.transcriptions]\n    context_length"
    )
    assert told(speech) == []
    assert told(speech.replace("        output: 480\n", "        second: 3\n")) == []
    assert told(speech.replace("        output: 480\n", "")) == [
        (
            "10:9: models[0].prices[0].second: No price is given that audio.transcriptions could be charged by. "
            "Give one of these, in won per million: second | input + output; 0 if it is free."
        )
    ]


def test_every_meter_has_its_price() -> None:
    meters = "\n".join(f"        {meter}: 3" for meter in METERS if meter not in {"input", "output"})
    document, problems = read(DOCUMENT.replace("        output: 480", f"        output: 480\n{meters}"))
    assert problems == []
    assert document.models[0].prices[0].meters.keys() == set(METERS)


def test_the_gateway_serves_an_endpoint_in_the_dialects_that_the_catalogue_says() -> None:
    assert REQUIRED_METERS.keys() == set(ENDPOINTS)
    for name, endpoint in GATEWAY.items():
        said = {one for one in DIALECTS if name in ENDPOINTS_OF_DIALECT.get(one, ENDPOINTS)}
        assert endpoint.dialects == said


@pytest.mark.parametrize(("change", "expected"), VARIANTS.values(), ids=VARIANTS.keys())
def test_a_wrong_document_is_told_what_is_wrong(change: tuple[str, str], expected: list[str]) -> None:
    assert change[0] in DOCUMENT
    assert told(DOCUMENT.replace(*change, 1)) == expected


def test_a_key_pasted_by_mistake_is_never_repeated() -> None:
    problems = told(
        DOCUMENT.replace("        base_url:", "        credential: sk-live-1234\n        base_url:")
    )
    assert "sk-live-1234" not in "".join(problems)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("", "1:1: The document is empty."),
        ("[]", "1:1: Expected fields, got a list."),
        ("- a\n- b", "1:1: Expected fields, got a list."),
        ("version: 1\nmodels: 5", "2:9: models: Expected a list, got a number. Start each item on a line of its own with “- ”."),
        ("version: 1\nmodels: [3]", "2:10: models[0]: Expected fields, got a number."),
        (b"\xff\xfe\x00", "1:1: This is not UTF-8 text. Save the file as UTF-8."),
        ("a: \ud800", "1:1: This is not UTF-8 text. Save the file as UTF-8."),
        ("x" * 1_048_577, "1:1: The document has 1,048,577 bytes; the most is 1,048,576. Split it into several files."),
        ("[" * 50 + "]" * 50, "1:21: The document is nested too deeply."),
        ({"version": 1, "models": object()}, "The document holds values that are neither text, number, list nor fields."),
    ],
)  # fmt: skip
def test_what_is_no_document_at_all(document: object, expected: str) -> None:
    assert told(document) == [expected]


def test_a_second_document_in_the_file_is_not_overlooked() -> None:
    assert len(told(f"{DOCUMENT}---\n{DOCUMENT}")) == 1


def test_nothing_that_can_be_typed_makes_it_fall() -> None:
    """Cut anywhere, it answers problems or a document, never an exception."""
    for end in range(len(DOCUMENT)):
        read(DOCUMENT[:end])
        read(DOCUMENT[end:])
