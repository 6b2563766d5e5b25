"""The line between the node and PostgreSQL, which can lose answers: what was asked is done, and nobody hears of it."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path


class Line:
    """Passes bytes on between a port on loopback and the server's socket in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._server_socket = folder / ".s.PGSQL.5432"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._deaf = False
        self._down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.lost_bytes = 0

    async def start(self) -> None:
        await asyncio.start_server(self._connected, sock=self._listening)

    async def lose_answers(self, deaf_seconds: float, down_seconds: float) -> None:
        """For a while answers get lost; then every connection breaks, and no new one can be had for a while."""
        self._deaf = True
        await asyncio.sleep(deaf_seconds)
        self._down = True
        for writer in list(self._writers):
            writer.transport.abort()
        self._deaf = False
        await asyncio.sleep(down_seconds)
        self._down = False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_unix_connection(str(self._server_socket))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, to_server}
        await asyncio.gather(
            self._pass_on(reader, to_server, answers=False), self._pass_on(from_server, writer, answers=True)
        )
        self._writers -= {writer, to_server}

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if answers and self._deaf:
                    self.lost_bytes += len(data)
                    continue
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()
