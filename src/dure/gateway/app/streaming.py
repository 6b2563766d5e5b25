"""An answer that is passed on as it comes, and followed on its way: events, or sound.

Of a stream, everything but its last events goes to the client at once; those wait for the record. A chunk of plain
content, which nearly every one is, goes out as the very bytes that came in.
"""

from typing import TYPE_CHECKING

from dure.gateway.io.clients import ClientConnection
from dure.gateway.io.upstream import UpstreamConnection
from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.metering import Quantities
from dure.gateway.protocol.sse import Scanner

if TYPE_CHECKING:
    from dure.gateway.app.relay import Relay


class Stream:
    """What of an answer has been relayed. `flows`: its head is out, and chunks may follow as they come; so long apart
    as `idle_seconds`."""

    __slots__ = ("_head_sent", "_http11", "_relay", "flows", "idle_seconds", "relayed_bytes", "scanner")

    def __init__(self, relay: "Relay", scanner: Scanner) -> None:
        self._relay = relay
        self._head_sent = False
        self._http11 = relay.request.head.http11
        self.scanner = scanner
        self.flows = False
        self.idle_seconds = relay.attempts.route.idle_seconds
        self.relayed_bytes = 0

    @property
    def begun(self) -> bool:
        """Whether the client has been told that its answer comes."""
        return self._head_sent

    def data(self, connection: UpstreamConnection, data: bytes, complete: bool, now: float) -> None:
        """The stream's next bytes."""
        scanner = self.scanner
        passed = scanner.feed(data)
        if complete:
            passed += scanner.finish()
        if scanner.done or complete:
            self._end(connection, passed, complete, now)
        elif passed:
            relay = self._relay
            self.relayed_bytes += len(passed)
            client = relay.client
            assert client is not None
            framed = http1.chunk(passed) if self._http11 else passed
            client.write(framed if self._head_sent else self._head(client) + framed)
            relay.charge.progress(scanner.relayed_tokens, self.relayed_bytes, now)

    def _head(self, client: ClientConnection) -> bytes:
        relay = self._relay
        http11 = self._http11
        self._head_sent = True
        self.flows = http11
        return http1.stream_head(
            200,
            date=relay.gateway.date,
            content_type=self.scanner.content_type,
            headers=b"x-dure-hold-micro-won: %d\r\nx-dure-award-left-micro-won: %d\r\n%b"
            % (relay.charge.hold, relay.charge.left_at_admission, relay.own_headers()),
            chunked=http11,
            close=not http11 or client.closes_after(relay.request),
        )

    def _end(self, connection: UpstreamConnection, passed: bytes, complete: bool, now: float) -> None:
        """The last events are here. They go out once the record is written."""
        relay, scanner = self._relay, self.scanner
        last: bytes | None = passed
        if scanner.relayed_tokens:
            self.relayed_bytes += len(passed)  # what came in one piece with the break is relayed and charged
        whole = scanner.done or scanner.counted or (connection.framed and not scanner.ends_itself)
        if scanner.failed or not whole:
            # An error event, or a stream without its end, or without any on a connection that was just closed.
            relay.attempts.failed("broken_stream")
            relay.cut("truncated", 200, "upstream_error" if scanner.failed else "upstream_broke")
            if not scanner.failed:
                event = self._break_event("its stream has no end")
                last = None if event is None else passed + event
        else:
            relay.attempts.route.state.succeeded(relay.attempts.taken_at)
            relay.close("completed", self._followed(), 200, estimated=scanner.counted is None)
        if not complete:
            # The provider still has to end its message before the connection can be used again.
            relay.wait_for_the_tail(now)
        relay.gateway.journal.after_write(lambda: self._send_end(last, close=False))

    def _send_end(self, last: bytes | None, *, close: bool) -> None:
        """The stream's last bytes; None where only breaking off can say that it is not whole."""
        relay = self._relay
        client = relay.client
        if client is None:
            return
        if last is None:
            client.abort()
            relay.done(200)
            return
        framed = http1.last_chunks(last) if self._http11 else last
        client.respond(
            framed if self._head_sent else self._head(client) + framed, close=close or not self._http11
        )
        relay.done(200)

    def broken(self, reason: str) -> None:
        """The provider broke off when the client had been told that its answer comes."""
        relay = self._relay
        relay.cut("truncated", 200, "upstream_broke")
        event = self._break_event(reason)
        relay.gateway.journal.after_write(lambda: self._send_end(event, close=True))

    def _break_event(self, reason: str) -> bytes | None:
        relay = self._relay
        return relay.endpoint.break_event(errors.stream_broke(relay.model.name, reason), self.scanner)

    def due(self) -> tuple[Quantities | None, bool]:
        """What an answer that did not come whole is charged by, and whether that is estimated."""
        scanner = self.scanner
        if scanner.counted is not None:
            return scanner.counted, False
        # An error that came before any content was no answer, whatever preamble it had.
        worth_something = self.relayed_bytes > 0 and not (scanner.failed and not scanner.relayed_tokens)
        return (self._followed() if worth_something else None), True

    def _followed(self) -> Quantities:
        """The provider's count, or ours with what the provider has said so far."""
        scanner = self.scanner
        return scanner.counted or self._relay.charge.bounds.estimate(scanner.relayed_tokens, scanner.said)
