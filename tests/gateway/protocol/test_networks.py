"""Where a call comes from, as far as it can be believed."""

from ipaddress import ip_address

import pytest

from dure.gateway.protocol.networks import client_address, is_in, parsed_address, parsed_networks

TRUSTED = parsed_networks(("10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:4711 ", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", None),
        ("", None),
        ("192.0.2.1.evil", None),
    ],
)
def test_addresses_as_they_are_written(text, address):
    assert parsed_address(text) == (ip_address(address) if address else None)


@pytest.mark.parametrize(
    ("peer", "header", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", b"203.0.113.9", "192.0.2.1"),  # a client that says so itself
        ("10.0.0.1", b"203.0.113.9", "203.0.113.9"),
        (
            "10.0.0.1",
            b"1.1.1.1, 203.0.113.9",
            "203.0.113.9",
        ),  # what the client wrote before it proves nothing
        ("10.0.0.1", b"1.1.1.1,203.0.113.9, 10.2.3.4", "203.0.113.9"),
        ("10.0.0.1", b"10.1.1.1", "10.1.1.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"203.0.113.9, rubbish", None),
        ("10.0.0.1", b"", None),
        ("fd00::1", b"2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_last_hop_that_is_no_trusted_proxy_counts(peer, header, address):
    assert client_address(peer, header, TRUSTED) == (ip_address(address) if address else None)


def test_without_trusted_proxies_the_header_is_not_read():
    assert client_address("10.0.0.1", b"203.0.113.9", ()) == ip_address("10.0.0.1")


def test_networks():
    networks = parsed_networks(("192.0.2.0/24", "2001:db8::/32", "198.51.100.7"))
    assert is_in(ip_address("192.0.2.200"), networks)
    assert is_in(ip_address("198.51.100.7"), networks)
    assert not is_in(ip_address("198.51.100.8"), networks)
    assert not is_in(None, networks)
    with pytest.raises(ValueError, match="host bits"):
        parsed_networks(("192.0.2.1/24",))
