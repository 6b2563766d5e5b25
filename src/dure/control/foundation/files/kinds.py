"""The kinds of file that are taken, and what is said when one is not."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from dure.control.foundation.errors import Invalid, Text

LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class Kind:
    """`key` is the ending without its dot, and what forms name the kind by."""

    key: str
    media_type: str
    title: Promise
    other_endings: tuple[str, ...] = ()

    @property
    def endings(self) -> tuple[str, ...]:
        return (self.key, *self.other_endings)


_OOXML = "application/vnd.openxmlformats-officedocument."
KINDS: dict[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind("pdf", "application/pdf", _("PDF document")),
        Kind("png", "image/png", _("PNG picture")),
        Kind("jpg", "image/jpeg", _("JPEG picture"), ("jpeg",)),
        Kind("docx", _OOXML + "wordprocessingml.document", _("Word document (DOCX)")),
        Kind("xlsx", _OOXML + "spreadsheetml.sheet", _("Excel workbook (XLSX)")),
        Kind("pptx", _OOXML + "presentationml.presentation", _("PowerPoint presentation (PPTX)")),
        Kind("hwp", "application/vnd.hancom.hwp", _("Hangul document (HWP)")),
        Kind("hwpx", "application/vnd.hancom.hwpx", _("Hangul document (HWPX)")),
        Kind("csv", "text/csv", _("table as text (CSV)")),
        Kind("txt", "text/plain", _("plain text")),
        Kind("zip", "application/zip", _("ZIP archive")),
    )
}
_BY_NAME = {name: kind for kind in KINDS.values() for name in (*kind.endings, kind.media_type)}


def kind_named(name: str) -> Kind | None:
    """A kind by its ending (with or without a dot) or its media type."""
    return _BY_NAME.get(name.lower().removeprefix("."))


def kind_of_name(name: str) -> Kind | None:
    """The kind that a file's name claims."""
    _stem, dot, ending = name.rpartition(".")
    return kind_named(ending) if dot else None


def allowed_kinds(allowed: Collection[str] | None) -> tuple[Kind, ...]:
    """The kinds that a form takes; ValueError for one that does not exist, which is the form's mistake."""
    if allowed is None:
        return tuple(KINDS.values())
    found = [kind_named(one) for one in allowed]
    if None in found:
        raise ValueError(f"no such kind of file among {sorted(allowed)}")
    return tuple(kind for kind in KINDS.values() if kind in found)


def clean_name(name: str) -> str:
    """The name alone, composed (macOS sends Hangul in single letters), fit for every file system; else `Invalid`."""
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1]).strip()
    if (
        not last
        or len(last) > LONGEST_NAME
        or last.startswith(".")
        or not last.isprintable()
        or re.search(r'[<>:"|?*]', last)
    ):
        raise Invalid(
            "file_name_invalid",
            _("The file's name cannot be used."),
            field="file",
            remedy=_(
                "Give it a plain name of 150 characters at most, such as plan.pdf, and choose it again."
            ),
        )
    return last


def type_refused(name: str, kinds: Collection[Kind], found: Kind | None = None) -> Invalid:
    """`found` is what the content is where that is not what the name says."""
    message: Text = _("“%(name)s” is not a kind of file that is taken here.") % {"name": name}
    if found is not None:
        message = _("“%(name)s” is not what its ending says: its content is that of a %(found)s.") % {
            "name": name,
            "found": found.title,
        }
    endings = ", ".join(kind.key.upper() for kind in kinds)
    return Invalid(
        "file_type_refused",
        message,
        field="file",
        remedy=_("Save it as one of these and choose it again: %(endings)s.") % {"endings": endings},
    )


def damaged(name: str) -> Invalid:
    return Invalid(
        "file_damaged",
        _("“%(name)s” is damaged or incomplete.") % {"name": name},
        field="file",
        remedy=_("Open it on your computer, save it again and choose the new file."),
    )


def encrypted(name: str) -> Invalid:
    return Invalid(
        "file_encrypted",
        _("“%(name)s” is locked with a password, so nobody here could read it.") % {"name": name},
        field="file",
        remedy=_("Save it without a password and choose it again."),
    )


#: What was found in an unsafe file → (what is said, what to do).
_DANGERS: dict[str, tuple[Promise, Promise]] = {
    "virus": (
        _("“%(name)s” carries a known harmful pattern."),
        _("Check your computer with a virus scanner."),
    ),
    "program": (_("“%(name)s” is or contains a program."), _("Hand in documents only.")),
    "macro": (
        _("“%(name)s” contains macros."),
        _("Save it without macros, as PDF for example, and choose it again."),
    ),
    "bomb": (
        _("“%(name)s” unpacks to far more than it seems to hold."),
        _("Hand in the documents one by one."),
    ),
    "double": (
        _("“%(name)s” hides a second file inside."),
        _("Save it again from the program that made it and choose the new file."),
    ),
    "path": (
        _("“%(name)s” contains names that would leave its folder."),
        _("Pack the folder anew and choose the new archive."),
    ),
}


def unsafe(name: str, danger: str) -> Invalid:
    message, remedy = _DANGERS[danger]
    data: dict[str, Any] = {"danger": danger}
    return Invalid("file_unsafe", message % {"name": name}, field="file", remedy=remedy, data=data)
