"""Opening a connection to a provider: the one step of a call that is a task of its own.

Apart from `upstream.py`, which may be compiled: mypyc loses an exception that leaves an `async with` within a `try`.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple, Protocol

from dure.gateway.io.tls import TlsUnusable


class Origin(NamedTuple):
    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class Waiter[Connection](Protocol):
    """Who asked for the connection."""

    def upstream_ready(self, connection: Connection) -> None: ...

    def upstream_unreachable(self, reason: str) -> None: ...


async def open_connection[Connection: asyncio.Protocol](
    loop: asyncio.AbstractEventLoop,
    origin: Origin,
    tls: Callable[[], ssl.SSLContext],
    protocol: Callable[[], Connection],
    waiter: Waiter[Connection],
    timeout_seconds: float,
) -> None:
    """Tell `waiter` of the connection, or why there is none."""
    try:
        context = tls() if origin.tls else None
        async with asyncio.timeout(timeout_seconds):
            _, connection = await loop.create_connection(protocol, origin.host, origin.port, ssl=context)
    except TimeoutError:
        waiter.upstream_unreachable(f"no connection within {timeout_seconds:g} s")
    except TlsUnusable:
        waiter.upstream_unreachable("the gateway's own certificate or authorities cannot be used")
    except (OSError, ssl.SSLError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        waiter.upstream_unreachable(reason)
    else:
        waiter.upstream_ready(connection)
