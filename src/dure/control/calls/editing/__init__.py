"""Changes to the JSON of a call by what an officer typed and pressed. Pure: content and a form's values in, content out.

The content is kept as it was typed, right or wrong; reading it (`steps.parse`, `forms.parse`, `eligibility.parse`)
says what is wrong and where, and the page shows that beside what was typed.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def words(sent: Mapping[str, str], name: str) -> dict[str, str]:
    """Both languages of a text."""
    return {"ko": sent.get(f"{name}_ko", "").strip(), "en": sent.get(f"{name}_en", "").strip()}


def set_or_drop(data: dict[str, Any], name: str, value: Any) -> None:
    """Keep what says something; an empty text, list or pair of texts is no entry."""
    if value in (None, "", [], {}) or value == {"ko": "", "en": ""}:
        data.pop(name, None)
    else:
        data[name] = value


def number(text: str) -> Any:
    """A whole number; what is none stays text, for the reader to refuse."""
    tidy = text.replace(",", "").replace(" ", "")
    sign = tidy.removeprefix("-")
    if not tidy:
        return None
    return int(tidy) if sign.isascii() and sign.isdigit() and len(sign) < 19 else text


def free_key(wanted: str, taken: Sequence[str]) -> str:
    """`panel`, or `panel_2` where there is one."""
    if wanted not in taken:
        return wanted
    return next(key for n in range(2, len(taken) + 3) if (key := f"{wanted}_{n}") not in taken)


def moved(items: list[Any], place: int, by: int) -> None:
    """The item at a place, up (-1) or down (1); at the ends it stays."""
    other = place + by
    if 0 <= place < len(items) and 0 <= other < len(items):
        items[place], items[other] = items[other], items[place]
