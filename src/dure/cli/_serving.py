"""What the commands that serve check before they start."""

import errno
import importlib
import os
import socket
from pathlib import Path

from dure.cli._context import Refusal


def require_settings() -> None:
    """The two settings without which nothing of the control plane starts, asked for by name."""
    if not os.environ.get("DURE_DATABASE_URL"):
        raise Refusal(
            "not_configured",
            "No database is named.",
            remedy="Set DURE_DATABASE_URL, or name the folder of a running instance with --data.",
        )
    folder = os.environ.get("DURE_DATA_DIR")
    if not os.environ.get("DURE_SECRET_KEY") and not (folder and (Path(folder) / "secret_key").is_file()):
        raise Refusal(
            "not_configured",
            "No secret key is set; sessions could not be signed.",
            remedy="Set DURE_SECRET_KEY to a long random text, the same for all processes of this deployment.",
        )


def check_settings() -> None:
    """Read the control plane's settings as its processes will, so that a wrong one is a sentence here."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        importlib.import_module("dure.control.config.settings")
    except ImproperlyConfigured as error:
        raise Refusal("not_configured", str(error)) from None


def check_port(host: str, port: int) -> None:
    """Say so now if somebody listens there; a server that shares its port would not notice."""
    try:
        with _socket(host) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Refusal(
                "port_in_use",
                f"Port {port} on {host} is in use by another program.",
                remedy="Choose another with --port; 0 picks a free one.",
            ) from None
        raise Refusal(
            "cannot_listen", f"Cannot listen on {host}:{port}: {error.strerror or error}."
        ) from None


def free_port(host: str) -> int:
    with _socket(host) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _socket(host: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError) as error:  # an overlong name is the latter
        why = getattr(error, "strerror", None) or error
        raise Refusal("cannot_listen", f"There is no address {host}: {why}.") from None
    return socket.socket(family)
