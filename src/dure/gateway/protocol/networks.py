"""Where a call comes from, and whether that is allowed.

The client's address is the socket's peer. Behind proxies that are trusted by name (CIDR), each of which adds the
address it heard from to `x-forwarded-for`, it is the last one in that list that is no trusted proxy: what stands
before it was written by the client and proves nothing.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def parsed_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """`ValueError` for one that cannot be read, or has bits set beyond its prefix."""
    return tuple(ip_network(text) for text in texts)


def parsed_address(text: str) -> Address | None:
    """An address as peers and proxies write it: with a port, in brackets, with a zone, IPv4 within IPv6."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_in(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in networks)


def client_address(peer: str, forwarded_for: bytes | None, trusted: tuple[Network, ...]) -> Address | None:
    """None where it cannot be told, which is in no network."""
    address = parsed_address(peer)
    if forwarded_for is None or not trusted:
        return address
    for hop in reversed(forwarded_for.decode("latin-1").split(",")):
        if not is_in(address, trusted):
            break
        address = parsed_address(hop)
    return address
