"""What our catalogues say in Korean is what readers see: no other application, and no other room, says it for us."""

from pathlib import Path

from django.utils.translation import gettext, ngettext, npgettext, override, pgettext

import dure.control
from dure.control.config.compile_messages import Message, messages


def shown(message: Message) -> str:
    text, context = message.identifier or "", message.context
    if message.plural is None:
        return pgettext(context, text) if context else gettext(text)
    return npgettext(context, text, message.plural, 2) if context else ngettext(text, message.plural, 2)


def test_our_korean_is_the_korean_that_is_shown():
    with override("ko"):
        others = [
            (path.parts[-4], message.identifier, shown(message), message.translations[0])
            for path in Path(dure.control.__path__[0]).rglob("*.po")
            for message in messages(path)
            if message.identifier and shown(message) != message.translations[0]
        ]
    assert others == [], "give the text a context of its own, or let both say the same"
