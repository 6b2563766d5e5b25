"""Every sentence these rooms say is there in Korean."""

import ast
import re
from pathlib import Path

import pytest

CONTROL = Path(__file__).parents[3] / "src" / "dure" / "control"
#: Pages are translated by the portal.
PAGES = {"views.py", "forms.py", "outlook.py", "snippets.py", "urls.py"}
_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def said(room: str) -> set[str]:
    sentences = set()
    for path in (CONTROL / room).glob("*.py"):
        if path.name in PAGES:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                texts = [
                    one.value
                    for one in node.args
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
                if node.func.id in {"_", "gettext", "gettext_lazy", "ngettext"} and texts:
                    sentences.add(texts[0])
                elif node.func.id == "pgettext" and len(texts) == 2:
                    sentences.add(texts[1])
    return sentences


def translated(room: str) -> dict[str, str]:
    text = (CONTROL / room / "locale/ko/LC_MESSAGES/django.po").read_text()
    pairs = re.findall(
        r'^msgid ("(?:.+)")\n(?:msgid_plural .+\n)?msgstr(?:\[0\])? (".*")$', text, re.MULTILINE
    )
    return {ast.literal_eval(english): ast.literal_eval(korean) for english, korean in pairs}


@pytest.mark.parametrize("room", ["catalogue", "access", "programmes"])
def test_every_sentence_has_its_korean_with_the_same_blanks(room: str) -> None:
    korean = translated(room)
    # A sentence may stand in another room's file: they are one catalogue when they are shown.
    rooms = {path.parents[3].name for path in CONTROL.glob("*/locale/ko/LC_MESSAGES/django.po")}
    assert said(room) - {english for one in rooms for english in translated(one)} == set()
    for english, text in korean.items():
        assert sorted(_PLACEHOLDER.findall(english)) == sorted(_PLACEHOLDER.findall(text)), english
        assert re.search("[가-힣]", text), english
