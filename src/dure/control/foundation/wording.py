"""Texts that are said when somebody reads them, in that reader's language.

`_("…%(number)s…") % {…}` is said at once, in the language of whoever acts. What somebody else will read is put together
with these instead.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from django.utils.functional import lazy, lazystr
from django.utils.translation import get_language

from dure.control.foundation.errors import Text
from dure.control.foundation.templatetags import dure_format


def later(say: Callable[[], str]) -> Text:
    """What `say` answers when it is read."""
    return lazy(say, str)()


def said(text: Text, **values: Any) -> Text:
    """A translatable text with its %(places)s filled when somebody reads it."""
    return later(lambda: str(text) % {name: str(value) for name, value in values.items()})


def joined(*texts: Text, between: str = " ") -> Text:
    """Sentences, one after another; empty ones are left out."""
    return later(lambda: between.join(filter(None, map(str, texts))))


def listed(texts: Iterable[Text]) -> Text:
    """With commas between."""
    return joined(*texts, between=", ")


def verbatim(text: str) -> Text:
    """Somebody's own words, the same in every language."""
    return lazystr(text)


def name_of(subject: Any) -> Text:
    """The name of what has one in each language (`name_ko`, `name_en`)."""
    return later(
        lambda: str(subject.name_ko if (get_language() or "ko").startswith("ko") else subject.name_en)
    )


def day(when: date | None) -> Text:
    return later(lambda: dure_format.seoul_date(when))


def moment(when: datetime) -> Text:
    return later(lambda: dure_format.seoul_datetime_text(when))


def won(micro_won: int | None) -> Text:
    return later(lambda: dure_format.won(micro_won))
