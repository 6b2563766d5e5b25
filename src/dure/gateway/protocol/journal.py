"""The journal's format: what a gateway process writes down before it tells anyone.

A segment file is a header and then frames, each of them checked:

    header   magic 8 │ version u16 │ flags u16 │ segment u32 │ process uuid 16 │ created_at u64 µs │ crc32 u32
    frame    marker 2 │ kind u8 │ zero u8 │ payload length u32 │ crc32 u32 │ payload

Numbers are little-endian. A frame's crc32 covers its first eight bytes and the payload, so a wrong
length is found too. The marker's bytes (FF FE) never occur in UTF-8 text, which makes it cheap to find
the next sound frame after damage. Payloads start with what a reader needs without parsing JSON:

    opened    request uuid 16 │ JSON of `Opened`
    progress  request uuid 16 │ output tokens u64 │ relayed bytes u64
    closed    sequence u64 │ request uuid 16 │ JSON of `contracts.usage.UsageRecord`

A file that ends within a frame has a *torn tail*: its writer died while writing, nothing after it was
ever told to anyone, and it is cut. Unsound bytes with a sound frame behind them are *damage*: the
decoder names the place, goes on behind it, and leaves the decision to the reader. `docs/journal.md`
is the same in words for those who have to read one by hand.
"""

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from dure.contracts.usage import UsageRecord
from dure.gateway.protocol import frames
from dure.gateway.protocol.frames import CLOSED_START, MARKER, MAX_PAYLOAD_BYTES, encode_frame
from dure.gateway.protocol.metering import (
    NO_QUANTITIES,
    Quantities,
    Tariff,
    actual_cost_micro_won,
    recorded_units,
)

MAGIC = b"DUREJRNL"
VERSION = 1
FLAG_RECOVERY = 1

_HEADER = struct.Struct("<8sHHI16sQ")
_FRAME_HEAD = struct.Struct("<2sBBII")
_CRC = struct.Struct("<I")
_PROGRESS = struct.Struct("<16sQQ")

HEADER_BYTES: int = _HEADER.size + _CRC.size
FRAME_HEAD_BYTES: int = _FRAME_HEAD.size
CLOSED_JSON_AT: int = CLOSED_START.size
UUID_BYTES = 16


class Kind(IntEnum):
    OPENED = frames.OPENED
    PROGRESS = frames.PROGRESS
    CLOSED = frames.CLOSED


