"""What an award and a key may be limited by, and what such a limit may be.

An award's limits and its keys' hold beside each other: a key can narrow what its award allows, and need not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, get_args

from django.utils.translation import gettext_lazy as _

from dure.contracts.directory import HIGHEST_LIMIT, Endpoint
from dure.control.catalogue import selectors as catalogue
from dure.control.foundation.errors import Invalid

MOST_NAMES = 200
MOST_NETWORKS = 50
ENDPOINT_NAMES: tuple[str, ...] = get_args(Endpoint)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may do beside what its award allows; None and an empty tuple mean no limit of its own."""

    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Limits(KeyLimits):
    """What an award allows. `max_tokens_ceiling` is the longest answer, in tokens; no `endpoints` means every one."""

    max_tokens_ceiling: int | None = None
    endpoints: tuple[str, ...] = ()


#: A limit's name → the column that keeps it, of awards and of keys.
KEY_COLUMNS = {
    "models": "model_names",
    "networks": "networks",
    "requests_per_minute": "requests_per_minute",
    "tokens_per_minute": "tokens_per_minute",
    "concurrency": "concurrency",
}
AWARD_COLUMNS = {
    **KEY_COLUMNS,
    "max_tokens_ceiling": "max_tokens_ceiling",
    "endpoints": "endpoint_names",
}


def as_changes(limits: KeyLimits) -> dict[str, Any]:
    """Every limit, so that those left out are removed."""
    names = AWARD_COLUMNS if isinstance(limits, Limits) else KEY_COLUMNS
    return {name: getattr(limits, name) for name in names}


def columns(changes: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """The columns that `changes` sets, each checked; `Invalid` names the field at fault."""
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "models":
            checked[known[name]] = models(value)
        elif name == "endpoints":
            checked[known[name]] = endpoints(value)
        elif name == "networks":
            checked[known[name]] = _networks(value)
        else:
            checked[known[name]] = _count(name, value)
    return checked


def _count(name: str, value: int | None) -> int | None:
    if value is not None and not 1 <= value <= HIGHEST_LIMIT:
        raise Invalid(
            "limit_out_of_range",
            _("A limit is a whole number from 1 to %(most)s.") % {"most": HIGHEST_LIMIT},
            field=name,
            remedy=_("Leave it out for no limit."),
        )
    return value


def endpoints(names: Iterable[str]) -> list[str]:
    """The endpoints, checked, each once, in the order in which they are known."""
    wanted = set(names)
    if unknown := sorted(wanted - set(ENDPOINT_NAMES)):
        raise Invalid(
            "endpoint_unknown",
            _("There is no endpoint “%(name)s”.") % {"name": unknown[0][:120]},
            field="endpoints",
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(ENDPOINT_NAMES)},
        )
    return [name for name in ENDPOINT_NAMES if name in wanted]


def models(names: Iterable[str]) -> list[str]:
    """The models' names, checked, each once."""
    wanted = list(dict.fromkeys(names))
    if len(wanted) > MOST_NAMES:
        raise Invalid(
            "too_many_models",
            _("At most %(most)s models can be named.") % {"most": MOST_NAMES},
            field="models",
        )
    unknown = sorted(set(wanted) - set(catalogue.titles_of(wanted)))
    if unknown:
        raise Invalid(
            "model_not_found",
            _("There is no model “%(name)s”.") % {"name": unknown[0][:120]},
            field="models",
            remedy=_("See them with: dure catalogue list"),
        )
    return wanted


def _networks(texts: tuple[str, ...] | list[str]) -> list[str]:
    if len(texts) > MOST_NETWORKS:
        raise Invalid(
            "too_many_networks",
            _("At most %(most)s networks can be named.") % {"most": MOST_NETWORKS},
            field="networks",
        )
    found = []
    for text in texts:
        try:
            found.append(str(ip_network(text.strip())))
        except ValueError:
            raise Invalid(
                "network_invalid",
                _("“%(text)s” is no network.") % {"text": text[:80]},
                field="networks",
                remedy=_(
                    "Write it like 203.0.113.0/24 or 2001:db8::/32, with nothing set beyond the prefix."
                ),
            ) from None
    return list(dict.fromkeys(found))
