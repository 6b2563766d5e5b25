"""Whether the conditions of a form's fields can ever hold: what they wait for is there, can be answered so, and waits for
nobody that waits for them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from dure.control.calls.reading import Reader

if TYPE_CHECKING:
    from dure.control.calls.forms.fields import Condition, Field

#: How the answer of each kind may be asked about; other kinds only by `answered`.
_ASKABLE: Mapping[str, tuple[str, ...]] = {
    "choice": ("is", "is_not", "in", "not_in"),
    "choices": ("is", "is_not", "in", "not_in"),
    "yes_no": ("is", "is_not"),
    "consent": ("is", "is_not"),
    "whole_number": ("is", "is_not", "in", "not_in", "at_least", "at_most"),
    "won": ("is", "is_not", "at_least", "at_most"),
    "percentage": ("is", "is_not", "at_least", "at_most"),
    "budget": ("at_least", "at_most"),
}


def check_conditions(reader: Reader, placed: "list[tuple[Field, str]]") -> None:
    known = {one.key: one for one, _ in placed}
    for one, path in placed:
        for number, condition in enumerate(one.when):
            at = f"{path}.when[{number}]" if len(one.when) > 1 else f"{path}.when"
            other = known.get(condition.field)
            if other is None:
                reader.note(
                    f"{at}.field",
                    gettext("“%(asked)s” waits for the answer to “%(key)s”, and there is no such field.")
                    % {"asked": one.label, "key": condition.field},
                    gettext("Keep that field, or change first when “%(asked)s” is asked.")
                    % {"asked": one.label},
                )
                continue
            if condition.comparison != "answered" and condition.comparison not in _ASKABLE.get(
                other.kind, ()
            ):
                reader.note(
                    f"{at}.comparison",
                    gettext("“%(field)s” cannot be compared so.") % {"field": other.label},
                    gettext("Known: %(options)s.")
                    % {"options": ", ".join((*_ASKABLE.get(other.kind, ()), "answered"))},
                )
            else:
                _check_value(reader, f"{at}.value", one, other, condition)
    circle = _circle(known)
    if circle:
        labels = " → ".join(known[key].label for key in circle)
        path = next(path for one, path in placed if one.key == circle[0])
        reader.note(
            f"{path}.when",
            gettext("These fields wait for each other, so none is ever shown: %(fields)s.")
            % {"fields": labels},
            gettext("Remove one of the conditions."),
        )


def _check_value(reader: Reader, path: str, asked: "Field", other: "Field", condition: "Condition") -> None:
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if condition.comparison == "answered":
        return
    if other.kind in {"choice", "choices"}:
        offered = {option.key: option.label for option in other.options}
        wrong = [value for value in values if not isinstance(value, str) or value not in offered]
        remedy = gettext("Its options: %(options)s.") % {"options": ", ".join(offered.values())}
    elif other.kind in {"yes_no", "consent"}:
        wrong = [value for value in values if not isinstance(value, bool)]
        remedy = gettext("Choose yes or no.")
    else:
        wrong = [value for value in values if not isinstance(value, int) or isinstance(value, bool)]
        remedy = gettext("Give a whole number.")
    if wrong or not values:
        missing = not values or wrong[0] in ("", None)
        reader.note(
            path,
            gettext("“%(asked)s” waits for an answer to “%(field)s”, and it is not said for which.")
            % {"asked": asked.label, "field": other.label}
            if missing
            else gettext(
                "“%(asked)s” waits for “%(value)s” as the answer to “%(field)s”, which does not offer it."
            )
            % {"asked": asked.label, "value": str(wrong[0])[:60], "field": other.label},
            remedy,
        )


def _circle(known: "Mapping[str, Field]") -> list[str]:
    """Keys of fields that depend on each other in a circle, the first also last; empty when there is none."""
    state: dict[str, int] = {}
    for root in known:
        trail: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if root in state:
            continue
        state[root] = 1
        trail.append(root)
        stack.append((root, iter([one.field for one in known[root].when])))
        while stack:
            key, ahead = stack[-1]
            for onward in ahead:
                if onward not in known:
                    continue
                if state.get(onward) == 1:
                    return [*trail[trail.index(onward) :], onward]
                if onward not in state:
                    state[onward] = 1
                    trail.append(onward)
                    stack.append((onward, iter([one.field for one in known[onward].when])))
                    break
            else:
                state[key] = 2
                trail.pop()
                stack.pop()
    return []