class Opened(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An admitted request, written before its upstream call leaves.

    `meters` are the prices of that moment, micro-won per million units by meter; `hold_micro_won` is
    the worst case set aside for it; `opened_at` is in microseconds since 1970 UTC. The estimates are what is
    due, beside the output, once anything was relayed.
    """

    request_id: UUID
    award: UUID
    key: UUID
    model: str
    deployment: UUID
    provider: UUID
    price: UUID
    endpoint: str
    streamed: bool
    estimated_input_tokens: int
    meters: dict[str, int]
    hold_micro_won: int
    opened_at: int
    estimated_units: dict[str, int] = {}


class Progress(msgspec.Struct, frozen=True):
    """How far a running answer has been relayed to its client."""

    request_id: UUID
    output_tokens: int
    relayed_bytes: int


class Header(NamedTuple):
    process_id: UUID
    segment: int
    created_at: int
    recovery: bool


class Frame(NamedTuple):
    """A sound frame. `offset` is where it starts in its file."""

    kind: int
    payload: bytes
    offset: int


class Damage(NamedTuple):
    """Bytes `offset` up to `end` are unsound, with something sound behind them."""

    offset: int
    end: int
    reason: str


class JournalError(Exception):
    """Base of everything that can be wrong with a journal file."""


class NotAJournal(JournalError):
    """The file does not start like a journal and holds no sound frame."""


class UnsupportedVersion(JournalError):
    """The file was written by a later release."""


_encode_json = msgspec.json.Encoder().encode
_decode_opened = msgspec.json.Decoder(Opened).decode
_decode_usage = msgspec.json.Decoder(UsageRecord).decode


def encode_header(process_id: UUID, segment: int, *, created_at: int, recovery: bool = False) -> bytes:
    flags = FLAG_RECOVERY if recovery else 0
    head = _HEADER.pack(MAGIC, VERSION, flags, segment, process_id.bytes, created_at)
    return head + _CRC.pack(zlib.crc32(head))


def encode_opened(opened: Opened) -> bytes:
    return encode_frame(Kind.OPENED, opened.request_id.bytes + _encode_json(opened))


def encode_progress(request_id: bytes, output_tokens: int, relayed_bytes: int) -> bytes:
    return encode_frame(frames.PROGRESS, _PROGRESS.pack(request_id, output_tokens, relayed_bytes))


def encode_closed(record: UsageRecord) -> bytes:
    """Frames of one process are appended in the order of their sequences, without a gap."""
    start = CLOSED_START.pack(record.sequence, record.request_id.bytes)
    return encode_frame(Kind.CLOSED, start + _encode_json(record))


def decode_opened(payload: bytes) -> Opened:
    return _decode_opened(memoryview(payload)[UUID_BYTES:])


def decode_progress(payload: bytes) -> Progress:
    request_id, output_tokens, relayed_bytes = _PROGRESS.unpack(payload)
    return Progress(UUID(bytes=request_id), output_tokens, relayed_bytes)


def decode_closed(payload: bytes) -> UsageRecord:
    return _decode_usage(memoryview(payload)[CLOSED_JSON_AT:])


def closed_sequence(payload: bytes) -> int:
    return int.from_bytes(payload[:8], "little")


def closed_request(payload: bytes) -> bytes:
    return payload[8:CLOSED_JSON_AT]


def interrupted(opened: Opened, progress: Progress | None, *, sequence: int, closed_at: int) -> UsageRecord:
    """The record of a request whose process died: charged by what the journal shows was relayed.

    Nothing shown as relayed, nothing charged: the provider may prove otherwise, which is a correction.
    Once something was relayed the prompt was read too, so its estimate is charged with the output, and so
    are the other meters that were estimated; the
    charge stays within the hold, which the process's escrow still covers.
    """
    counted: Quantities | None = None
    exact_cost = 0
    tariff = Tariff.of(opened.meters)
    if progress is not None:
        counted = Quantities(opened.estimated_input_tokens, progress.output_tokens, 0, opened.estimated_units)
        exact_cost = actual_cost_micro_won(counted, tariff)
    cost = min(exact_cost, opened.hold_micro_won)
    units = recorded_units(counted, tariff)
    counted = counted or NO_QUANTITIES
    return UsageRecord(
        request_id=opened.request_id,
        sequence=sequence,
        award=opened.award,
        key=opened.key,
        model=opened.model,
        deployment=opened.deployment,
        provider=opened.provider,
        price=opened.price,
        endpoint=opened.endpoint,
        status="interrupted",
        http_status=200 if progress else 0,
        streamed=opened.streamed,
        estimated=True,
        input_tokens=counted.input,
        output_tokens=counted.output,
        cached_tokens=0,
        cost_micro_won=cost,
        opened_at=opened.opened_at,
        closed_at=max(opened.opened_at, closed_at),
        uncovered_micro_won=exact_cost - cost,
        units=units,
        error_code="gateway_process_lost",
    )


class Decoder:
    """Bytes in, sound frames and the damage between them out; the same however the bytes are cut.

    `feed` what there is, in order; call `finish` when the file has ended. `sound_bytes` is then where
    the last sound frame ends, and `torn_bytes` how much lies behind it. `header` is None until it has
    been read, and stays None where it is damaged.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self.sound_bytes = 0
        self.torn_bytes = 0
        self._buffer = b""
        self._first = b""
        self._base = 0  # the file offset of the buffer's first byte
        self._header_done = False
        self._damaged_from: int | None = None
        self._damage_reason = ""
        self._ended = False

    def feed(self, data: bytes) -> list[Frame | Damage]:
        self._buffer = self._buffer + data if self._buffer else data
        return list(self._take())

    def finish(self) -> list[Frame | Damage]:
        """What remains is now known not to go on: a torn tail, unless a sound frame is found in it."""
        self._ended = True
        found = list(self._take())
        self.torn_bytes = self._base + len(self._buffer) - self.sound_bytes
        if self.sound_bytes == 0 and not MAGIC.startswith(self._first):
            raise NotAJournal("this is not a Dure journal: it does not begin with DUREJRNL")
        return found

    def _take(self) -> Iterator[Frame | Damage]:
        position = 0
        if not self._header_done:
            if len(self._buffer) < HEADER_BYTES and not self._ended:
                return
            position = self._take_header()
        try:
            while True:
                if self._damaged_from is not None:
                    position = self._next_candidate(position)
                frame, length = self._frame_at(position)
                if frame is not None:
                    if self._damaged_from is not None:
                        yield Damage(self._damaged_from, frame.offset, self._damage_reason)
                        self._damaged_from = None
                    position += length
                    self.sound_bytes = self._base + position
                    yield frame
                elif (length and not self._ended) or position >= len(self._buffer):
                    return
                else:
                    if self._damaged_from is None:
                        self._damaged_from = self._base + position
                        self._damage_reason = "the frame is unsound"
                    position += 1
        finally:
            self._buffer = self._buffer[position:]
            self._base += position

    def _take_header(self) -> int:
        self._header_done = True
        self._first = self._buffer[: len(MAGIC)]
        head = self._buffer[:HEADER_BYTES]
        if len(head) == HEADER_BYTES:
            magic, version, flags, segment, process_id, created_at = _HEADER.unpack_from(head)
            if magic == MAGIC and zlib.crc32(head[:-4]) == int.from_bytes(head[-4:], "little"):
                if version != VERSION:
                    raise UnsupportedVersion(
                        f"journal format {version} was written by another release; this one reads {VERSION}"
                    )
                recovery = bool(flags & FLAG_RECOVERY)
                self.header = Header(UUID(bytes=process_id), segment, created_at, recovery)
                self.sound_bytes = HEADER_BYTES
                return HEADER_BYTES
        self._damaged_from = 0
        self._damage_reason = "the file's header is unsound"
        return 0

    def _next_candidate(self, position: int) -> int:
        """Where the next frame might begin; the end, less a possible half marker, if nowhere."""
        found = self._buffer.find(MARKER, position)
        if found >= 0:
            return found
        half_marker = not self._ended and self._buffer.endswith(MARKER[:1])
        return max(position, len(self._buffer) - half_marker)

    def _frame_at(self, position: int) -> tuple[Frame | None, int]:
        """A sound frame and its length; or none, and how many bytes might make it one (0: it never is)."""
        buffer = self._buffer
        available = len(buffer) - position
        if available < FRAME_HEAD_BYTES:
            plausible = buffer[position : position + 2] == MARKER[: min(2, available)]
            return None, FRAME_HEAD_BYTES if plausible else 0
        marker, kind, zero, length, crc = _FRAME_HEAD.unpack_from(buffer, position)
        if marker != MARKER or zero or length > MAX_PAYLOAD_BYTES:
            return None, 0
        if available < FRAME_HEAD_BYTES + length:
            return None, FRAME_HEAD_BYTES + length
        payload = buffer[position + FRAME_HEAD_BYTES : position + FRAME_HEAD_BYTES + length]
        if zlib.crc32(payload, zlib.crc32(buffer[position : position + 8])) != crc:
            return None, 0
        return Frame(kind, payload, self._base + position), FRAME_HEAD_BYTES + length
