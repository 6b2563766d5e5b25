"""Template filters of this room's pages."""

from typing import Any

from django import template

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls.eligibility.wording import shown_won

register = template.Library()


@register.filter
def won_of_won(won: int | None) -> str:
    """A sum that is kept in whole won, as forms keep theirs."""
    return "" if won is None else shown_won(won * MICRO_WON_PER_WON)


@register.filter
def get(mapping: Any, key: str) -> Any:
    return mapping.get(key) if hasattr(mapping, "get") else None
