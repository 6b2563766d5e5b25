"""`/v1/rerank`: documents in the order in which they answer a query, in the shape that Cohere, Jina and vLLM share.

Cohere bills *searches*: one for each hundred documents, where a document of more than 500 tokens (its query
included) counts once for each part of that size. Jina, vLLM and llama.cpp count tokens: each document is read
together with the query.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.admission import TEMPLATE_TOKENS, Bounds
from dure.gateway.protocol.calls import (
    UNREADABLE,
    Call,
    FieldNames,
    Fields,
    decode_str,
    first_byte,
    missing,
    model_name,
    typed,
)
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.renaming import Renaming, charged_by_tokens
from dure.gateway.protocol.errors import invalid
from dure.gateway.protocol.metering import Quantities, estimated_tokens, units_of

DOCUMENTS_PER_SEARCH = 100
TOKENS_PER_DOCUMENT = 500
#: Of a document's part, what is left beside the query, in bytes: a token has at least one, and no provider lets a
#: query take more than half.
_LEAST_BYTES_PER_PART = 250

_GUARDED = frozenset({"documents", "max_chunks_per_doc", "max_tokens_per_doc", "model", "query", "top_n"})
_NAMES = FieldNames(_GUARDED, frozenset())


class _Documents(NamedTuple):
    """Bytes of each document's JSON, and of the query's."""

    documents: tuple[int, ...]
    query: int


class _BilledUnits(msgspec.Struct):
    search_units: float | None = None
    input_tokens: float | None = None


class _MetaTokens(msgspec.Struct):
    input_tokens: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _BilledUnits | None = None
    tokens: _MetaTokens | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    search_units: float | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None
    meta: _Meta | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_documents = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_texts = msgspec.json.Decoder(list[str | dict[str, str]]).decode


class Rerank(Renaming):
    name = "rerank"
    path = "/v1/rerank"

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, _ = _NAMES.read(body)
        model = model_name(fields)
        if "query" not in fields or not typed(fields, "query", decode_str, "a string"):
            raise missing("query", "'query' is missing: set it to what the documents are ranked by.")
        documents = _documents(fields)
        sizes = _Documents(tuple(map(len, documents)), len(fields["query"]))
        call = Call(self.name, model, fields, sum(sizes.documents) + sizes.query * len(documents))
        call.prompts = len(documents)
        call.only_text = _only_text(fields["documents"])
        call.kept = sizes
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        sizes: _Documents = call.kept
        whole_context = model.context_length * call.prompts
        input_tokens = whole_context
        if call.only_text:
            each = (
                min(model.context_length, TEMPLATE_TOKENS + sizes.query + size) for size in sizes.documents
            )
            input_tokens = sum(each)
        return Bounds(
            input_tokens,
            0,
            call.prompts,
            0,
            min(input_tokens, max(1, estimated_tokens(call.text_bytes))),
            {"search": _searches(-(-size // _LEAST_BYTES_PER_PART) for size in sizes.documents)},
            {"search": _searches(_likely_parts(size + sizes.query) for size in sizes.documents)},
        )

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        said = _said(body)
        if said is None:
            return None
        tokens, searches = said
        if (tokens is None and charged_by_tokens(call)) or (searches is None and "search" in call.meters):
            return None
        return Quantities(tokens or 0, 0, 0, units_of(search=searches or 0))

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        """What the provider said, and ours for what it did not."""
        tokens, searches = _said(body) or (None, None)
        ours = bounds.estimate(0)
        return Quantities(
            ours.input if tokens is None else tokens,
            0,
            0,
            ours.units if searches is None else units_of(search=searches),
        )


def _documents(fields: Fields) -> list[msgspec.Raw]:
    documents: list[msgspec.Raw] | None = typed(
        fields, "documents", _decode_documents, "an array of documents"
    )
    if not documents:
        raise missing("documents", "'documents' must be an array with at least one document.")
    for document in documents:
        if first_byte(document) not in {b'"', b"{"}:
            invalid(
                "Each of 'documents' must be a string or an object.", param="documents", code="invalid_type"
            )
    return documents


def _only_text(documents: msgspec.Raw) -> bool:
    """Objects with other than texts in them may hold an image."""
    try:
        decoded = _decode_texts(documents)
    except UNREADABLE:
        return False
    return all(
        isinstance(document, str) or document.keys() <= {"id", "text", "title"} for document in decoded
    )


def _searches(parts: Iterable[int]) -> int:
    return -(-sum(max(1, number) for number in parts) // DOCUMENTS_PER_SEARCH)


def _likely_parts(text_bytes: int) -> int:
    return -(-estimated_tokens(text_bytes) // TOKENS_PER_DOCUMENT)


def _said(body: bytes) -> tuple[int | None, int | None] | None:
    """The provider's tokens and searches, each None where it did not say or makes no sense."""
    try:
        answer = _decode_answer(body)
    except UNREADABLE:
        return None
    usage = answer.usage or _Usage()
    meta = answer.meta or _Meta()
    billed = meta.billed_units or _BilledUnits()
    read = meta.tokens or _MetaTokens()
    tokens = _first(usage.prompt_tokens, usage.total_tokens, read.input_tokens, billed.input_tokens)
    return tokens, _first(billed.search_units, usage.search_units)


def _first(*figures: float | None) -> int | None:
    """The first figure that is given, up to the next whole one."""
    for figure in figures:
        if figure is not None:
            return int(-(-figure // 1)) if 0 <= figure < 2**53 else None
    return None
