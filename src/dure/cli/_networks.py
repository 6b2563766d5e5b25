"""Networks as an option's value: CIDR, separated by commas."""

from ipaddress import ip_network

import click


class Networks(click.ParamType[tuple[str, ...]]):
    """`203.0.113.0/24,2001:db8::/32`, or single addresses; the value is a tuple of CIDRs. With `none_word`, that
    word stands for no networks, which is an empty tuple."""

    name = "networks"

    def __init__(self, none_word: str = "") -> None:
        self.none_word = none_word

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        if self.none_word and text == self.none_word:
            return ()
        networks = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            try:
                networks.append(str(ip_network(part)))
            except ValueError as error:
                self.fail(f"{error}; a network is written like 203.0.113.0/24 or 2001:db8::/32.", param, ctx)
        if not networks:
            self.fail("no network is given.", param, ctx)
        return tuple(networks)
