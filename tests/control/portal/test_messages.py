"""From .po to .mo without gettext's tools: what Python's own gettext reads back is what was written."""

import gettext
import io

import pytest

from dure.control.config.compile_messages import CatalogError, compile_catalog, compile_file, messages

CATALOG = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=1; plural=0;\\n"

msgid "Left"
msgstr "남은 금액"

msgctxt "direction"
msgid "Left"
msgstr "왼쪽"

msgid "%(n)s day"
msgid_plural "%(n)s days"
msgstr[0] "%(n)s일"

msgid ""
"A long text "
"on two lines"
msgstr ""
"두 줄의 "
"긴 글"

#, fuzzy
msgid "Doubtful"
msgstr "아마도"

msgid "Not yet"
msgstr ""
"""


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "django.po"
    path.write_text(CATALOG)
    return gettext.GNUTranslations(io.BytesIO(compile_file(path).read_bytes()))


def test_texts_contexts_plurals_and_long_texts_are_read_back(read):
    assert read.gettext("Left") == "남은 금액"
    assert read.pgettext("direction", "Left") == "왼쪽"
    assert read.ngettext("%(n)s day", "%(n)s days", 3) == "%(n)s일"
    assert read.gettext("A long text on two lines") == "두 줄의 긴 글"


def test_doubtful_and_missing_translations_show_the_source_text(read):
    assert read.gettext("Doubtful") == "Doubtful"
    assert read.gettext("Not yet") == "Not yet"


def test_mistake_is_named_with_its_line(tmp_path):
    path = tmp_path / "django.po"
    path.write_text('msgid "a"\nmsgstr b\n')
    with pytest.raises(CatalogError, match=r"django\.po:2"):
        list(messages(path))


def test_same_entries_give_the_same_bytes():
    assert compile_catalog({"b": "2", "a": "1"}) == compile_catalog({"a": "1", "b": "2"})
