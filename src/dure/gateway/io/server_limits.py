"""What clients may send, and how long they may take."""

import msgspec


class ServerLimits(msgspec.Struct, frozen=True):
    """What clients may send. Times are seconds.

    `ahead_bytes`: what one connection may send ahead of its turn. `connections`: how many there may be in a
    process; 0 for as many as it has descriptors, when each may need one more towards a provider.
    `waiting_bytes`: what all bodies of a process that are on their way or being served may weigh, apart from those that
    came in one piece. `drain_idle`: how long an idle connection may send one more request when the process
    is to end, for a client that is just sending should not meet a closed door.
    """

    body_bytes: int = 32 << 20
    head_bytes: int = 32 << 10
    headers: int = 100
    ahead_bytes: int = 64 << 10
    connections: int = 0
    waiting_bytes: int = 1 << 30
    head_timeout: float = 20.0
    body_idle_timeout: float = 30.0
    keep_alive_timeout: float = 75.0
    drain_idle: float = 1.0
