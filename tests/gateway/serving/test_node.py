"""A node's parent, with a database that is away: signals, its sockets, and who else may have them."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dure.gateway.app.listening import PortInUse, listen, take_over

from .certificates import make_pair
from .test_whole_node import start

_NODE = """
import json, sys
from pathlib import Path
from dure.gateway.app.node import NodeConfig, run_node
options = json.loads(sys.argv[1])
sys.exit(run_node(NodeConfig(database_url="host=/nowhere", journal=Path(options.pop("journal")), **options)))
"""


@pytest.fixture
def nodes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for node in started:
        node.terminate()
    for node in started:
        node.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_node(nodes, folder: Path, port: int, **options) -> subprocess.Popen[bytes]:
    given = {"journal": str(folder), "port": port, "drain_seconds": 2.0, **options}
    nodes.append(start([sys.executable, "-c", _NODE, json.dumps(given)]))
    return nodes[-1]


def until(condition, seconds: float = 20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def status(port: int, path: str = "/healthz", certificate: str | None = None) -> tuple[int, str]:
    """The answer's status and the server certificate's common name; 0 where nobody answers."""
    try:
        connection: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        name = ""
        if certificate is not None:
            context = ssl.create_default_context(cafile=certificate)
            connection = secure = context.wrap_socket(connection, server_hostname="localhost")
            name = secure.getpeercert()["subject"][0][0][1]  # type: ignore[index]
        with connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            return int(connection.recv(65536).split(b" ")[1]), name
    except (OSError, IndexError):
        return 0, ""


def test_sighup_brings_the_renewed_certificate_to_every_worker(tmp_path, nodes):
    certificate, key = make_pair(tmp_path, "first")
    port = free_port()
    node = run_node(nodes, tmp_path / "j", port, workers=2, tls_certificate=certificate, tls_key=key)
    until(lambda: status(port, certificate=certificate) == (200, "first"))
    newer, newer_key = make_pair(tmp_path, "second")
    Path(newer).replace(certificate)
    Path(newer_key).replace(key)
    node.send_signal(signal.SIGHUP)
    until(lambda: [status(port, certificate=certificate) for _ in range(8)] == [(200, "second")] * 8)
    assert node.poll() is None


def test_a_node_that_cannot_serve_yet_accepts_nothing_beside_one_that_serves(tmp_path, nodes):
    port = free_port()
    old = run_node(nodes, tmp_path / "old", port)
    until(lambda: status(port)[0] == 200)
    new = run_node(nodes, tmp_path / "new", port, overlap=True)
    # It has the old one's sockets, and its workers wait for a directory that does not come.
    until(lambda: (tmp_path / "new").is_dir() and any((tmp_path / "new").glob("*-*-*")))
    assert {status(port)[0] for _ in range(40)} == {200}
    new.terminate()
    assert new.wait(20) == 0
    assert {status(port)[0] for _ in range(10)} == {200}
    old.terminate()
    assert old.wait(20) == 0
    assert status(port)[0] == 0


def test_without_a_node_to_follow_overlap_opens_sockets_and_says_what_is_missing(tmp_path, nodes):
    port = free_port()
    run_node(nodes, tmp_path / "j", port, overlap=True)
    until(lambda: status(port, "/readyz")[0] == 503)


def test_what_waits_in_the_queue_of_a_worker_that_dies_is_served_by_its_successor(tmp_path, nodes):
    port = free_port()
    node = run_node(nodes, tmp_path / "j", port)
    until(lambda: status(port)[0] == 200)
    for child in Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    assert status(port)[0] == 200


def test_a_second_node_on_the_port_is_refused(tmp_path):
    sockets, shared = listen("127.0.0.1", 0, 2, overlap=False)
    port = sockets[0][0].getsockname()[1]
    assert not shared
    assert [own[0].getsockname()[1] for own in sockets] == [port, port]
    with pytest.raises(PortInUse):
        listen("127.0.0.1", port, 1, overlap=False)
    assert take_over("127.0.0.1", port) == []
    for own in sockets:
        own[0].close()
