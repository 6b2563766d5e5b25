"""Templates of calls that ship with Dure: one YAML file each, beside this one (docs/call-format.md)."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from dure.control.calls import eligibility, forms, steps
from dure.control.calls.reading import in_language
from dure.control.foundation.errors import NotFound

#: In the order in which they are offered.
NAMES = ("api_support", "compute", "pilot", "rnd", "follow_up", "small_request")


@dataclass(frozen=True, slots=True)
class Template:
    """A call to begin from. `name` is its key and its kind; `data` holds the JSON of steps, form and requirements.

    `money` has `budget_won`, `least_won`, `most_won` as suggestions; `days_open` is how long it usually takes
    applications; `automatic` is set where small requests are decided by rule.
    """

    name: str
    kind: str
    name_ko: str
    name_en: str
    summary_ko: str
    summary_en: str
    text_ko: str
    text_en: str
    days_open: int
    budget_won: int
    least_won: int
    most_won: int
    automatic: Mapping[str, int] | None
    steps_data: Mapping[str, Any]
    form_data: Mapping[str, Any]
    rules_data: list[Any]

    @property
    def title(self) -> str:
        return in_language(self.name_ko, self.name_en)

    @property
    def summary(self) -> str:
        return in_language(self.summary_ko, self.summary_en)

    @property
    def graph(self) -> steps.Graph:
        return steps.parse(self.steps_data)

    @property
    def form(self) -> forms.Form:
        return forms.parse(self.form_data)

    @property
    def requirements(self) -> tuple[eligibility.Requirement, ...]:
        return eligibility.parse(self.rules_data)


def templates() -> tuple[Template, ...]:
    return tuple(template(name) for name in NAMES)


def _yaml(name: str) -> Any:
    return yaml.safe_load(files(__name__).joinpath(f"{name}.yaml").read_text("utf-8"))


def _filled(items: list[Any], shared: Mapping[str, Any]) -> list[Any]:
    """A name stands for the shared part of that name."""
    return [shared[item] if isinstance(item, str) else item for item in items]


@cache
def _read(name: str) -> Template:
    data, shared = _yaml(name), _yaml("shared")
    money = data["money"]
    return Template(
        name=name,
        kind=data["kind"],
        name_ko=data["name"]["ko"],
        name_en=data["name"]["en"],
        summary_ko=data["summary"]["ko"],
        summary_en=data["summary"]["en"],
        text_ko=data["text"]["ko"].strip(),
        text_en=data["text"]["en"].strip(),
        days_open=data["days_open"],
        budget_won=money["budget_won"],
        least_won=money["least_won"],
        most_won=money["most_won"],
        automatic=data.get("automatic"),
        steps_data=data["steps"],
        form_data={"sections": _filled(data["form"]["sections"], shared["sections"])},
        rules_data=_filled(data["requirements"], shared["requirements"]),
    )


def template(name: str) -> Template:
    if name not in NAMES:
        raise NotFound(code="template_not_found")
    return deepcopy(_read(name))
