"""What a worker is told when it starts. Plain values, so that it can cross into a fresh process as JSON."""

import msgspec

from dure.gateway.io.server_limits import ServerLimits


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`database_url` is a libpq connection string for the gateway's role; times are seconds.

    `listen_fds` are descriptors of sockets that listen already; without any the worker opens its own on
    `host` and `port`. `overlap`: another node serves there, so this one accepts nothing before it can serve.
    `ready_fd`, where given, gets one
    line with the port as soon as the worker accepts connections, and is closed. Behind `trusted_proxies` (CIDR)
    a client's address is taken from `x-forwarded-for`.
    """

    database_url: str
    journal_dir: str
    host: str = "127.0.0.1"
    port: int = 8080
    listen_fds: tuple[int, ...] = ()
    overlap: bool = False
    node: str = ""
    worker: int = 0
    ready_fd: int | None = None
    limits: ServerLimits = ServerLimits()
    answer_bytes: int = 128 << 20
    attempts: int = 3
    client_stall_timeout: float = 120.0
    escrow_idle: float = 30.0
    escrow_wait: float = 2.0
    drain_timeout: float = 30.0
    heartbeat_interval: float = 2.0
    health_interval: float = 2.0
    tls_certificate: str | None = None
    tls_key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    upstream_ca_file: str | None = None
    upstream_certificate: str | None = None
    upstream_key: str | None = None
    access_log: str | None = None
    access_log_addresses: bool = False
    log_level: str = "INFO"
