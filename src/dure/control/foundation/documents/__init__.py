"""Documents to put on file: tagged PDF (PDF/UA-1, ISO 14289-1), set with Typst, the same bytes for the same data.

    documents.pdf("document", {
        "title": "…", "subtitle": "…", "meta": [["label", "value"], …],
        "sections": [{"title": "…", "fields": [{"label": "…", "text": "…" | "list": ["…"] | "table": [["head", …], ["cell", …]]}]}],
        "footer": "…",                   # left of the page number
        "generated_at": "…",             # in words; leave it out where the same data must give the same bytes tomorrow
    })

`template` is one of this folder's, or `room/name` for `room/documents/name.typ`. All begin with the same letterhead and end
each page with its number and the SHA-256 of the data. Data crosses as JSON, so nothing that a person wrote is ever markup.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from dure.control.foundation.documents.coverage import characters

__all__ = ["digest_of", "pdf", "set_text"]

CONTROL = Path(__file__).resolve().parents[2]
FONTS = ("PretendardGOV-Regular.otf", "PretendardGOV-Bold.otf")
_NAME = re.compile(r"(?:([a-z]+)/)?([a-z_]+)")
#: A run that fits on no line is given places to break. A SHA-256 fits, and must come out whole when it is copied.
_UNBROKEN, _PIECE = re.compile(r"[!-~]{70,}"), re.compile(r"[!-~]{35}(?=[!-~])")
_BREAK = "\u200b"


def pdf(template: str, data: Mapping[str, Any]) -> bytes:
    """The document in the active language. KeyError or ValueError: the template or the data are our own mistake."""
    path = _template(template)
    language = (translation.get_language() or "ko")[:2]
    inputs = {
        "data": json.dumps(set_text(dict(data)), ensure_ascii=False),
        "words": json.dumps(
            {
                "service": gettext("Dure"),
                "service_sub": gettext("Hyperscale-AI ecosystem"),
                "digest": gettext("SHA-256 of the data"),
                "generated_at": gettext("Made at"),
            },
            ensure_ascii=False,
        ),
        "digest": digest_of(data),
        "lang": language,
    }
    made = typst.Compiler(
        path.read_bytes(),
        root=str(CONTROL),
        font_paths=_fonts(),
        sys_inputs=inputs,
        # No package is ever looked for outside: templates are ours, whole.
        package_path=str(CONTROL / "foundation" / "documents" / "packages"),
        package_cache_path=str(CONTROL / "foundation" / "documents" / "packages"),
    ).compile(format="pdf", pdf_standards=["ua-1"])
    assert isinstance(made, bytes)
    return made


def digest_of(data: Mapping[str, Any]) -> str:
    """SHA-256 in hexadecimal of the data as canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def set_text(value: Any) -> Any:
    """Values as they can be set: composed, without control characters, and every other character that the fonts lack
    named by its number, so that nothing vanishes from what is put on file."""
    if isinstance(value, str):
        return _settable(value)
    if isinstance(value, Mapping):
        return {str(key): set_text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [set_text(one) for one in value]
    if value is None or isinstance(value, bool | int):
        return value
    return _settable(str(value))


def _settable(text: str) -> str:
    known = _characters()
    lines = []
    for line in unicodedata.normalize("NFC", text.replace("\r\n", "\n")).expandtabs(4).split("\n"):
        signs = []
        for sign in line:
            if ord(sign) in known:
                signs.append(sign)
            elif unicodedata.category(sign) not in {"Cc", "Cf", "Mn"}:
                signs.append(f"(U+{ord(sign):04X})")
        lines.append(_UNBROKEN.sub(_breakable, "".join(signs)))
    return "\n".join(lines)


def _breakable(run: re.Match[str]) -> str:
    return _PIECE.sub(lambda piece: piece.group() + _BREAK, run.group())


def _template(template: str) -> Path:
    found = _NAME.fullmatch(template)
    if found is None:
        raise KeyError(template)
    path = CONTROL / (found[1] or "foundation") / "documents" / f"{found[2]}.typ"
    if not path.is_file():
        raise KeyError(template)
    return path


def _font_folder() -> Path:
    """Where set-up put the fonts beside the other assets, else the front-end package that they come from."""
    built = Path(settings.STATIC_ROOT) / "documents"
    package = settings.REPOSITORY / "node_modules" / "pretendard-gov" / "dist" / "public" / "static"
    return next((one for one in (built, package) if (one / FONTS[0]).is_file()), built)


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    folder = _font_folder()
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder)])
    # Without a font Typst sets nothing and says nothing.
    if "Pretendard GOV" not in fonts.families():
        raise FileNotFoundError(f"the fonts of documents are not in {folder}; `make setup` puts them there")
    return fonts


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    """What both fonts can show."""
    folder = _font_folder()
    return frozenset.intersection(*(characters((folder / name).read_bytes()) for name in FONTS))
