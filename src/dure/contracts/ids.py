"""UUIDv7 identifiers (RFC 9562 §5.7): sortable by creation, unique without coordination."""

import os
import time
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0x2 << 62
_RANDOM_A_MASK = 0xFFF
_RANDOM_B_MASK = (1 << 62) - 1


def uuid7(unix_ms: int | None = None) -> UUID:
    """A new UUIDv7; `unix_ms` (milliseconds since 1970 UTC) fixes its time part."""
    if unix_ms is None:
        unix_ms = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    return UUID(
        int=(unix_ms & 0xFFFF_FFFF_FFFF) << 80
        | _VERSION_7
        | ((random >> 62) & _RANDOM_A_MASK) << 64
        | _VARIANT_RFC
        | random & _RANDOM_B_MASK
    )


def uuid7_unix_ms(identifier: UUID) -> int:
    """Milliseconds since 1970 UTC held in a UUIDv7."""
    return identifier.int >> 80
