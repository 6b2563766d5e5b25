"""What changed between two versions of a form, for whoever builds it."""

from dataclasses import dataclass
from typing import Literal

from dure.control.calls.forms.fields import Field, Form
from dure.control.calls.forms.writing import field_as_data

type Change = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True, slots=True)
class Difference:
    """`what`: names of the parts that changed, as in the JSON; for `moved`, the section it is in now."""

    key: str
    label: str
    change: Change
    what: tuple[str, ...] = ()


def compare(old: Form, new: Form) -> list[Difference]:
    """Added and changed fields in the order of the new form, then removed ones in the order of the old."""
    before = {one.key: one for one in old.fields}
    section_before = {one.key: section.key for section in old.sections for one in section.fields}
    found: list[Difference] = []
    for section in new.sections:
        for one in section.fields:
            known = before.pop(one.key, None)
            if known is None:
                found.append(Difference(one.key, one.label, "added"))
            elif parts := _changed(known, one):
                found.append(Difference(one.key, one.label, "changed", parts))
            elif section_before[one.key] != section.key:
                found.append(Difference(one.key, one.label, "moved", (section.title,)))
    return found + [Difference(key, one.label, "removed") for key, one in before.items()]


def _changed(old: Field, new: Field) -> tuple[str, ...]:
    before, after = field_as_data(old), field_as_data(new)
    return tuple(name for name in dict.fromkeys([*after, *before]) if before.get(name) != after.get(name))
