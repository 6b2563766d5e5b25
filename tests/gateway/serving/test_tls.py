"""TLS: to clients with a certificate that may be renewed, to providers with one of our own."""

import asyncio
import shutil
import socket
import ssl
import threading
from pathlib import Path

import pytest

from dure.gateway.io.tls import ServerTls, TlsUnusable, client_context

from .certificates import make_pair
from .world import CHAT, Client, answer_plainly, completion, piece, run, world

STREAM = {**CHAT, "stream": True}


async def over_tls(here, tls: ServerTls) -> int:
    return await here.server.listen("127.0.0.1", 0, tls=tls.context)


async def connect(port: int, certificate: str, **options) -> Client:
    context = ssl.create_default_context(cafile=certificate)
    for name, value in options.items():
        setattr(context, name, value)
    return Client(*await asyncio.open_connection("localhost", port, ssl=context))


def seen(client: Client) -> str:
    """The common name of the server's certificate."""
    return client.writer.get_extra_info("peercert")["subject"][0][0][1]


def test_calls_and_streams(tmp_path):
    certificate, key = make_pair(tmp_path, "first")

    async def scenario():
        async with world(tmp_path / "j") as here:
            port = await over_tls(here, ServerTls(certificate, key))
            client = await connect(port, certificate)
            assert (await client.call(CHAT)).status == 200
            assert (await client.call(STREAM)).body.endswith(b"data: [DONE]\n\n")
            assert (await client.call(b"{", headers="connection: close\r\n")).status == 400
            assert await client.reader.read() == b""
            client.close()

    run(scenario)


def test_what_is_refused_is_told_over_tls_too(tmp_path):
    certificate, key = make_pair(tmp_path, "first")

    async def scenario():
        async with world(tmp_path / "j") as here:
            port = await over_tls(here, ServerTls(certificate, key))
            client = await connect(port, certificate)
            client.writer.write(b"GET / HTTP/1.1\nhost: x\n\n")
            answer = await client.answer()
            assert (answer.status, answer.error["code"]) == (400, "bad_http")
            client.close()

    run(scenario)


def test_old_versions_and_other_protocols_are_not_spoken(tmp_path):
    certificate, key = make_pair(tmp_path, "first")

    async def scenario():
        async with world(tmp_path / "j") as here:
            port = await over_tls(here, ServerTls(certificate, key))
            context = ssl.create_default_context(cafile=certificate)
            context.set_alpn_protocols(["h2", "http/1.1"])
            client = Client(*await asyncio.open_connection("localhost", port, ssl=context))
            assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            client.close()
            plain = await Client.connect(port)
            plain.send(CHAT)
            assert not (await plain.reader.read()).startswith(b"HTTP")
            plain.close()

    run(scenario)
    assert ServerTls(certificate, key).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_renewed_certificate_serves_the_next_connection_and_cuts_none(tmp_path):
    certificate, key = make_pair(tmp_path, "first")
    newer, newer_key = make_pair(tmp_path, "second")

    async def scenario():
        gate = asyncio.Event()

        async def slow(request):
            request.begin_stream()
            request.event(piece("Hel"))
            await request.writer.drain()
            await gate.wait()
            request.event(piece("lo"))
            request.event("[DONE]")
            request.end_stream()

        async with world(tmp_path / "j") as here:
            here.provider.script = slow
            tls = ServerTls(certificate, key)
            port = await over_tls(here, tls)
            shutil.copy(certificate, tmp_path / "old.pem")
            held = await connect(port, str(tmp_path / "old.pem"))
            assert seen(held) == "first"
            running = asyncio.ensure_future(held.call(STREAM))
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            Path(newer).replace(certificate)
            with pytest.raises(TlsUnusable, match="does not belong"):
                tls.reload()
            still = await connect(port, str(tmp_path / "old.pem"))
            assert seen(still) == "first"
            still.close()
            Path(newer_key).replace(key)
            tls.reload()
            fresh = await connect(port, certificate)
            assert seen(fresh) == "second"
            gate.set()
            assert (await running).body.endswith(b"data: [DONE]\n\n")
            here.provider.script = answer_plainly
            assert (await fresh.call(CHAT)).status == 200
            held.close()
            fresh.close()

    run(scenario)


def test_draining_waits_for_a_handshake_that_has_begun(tmp_path):
    certificate, key = make_pair(tmp_path, "first")

    async def scenario():
        async with world(tmp_path / "j") as here:
            port = await over_tls(here, ServerTls(certificate, key))
            plain = socket.create_connection(("127.0.0.1", port))
            plain.setblocking(False)
            while not here.server._arriving:
                await asyncio.sleep(0.005)
            drain = asyncio.ensure_future(here.server.drain(5))
            await asyncio.sleep(0)
            context = ssl.create_default_context(cafile=certificate)
            late = Client(
                *await asyncio.open_connection(sock=plain, ssl=context, server_hostname="localhost")
            )
            answer = await late.call(CHAT)
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            late.close()
            await drain

    run(scenario)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c, k, f: Path(c).unlink(), "the certificate .* cannot be read: No such file"),
        (lambda c, k, f: Path(k).unlink(), "the key .* cannot be read: No such file"),
        (lambda c, k, f: Path(c).write_text("nonsense"), "cannot be used"),
        (lambda c, k, f: Path(k).write_text("nonsense"), "cannot be used"),
        (lambda c, k, f: shutil.copy(make_pair(f, "other")[1], k), "does not belong"),
        (lambda c, k, f: shutil.copy(make_pair(f, "locked", password="secret")[1], k), "does not belong|protected by a password"),
    ],
)  # fmt: skip
def test_a_pair_that_cannot_be_used(tmp_path, spoil, message):
    certificate, key = make_pair(tmp_path, "first")
    spoil(certificate, key, tmp_path)
    with pytest.raises(TlsUnusable, match=message):
        ServerTls(certificate, key)


def test_authorities_that_cannot_be_used(tmp_path):
    with pytest.raises(TlsUnusable, match="cannot be used"):
        client_context(ca_file=str(tmp_path / "none.pem"))


def test_a_provider_that_asks_for_a_certificate_gets_ours(tmp_path):
    certificate, key = make_pair(tmp_path, "provider")
    own, own_key = make_pair(tmp_path, "gateway")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(own)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    names = []

    def serve() -> None:
        body = completion()
        for _ in range(2):
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    names.append(connection.getpeercert()["subject"][0][0][1])
                    connection.recv(65536)
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
                    connection.sendall(head % len(body) + body)
            except OSError:
                plain.close()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    url = f"https://localhost:{listener.getsockname()[1]}"

    async def scenario():
        config = {"upstream_ca_file": certificate, "upstream_certificate": own, "upstream_key": own_key}
        async with world(tmp_path / "j", **config) as here:
            here.publish("deployment", here.deployment_entry(base_url=url))
            assert (await here.call(CHAT)).status == 200
        async with world(tmp_path / "k", upstream_ca_file=certificate) as here:
            here.publish("deployment", here.deployment_entry(base_url=url))
            assert (await here.call(CHAT)).status == 502

    run(scenario)
    assert names == ["gateway"]
    server.join(5)
    listener.close()
