"""What the pages for writing show of each question: the answer, which version it is, and who wrote it last."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from dure.control.applications.selectors import ApplicationView
from dure.control.calls import answering, forms
from dure.control.calls.answering import Asked
from dure.control.foundation.errors import DureError


@dataclass(frozen=True, slots=True)
class Slot:
    """One question to be written in. `open` is False where only other fields were asked to be completed.

    `theirs` is what stands there now, where what was typed could not be saved over it.
    """

    asked: Asked
    version: int
    mark: str
    by_name: str
    at: datetime | None
    open: bool
    theirs: Asked | None = None
    refusal: DureError | None = None

    @property
    def alone(self) -> dict[str, list[Asked]]:
        """For `calls/fields/_shown.html`, which shows the questions of a section."""
        return {"questions": [self.asked]}


@dataclass(frozen=True, slots=True)
class NavigationStep:
    """A section in the step indicator."""

    section: forms.Section
    progress: forms.SectionProgress
    url: str
    current: bool
    asked_for: bool


def open_fields(view: ApplicationView) -> Collection[str]:
    """Keys of the fields that may be changed now."""
    request = view.request if view.state == "incomplete" else None
    return request.fields if request and request.fields else [one.key for one in view.form.fields]


def slots(
    view: ApplicationView,
    section: str,
    *,
    typed: Mapping[str, Any] | None = None,
    refusals: Mapping[str, DureError] | None = None,
    complete: bool = False,
    only: Collection[str] | None = None,
) -> list[Slot]:
    """The questions of a section, or of the whole form where `section` is empty."""
    stands = view.values
    shown = {**stands, **(typed or {})}
    problems = forms.check(view.form, shown, complete=complete)
    answers = {one.field: one for one in view.answers}
    files: dict[str, str] = {}
    for one in view.attachments:
        tail = one.id.hex[-8:]
        files[one.field] = f"{files[one.field]}-{tail}" if one.field in files else tail
    opened = open_fields(view)
    found = []
    for part in answering.sections(view.form, shown, problems, only=section):
        for asked in part.questions:
            key = asked.field.key
            if only is not None and key not in only:
                continue
            answer = answers.get(key)
            refusal = (refusals or {}).get(key)
            clash = refusal is not None and refusal.code == "answer_changed_meanwhile"
            found.append(
                Slot(
                    asked=asked,
                    version=answer.version if answer else 0,
                    mark=files.get(key, "")
                    if asked.field.kind == "file"
                    else str(answer.version if answer else ""),
                    by_name=answer.updated_by_name if answer else "",
                    at=answer.updated_at if answer else None,
                    open=key in opened,
                    theirs=answering.question(view.form, key, stands) if clash else None,
                    refusal=refusal,
                )
            )
    return found


def navigation(view: ApplicationView, current: str) -> list[NavigationStep]:
    """The sections with how far each is."""
    base = reverse("applications:write", args=[view.id])
    opened = set(open_fields(view))
    limited = view.state == "incomplete"
    return [
        NavigationStep(
            section=section,
            progress=progress,
            url=f"{base}?section={section.key}",
            current=section.key == current,
            asked_for=limited and any(one.key in opened for one in section.fields),
        )
        for section, progress in zip(view.form.sections, view.progress.sections, strict=True)
    ]
