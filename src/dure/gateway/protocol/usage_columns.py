"""Closed records as the columns that `gateway_api.post_usage_columns` takes.

What records of one key, model and outcome say alike is said once, as a *kind*; what few records have at all goes
into the rest; everything else is an array in PostgreSQL's binary form (`array_send`: the number of dimensions, no
nulls, the element's type, length and lower bound, then each element behind its length; all big-endian). So the
database reads a sixth of the bytes that the records are as JSON, and next to no text.
"""

import sys
from array import array
from collections.abc import Sequence
from operator import attrgetter
from struct import Struct
from typing import NamedTuple

import msgspec

INT4_OID = 23
INT8_OID = 20
UUID_OID = 2950

_HEADER = Struct(">iiIii")
_UUID_LENGTH = (16).to_bytes(4)
_UUID_TEXT = 36


class Unfit(Exception):
    """A record that does not go into columns: the door for JSON says what is wrong with it, if anything is."""


_NULL = msgspec.Raw(b"null")


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """A `contracts.usage.UsageRecord` as text of its own JSON, without the objects that columns have no use for. What it
    does not know does not fit: a field that the record gains goes as JSON until there is a column for it.
    """

    request_id: str
    sequence: int
    award: str
    key: str
    model: str
    deployment: str
    provider: str
    price: str
    endpoint: str
    status: str
    http_status: int
    streamed: bool
    estimated: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_won: int
    opened_at: int
    closed_at: int
    first_byte_at: int | None = None
    uncovered_micro_won: int = 0
    error_code: str = ""
    attempts: int = 1
    units: msgspec.Raw = _NULL
    tries: msgspec.Raw = _NULL


_KIND = (
    "award", "key", "model", "deployment", "provider", "price", "endpoint", "status", "http_status", "streamed",
    "estimated", "error_code", "attempts",
)  # fmt: skip
_kind_of = attrgetter(*_KIND)
_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "cost_micro_won", "opened_at", "closed_at")
_numbers_of = attrgetter(*_NUMBERS)
_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


class Columns(NamedTuple):
    """One batch, in the order of the door's parameters after the sequences."""

    kinds: bytes
    rest: bytes
    kind_of: bytes
    request_ids: bytes
    numbers: list[bytes]


class ColumnWriter:
    """Collects records whose sequences follow each other."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], int] = {}
        self._rest: list[dict[str, object]] = []
        self._kind_of: list[int] = []
        self._request_ids: list[bytes] = []
        self._numbers: list[list[int]] = [[] for _ in _NUMBERS]
        self._first: list[int] = []

    def add(self, closed: Sequence[tuple[int, bytes]]) -> None:
        """One record or more, as sequence and JSON; `Unfit` for one that is no sound record of our own."""
        try:
            lines = [_decode(text) for _, text in closed]
            self._request_ids += [_uuid_bytes(line.request_id) for line in lines]
        except (msgspec.MsgspecError, ValueError) as error:
            raise Unfit(str(error)) from None
        kinds = self._kinds
        self._kind_of += [kinds.setdefault(_kind_of(line), len(kinds)) for line in lines]
        for column, numbers in zip(self._numbers, zip(*map(_numbers_of, lines), strict=True), strict=True):
            column.extend(numbers)
        self._first += [-1 if line.first_byte_at is None else line.first_byte_at for line in lines]
        for (sequence, _), line in zip(closed, lines, strict=True):
            if line.sequence != sequence or line.closed_at < 0 or (line.first_byte_at or 0) < 0:
                raise Unfit(f"record {sequence} says it is {line.sequence}, closed at {line.closed_at}")
            if line.uncovered_micro_won or line.units != _NULL or line.tries != _NULL:
                self._rest.append(
                    {"sequence": sequence, "uncovered_micro_won": line.uncovered_micro_won,
                     "units": line.units, "tries": line.tries}
                )  # fmt: skip

    def columns(self) -> Columns:
        """What was added; `Unfit` where a number is beyond what the database counts with."""
        try:
            numbers = [int8_array(column) for column in (*self._numbers, self._first)]
            kind_of = int4_array(self._kind_of)
        except OverflowError as error:
            raise Unfit(str(error)) from None
        kinds = [
            {"kind": number, **dict(zip(_KIND, kind, strict=True))} for kind, number in self._kinds.items()
        ]
        return Columns(_encode(kinds), _encode(self._rest), kind_of, uuid_array(self._request_ids), numbers)


def _uuid_bytes(text: str) -> bytes:
    raw = bytes.fromhex(text.replace("-", ""))
    if len(raw) != 16 or len(text) != _UUID_TEXT:
        raise ValueError(f"not a UUID: {text[:40]!r}")
    return raw


def int8_array(values: list[int]) -> bytes:
    return _array(INT8_OID, _interleaved(array("q", values), 8), len(values))


def int4_array(values: list[int]) -> bytes:
    return _array(INT4_OID, _interleaved(array("i", values), 4), len(values))


def uuid_array(values: list[bytes]) -> bytes:
    return _array(UUID_OID, b"".join([_UUID_LENGTH + value for value in values]), len(values))


def _array(oid: int, elements: bytes, count: int) -> bytes:
    return _HEADER.pack(1, 0, oid, count, 1) + elements


def _interleaved(values: "array[int]", size: int) -> bytes:
    """Each value big-endian behind its length."""
    if sys.byteorder == "little":
        values.byteswap()
    words = array("I", values.tobytes())
    step = size // 4
    out = array("I", bytes(len(values) * (size + 4)))
    out[:: step + 1] = array("I", size.to_bytes(4) * len(values))
    for word in range(step):
        out[word + 1 :: step + 1] = words[word::step]
    return out.tobytes()
