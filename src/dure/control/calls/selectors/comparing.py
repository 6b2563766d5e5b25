"""Versions of a call's form, rules and steps, and what differs between two of them; its officers' alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dure.control.calls import comparing, meaning
from dure.control.calls.selectors.calls import Draft, call_not_found, draft
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Invalid, NotFound

type Compared = Literal["form", "rules", "steps"]
COMPARED: tuple[Compared, ...] = ("form", "rules", "steps")


@dataclass(frozen=True, slots=True)
class ComparedVersion:
    """`name` is how it is asked for: a number of the form or the rules; `draft` or `round-2` of the steps; `source` for
    the call that this one was copied from. `frozen_at`: since when a published round uses it."""

    name: str
    title: str
    changed_at: datetime | None
    changed_by_name: str
    frozen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`versions` newest first; `old` and `new` are None where there is nothing to compare."""

    part: Compared
    versions: list[ComparedVersion]
    old: ComparedVersion | None
    new: ComparedVersion | None
    differences: list[comparing.Difference]


def comparison(*, actor: Actor, slug: str, part: Compared, old: str = "", new: str = "") -> Comparison:
    """What differs between two versions by name; without names, between the newest and the one before.

    Raises `NotFound`, and `version_unknown` for a name that is none of the versions'.
    """
    mine = draft(actor=actor, slug=slug)
    known = _versions(mine, part, _source(actor, mine))
    listed = [version for version, _content in known]
    newer = _named(known, new, "new") or (known[0] if known else None)
    older = _named(known, old, "old") or _before(known, newer)
    if older is None or newer is None:
        return Comparison(part, listed, None, newer[0] if newer else None, [])
    return Comparison(part, listed, older[0], newer[0], _differences(part, older[1], newer[1]))


type _Known = tuple[ComparedVersion, Any]


def _versions(mine: Draft, part: Compared, source: Draft | None) -> list[_Known]:
    found: list[_Known] = []
    if part == "steps":
        title = gettext("The steps as they are now")
        found.append((ComparedVersion("draft", title, None, "", None), mine.steps))
        found += [
            (
                ComparedVersion(
                    f"round-{one.number}",
                    one.name or gettext("Round %(n)s") % {"n": one.number},
                    None,
                    "",
                    one.published_at,
                ),
                one.steps_content,
            )
            for one in reversed(mine.call.rounds)
        ]
    else:
        found += [
            (
                ComparedVersion(
                    str(one.number),
                    gettext("Version %(n)s") % {"n": one.number},
                    one.changed_at,
                    one.changed_by_name,
                    one.frozen_at,
                ),
                one.content,
            )
            for one in (mine.form_versions if part == "form" else mine.rule_versions)
        ]
    if source is not None:
        newest = {"form": source.form, "rules": source.rules}.get(part)
        content = source.steps if part == "steps" else newest.content if newest else None
        found.append((ComparedVersion("source", source.call.name, None, "", None), content))
    return found


def _source(actor: Actor, mine: Draft) -> Draft | None:
    """The call that this one was copied from, if the actor manages that, too."""
    try:
        return draft(actor=actor, slug=mine.call.copied_from) if mine.call.copied_from else None
    except NotFound as error:
        if error.code != call_not_found().code:
            raise
        return None


def _named(known: list[_Known], name: str, field: str) -> _Known | None:
    if not name:
        return None
    found = next((one for one in known if one[0].name == name), None)
    if found is None:
        raise Invalid(
            "version_unknown",
            _("There is no version “%(name)s”.") % {"name": name[:40]},
            field=field,
            remedy=_("Known: %(options)s.") % {"options": ", ".join(one.name for one, _content in known)},
        )
    return found


def _before(known: list[_Known], newer: _Known | None) -> _Known | None:
    place = next((at for at, one in enumerate(known) if one is newer), len(known))
    return known[place + 1] if place + 1 < len(known) else None


def _differences(part: Compared, old: Any, new: Any) -> list[comparing.Difference]:
    empty = meaning.EMPTY[part]
    old, new = empty if old is None else old, empty if new is None else new
    if part == "form":
        return comparing.of_forms(meaning.form(old), meaning.form(new))
    if part == "rules":
        return comparing.of_requirements(meaning.requirements(old), meaning.requirements(new))
    return comparing.of_steps(meaning.graph(old), meaning.graph(new))
