"""Frames of the journal as they are written, and what most of them say alike.

`journal.py` says what a frame is, and reads them. This half is on the way of every call, so it is apart.
"""

import struct
import zlib
from typing import Any, Final
from uuid import UUID

import msgspec

from dure.gateway.protocol.metering import Quantities

MARKER: Final = b"\xff\xfe"
OPENED: Final = 1
PROGRESS: Final = 2
CLOSED: Final = 3
MAX_PAYLOAD_BYTES: Final = 1 << 20

FRAME_START: Final = struct.Struct("<2sBBI")
_pack_start: Final = FRAME_START.pack
_pack_crc: Final = struct.Struct("<I").pack
_crc32: Final = zlib.crc32
CLOSED_START: Final = struct.Struct("<Q16s")
_pack_closed: Final = CLOSED_START.pack
_encode_json: Final = msgspec.json.Encoder().encode


def encode_frame(kind: int, payload: bytes) -> bytes:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a journal frame holds at most {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
    start = _pack_start(MARKER, kind, 0, len(payload))
    return start + _pack_crc(_crc32(payload, _crc32(start))) + payload


class RequestId:
    """The sixteen bytes of a request's UUID and their text, for both are written several times."""

    __slots__ = ("raw", "text")

    def __init__(self, raw: bytes, text: bytes) -> None:
        self.raw = raw
        self.text = text


class Parties:
    """What all records of one key, model, price and deployment say alike, encoded once.

    Its frames are those that `encode_opened` and `encode_closed` make of the same values, at half the price: a frame is
    written twice for each request, and most of it is always the same.
    """

    __slots__ = ("_alike", "_alike_opened")

    def __init__(
        self,
        *,
        award: UUID,
        key: UUID,
        model: str,
        deployment: UUID,
        provider: UUID,
        price: UUID,
        endpoint: str,
        meters: dict[str, int],
    ) -> None:
        alike = {
            "award": award,
            "key": key,
            "model": model,
            "deployment": deployment,
            "provider": provider,
            "price": price,
            "endpoint": endpoint,
        }
        # Without the braces; a per cent sign in a name must not be taken for a place to fill in.
        self._alike = _encode_json(alike)[1:-1]
        self._alike_opened = _encode_json(alike | {"meters": meters})[1:-1]

    def opened(
        self,
        request_id: RequestId,
        streamed: bool,
        estimated_input_tokens: int,
        estimated_units: dict[str, int],
        hold_micro_won: int,
        opened_at: int,
    ) -> bytes:
        """The frame of `Opened` with these values."""
        return encode_frame(
            OPENED,
            b'%b{"request_id":"%b",%b,"streamed":%b,"estimated_input_tokens":%d,"hold_micro_won":%d,"opened_at":%d%b}'
            % (
                request_id.raw, request_id.text, self._alike_opened, b"true" if streamed else b"false",
                estimated_input_tokens, hold_micro_won, opened_at,
                b',"estimated_units":' + _encode_json(estimated_units) if estimated_units else b"",
            ),
        )  # fmt: skip

    def closed(
        self,
        request_id: RequestId,
        sequence: int,
        status: str,
        http_status: int,
        streamed: bool,
        estimated: bool,
        counted: Quantities,
        cost_micro_won: int,
        opened_at: int,
        closed_at: int,
        first_byte_at: int | None,
        uncommon: dict[str, Any] | None,
    ) -> bytes:
        """The frame of `UsageRecord` with these values; `uncommon` are those that most records leave at their default."""
        return encode_frame(
            CLOSED,
            b'%b{"request_id":"%b","sequence":%d,%b,"status":"%b","http_status":%d,"streamed":%b,"estimated":%b,'
            b'"input_tokens":%d,"output_tokens":%d,"cached_tokens":%d,"cost_micro_won":%d,"opened_at":%d,"closed_at":%d%b%b}'
            % (
                _pack_closed(sequence, request_id.raw), request_id.text, sequence, self._alike, status.encode(),
                http_status, b"true" if streamed else b"false", b"true" if estimated else b"false",
                counted.input, counted.output, counted.cached, cost_micro_won, opened_at, closed_at,
                b"" if first_byte_at is None else b',"first_byte_at":%d' % first_byte_at,
                b"," + _encode_json(uncommon)[1:-1] if uncommon else b"",
            ),
        )  # fmt: skip
