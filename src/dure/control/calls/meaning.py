"""From the JSON that is kept to what it means. Parsed once for each content, however often it is asked for."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext_lazy as _

from dure.control.calls import eligibility, forms, steps
from dure.control.foundation.errors import Invalid

MAX_BYTES = 256 * 1024
EMPTY: Mapping[str, Any] = {"form": {"sections": []}, "rules": [], "steps": {"steps": []}}
_MOST_REMEMBERED = 512
_remembered: OrderedDict[tuple[str, str], Any] = OrderedDict()


def digest_of(content: object) -> str:
    """SHA-256 of the content as canonical JSON."""
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def form(content: Any, digest: str = "") -> forms.Form:
    """Raises `form_malformed`."""
    return _parsed("form", forms.parse, content, digest)


def graph(content: Any, digest: str = "") -> steps.Graph:
    """Raises `steps_malformed`."""
    return _parsed("steps", steps.parse, content, digest)


def requirements(content: Any, digest: str = "") -> tuple[eligibility.Requirement, ...]:
    """Raises `rules_malformed`."""
    return _parsed("rules", eligibility.parse, content, digest)


def check_size(content: object, field: str) -> None:
    """Raise for what is larger than anyone has written, or is no JSON that can be kept."""
    try:
        size = len(_canonical(content).encode())
    except (ValueError, TypeError, RecursionError):
        raise Invalid("content_unreadable", _("This cannot be kept as JSON."), field=field) from None
    if size > MAX_BYTES:
        raise Invalid(
            "content_too_large",
            _("This is larger than %(most)s KiB.") % {"most": MAX_BYTES // 1024},
            field=field,
            remedy=_("Shorten its texts, or attach a file instead."),
        )


def _canonical(content: object) -> str:
    return json.dumps(
        content,
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
        cls=DjangoJSONEncoder,
    )


def _parsed[T](what: str, parse: Callable[[Any], T], content: Any, digest: str) -> T:
    """What parsers answer does not depend on the language, though their refusals do: one memory serves all."""
    key = (what, digest or digest_of(content))
    found: T | None = _remembered.get(key)
    if found is None:
        found = parse(content)
        while len(_remembered) >= _MOST_REMEMBERED:
            _remembered.popitem(last=False)
        _remembered[key] = found
    return found
