"""Streams whose events say in `type` what they are, and whose last one has the usage."""

from typing import Any, ClassVar

import msgspec

from dure.gateway.protocol.calls import UNREADABLE
from dure.gateway.protocol.sse import EventScanner, payload


class TypedEvent(msgspec.Struct):
    type: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class TypedEventScanner(EventScanner):
    """`told` gets each event that may be more than content, decoded by `decode` as a `TypedEvent`."""

    __slots__ = ()

    #: Not everyone who copied OpenAI sends the last event.
    ends_itself = False
    decode: ClassVar[Any]

    def special(self, data: bytes) -> bool:
        # `find` rather than `in`, which first takes the bytes for a number and makes an error of that.
        find = data.find
        return find(b'"usage"') >= 0 or find(b'"error"') >= 0 or find(b".done") >= 0 or find(b"[DONE]") >= 0

    def look(self, event: bytes) -> bool:
        data = payload(event)
        if data.strip() == b"[DONE]":
            self.done = True
            return True
        try:
            found = type(self).decode(data)
        except UNREADABLE:
            return True
        if bytes(found.error) != b"null" or found.type == "error":
            self.failed = True
        self.told(found)
        return True

    def told(self, event: Any) -> None:
        raise NotImplementedError
