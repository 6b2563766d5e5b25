"""Whom identity tells of what, and texts that are said in each recipient's language."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from django.utils.functional import lazy
from django.utils.translation import get_language

from dure.control.foundation import notices
from dure.control.foundation.errors import Text
from dure.control.foundation.templatetags.dure_format import seoul_date
from dure.control.identity import selectors
from dure.control.identity.selectors import PersonView


def said(text: Text, **values: Any) -> Text:
    """A translatable text with its %(places)s filled when somebody reads it."""
    return lazy(lambda: str(text) % {name: str(value) for name, value in values.items()}, str)()


def joined(*texts: Text) -> Text:
    """Sentences, one after another."""
    return lazy(lambda: " ".join(filter(None, map(str, texts))), str)()


def listed(texts: Iterable[Text]) -> Text:
    """With commas between."""
    texts = list(texts)
    return lazy(lambda: ", ".join(map(str, texts)), str)()


def name_of(subject: Any) -> Text:
    """The name of what has one in each language, in the reader's."""

    def name() -> str:
        return str(subject.name_ko if (get_language() or "ko").startswith("ko") else subject.name_en)

    return lazy(name, str)()


def page_of(organisation: Any, name: str = "") -> str:
    """The address of an organisation's page, or of one below it."""
    return f"/organisations/{organisation.slug}/{name}"


def day(moment: date | None) -> Text:
    return lazy(lambda: seoul_date(moment), str)()


def administrators(organisation_id: UUID, **notice: Any) -> None:
    """Tell the organisation's administrators (the keywords of `foundation.notices.tell`)."""
    people(selectors.people_to_notify(organisation_id, roles=["administrator"]), **notice)


def people(to: Iterable[PersonView], **notice: Any) -> None:
    """Tell these people; a notice in the portal and a mail, each in their language."""
    notices.tell(to=to, **notice)
