"""The check of translations, and that it finds nothing in this repository."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "checks"))

import translations


def test_every_text_here_has_korean():
    assert [sentence for sentence, _key in translations.problems()] == []


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('{% load i18n %}{% translate "Left" %}', [(None, "Left", None)]),
        ('{% load i18n %}{% translate "Left" context "side" %}', [("side", "Left", None)]),
        ('{{ value|default:_("nothing") }}', [(None, "nothing", None)]),
        (
            "{% load i18n %}{% blocktranslate %}Hello {{ name }}{% endblocktranslate %}",
            [(None, "Hello %(name)s", None)],
        ),
        (
            "{% load i18n %}{% blocktranslate count n=x %}{{ n }} day{% plural %}{{ n }} days{% endblocktranslate %}",
            [(None, "%(n)s day", "%(n)s days")],
        ),
    ],
)
def test_texts_of_templates(source, keys):
    assert [key for _line, key in translations.in_template(source)] == keys


def test_texts_of_python():
    source = (
        "a = _('one')\nb = ngettext('%(n)s day', '%(n)s days', n)\nc = pgettext('side', 'left')\nd = _(name)"
    )
    assert [key for _line, key in translations.in_python(source)] == [
        (None, "one", None),
        (None, "%(n)s day", "%(n)s days"),
        ("side", "left", None),
    ]


def _catalogue(folder: Path, text: str) -> Path:
    path = folder / "src" / "dure" / "control" / "room" / "locale" / "ko" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return folder / "src" / "dure" / "control"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ('#, fuzzy\nmsgid "a"\nmsgstr "가"\n', "fuzzy"),
        ('msgid "a"\nmsgstr ""\n', "no Korean for 'a'"),
        ('msgid "%(name)s left"\nmsgstr "남음"\n', "lacks ['name']"),
        ('msgid "left"\nmsgstr "%(name)s 남음"\n', "placeholders that the English lacks"),
    ],
)
def test_faults_are_named(tmp_path, entry, fault):
    (sentence,) = [sentence for sentence, _key in translations.problems(_catalogue(tmp_path, entry))]
    assert fault in sentence


def test_text_without_korean_is_named_with_its_place(tmp_path):
    control = _catalogue(tmp_path, "")
    (control / "room" / "views.py").write_text("from x import _\n\nTITLE = _('Unheard of')\n")
    (sentence,) = [sentence for sentence, _key in translations.problems(control)]
    assert sentence == "src/dure/control/room/views.py:3: no Korean for 'Unheard of'"
