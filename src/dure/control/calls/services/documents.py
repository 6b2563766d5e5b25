"""A call as one document, so that it can be kept in version control: out as it is, in again as a draft.

    version: 1
    call: {slug, programme, kind, name: {ko, en}, summary: …, text: …}
    requirements: […]      form: {…}      steps: {…}
    rounds: [{number, opens_at, closes_at, questions_until, budget_won, least_won, most_won, automatic, steps?}]

What is exported and read in again makes the same call; a second reading changes nothing. Of a published call only
what may still be changed is: what else the document says differently is refused.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import checks, meaning, selectors
from dure.control.calls.models import Call, FormVersion, Round, RuleVersion
from dure.control.calls.reading import Fields, Reader
from dure.control.calls.selectors import CallView
from dure.control.calls.services.calls import add_call, change_call
from dure.control.calls.services.contents import keep_version, save_steps
from dure.control.calls.services.copying import json_of
from dure.control.calls.services.rounds import add_round, change_round
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict

VERSION = 1
MAX_ROUNDS = 100
_TEXTS = ("name", "summary", "text")
_MOMENTS = ("opens_at", "closes_at", "questions_until")
_AUTOMATIC = ("most_won", "valid_days", "most_per_group")
_SUMS = {"budget_won": "budget_micro_won", "least_won": "least_micro_won", "most_won": "most_micro_won"}


def export_call(*, actor: Actor, slug: str) -> dict[str, Any]:
    """The document of a call as it stands, for its officers; moments are in Seoul's time, sums in whole won."""
    row = checks.call_to_read(actor, slug)
    form = FormVersion.objects.filter(call=row).order_by("-number").first()
    rules = RuleVersion.objects.filter(call=row).order_by("-number").first()
    return {
        "version": VERSION,
        "call": {
            "slug": row.slug,
            "programme": row.programme.slug,
            "kind": row.kind,
            **{name: {"ko": getattr(row, f"{name}_ko"), "en": getattr(row, f"{name}_en")} for name in _TEXTS},
        },
        "requirements": rules.content if rules else [],
        "form": form.content if form else meaning.EMPTY["form"],
        "steps": row.steps or meaning.EMPTY["steps"],
        "rounds": [_round_out(one) for one in Round.objects.filter(call=row).order_by("number")],
    }


@transaction.atomic
def import_call(*, actor: Actor, document: Any, reason: str = "") -> CallView:
    """Make the call of a document, or bring the one with its short name to what the document says. Raises
    `document_malformed` with every mistake's path."""
    wanted = _read(json_of(document) if document is not None else None)
    call = wanted["call"]
    texts = {f"{name}_{language}": call[name][language] for name in _TEXTS for language in ("ko", "en")}
    row = Call.objects.filter(slug=call["slug"]).first()
    if row is None:
        add_call(actor=actor, slug=call["slug"], programme_slug=call["programme"], kind=call["kind"], **texts)
    else:
        change_call(
            actor=actor,
            slug=call["slug"],
            reason=reason,
            kind=call["kind"],
            programme_slug=_moved(row, call["programme"]),
            **texts,
        )
    row = checks.call_to_change(actor, call["slug"])
    keep_version(actor, row, "form", wanted["form"])
    keep_version(actor, row, "rules", wanted["requirements"])
    save_steps(actor=actor, call_slug=row.slug, content=wanted["steps"])
    _rounds_in(actor, row, wanted["rounds"])
    return selectors.call(actor=actor, slug=row.slug)


def _moved(row: Call, programme_slug: str) -> str | None:
    """The programme to move to, if it is another; a closed one is no hindrance to staying."""
    return None if row.programme.slug == programme_slug else programme_slug


def _rounds_in(actor: Actor, call: Call, wanted: list[dict[str, Any]]) -> None:
    """The first of the document is the first that stands, and so on."""
    standing = list(Round.objects.filter(call=call).order_by("number"))
    for row, values in zip_longest(standing, wanted):
        if values is None:
            _leave_out(row)
            continue
        if row is not None and row.state in {"closed", "cancelled"}:
            continue
        own_steps = values.pop("steps")
        if row is None:
            round_id = add_round(actor=actor, call_slug=call.slug, **values).id
        else:
            round_id = change_round(actor=actor, round_id=row.pk, **values).id
        if own_steps is not None and (row is None or row.state == "draft"):
            save_steps(actor=actor, call_slug=call.slug, content=own_steps, round_id=round_id)


def _leave_out(row: Round) -> None:
    if row.state != "draft":
        raise Conflict(
            "round_is_published",
            _("The document leaves out round %(number)s, which is published.") % {"number": row.number},
            field="rounds",
            remedy=_("Export the call again, and begin from that."),
        )
    row.delete()


def _round_out(row: Round) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if row.name_ko or row.name_en:
        found["name"] = {"ko": row.name_ko, "en": row.name_en}
    for name in _MOMENTS:
        moment: datetime | None = getattr(row, name)
        if moment is not None:
            found[name] = moment.astimezone(clock.SEOUL).isoformat()
    for name, field in _SUMS.items():
        if getattr(row, field) is not None:
            found[name] = getattr(row, field) // MICRO_WON_PER_WON
    if row.automatic is not None:
        found["automatic"] = {
            "most_won": row.automatic["most_micro_won"] // MICRO_WON_PER_WON,
            "valid_days": row.automatic["valid_days"],
            "most_per_group": row.automatic["most_per_group"],
        }
    if row.steps is not None and row.steps != row.call.steps:
        found["steps"] = row.steps
    return found


def _read(document: Any) -> dict[str, Any]:
    reader = Reader()
    root = reader.mapping(document, "", ("version", "call", "requirements", "form", "steps", "rounds"))
    found: dict[str, Any] = {"requirements": [], "form": None, "steps": None, "rounds": []}
    if root is not None:
        if root.require("version") and root.values["version"] != VERSION:
            root.note("version", str(_("Only version %(version)s is known.") % {"version": VERSION}))
        if root.require("call"):
            found["call"] = _call_in(reader, root.values["call"])
        for name in ("requirements", "form", "steps"):
            found[name] = root.values.get(name)
        found["rounds"] = list(
            root.items("rounds", lambda item, path: _round_in(reader, item, path), most=MAX_ROUNDS)
        )
    reader.finish("document_malformed")
    return found


def _call_in(reader: Reader, data: Any) -> dict[str, Any] | None:
    fields = reader.mapping(data, "call", ("slug", "programme", "kind", *_TEXTS))
    if fields is None:
        return None
    found: dict[str, Any] = {name: fields.text(name, required=True) for name in ("slug", "programme", "kind")}
    for name, most in (("name", 200), ("summary", 500), ("text", checks.MAX_TEXT)):
        found[name] = _words(fields, name, most)
    return found


def _words(fields: Fields, name: str, most: int) -> dict[str, str]:
    """Both languages as they were given: one that is missing stays missing, and publishing says so."""
    if name not in fields:
        return {"ko": "", "en": ""}
    if isinstance(fields.values[name], str):
        return {"ko": fields.text(name, most=most), "en": ""}
    both = fields.reader.mapping(fields.values[name], fields.at(name), ("ko", "en"))
    return (
        {"ko": both.text("ko", most=most), "en": both.text("en", most=most)} if both else {"ko": "", "en": ""}
    )


def _round_in(reader: Reader, data: Any, path: str) -> dict[str, Any] | None:
    fields = reader.mapping(data, path, ("name", *_MOMENTS, *_SUMS, "automatic", "steps"))
    if fields is None:
        return None
    names = _words(fields, "name", 200)
    found: dict[str, Any] = {"name_ko": names["ko"], "name_en": names["en"]}
    for name in _MOMENTS:
        found[name] = fields.moment(name)
    for name, field in _SUMS.items():
        sum_of = fields.integer(name, most=checks.MAX_MICRO_WON // MICRO_WON_PER_WON)
        found[field] = None if sum_of is None else sum_of * MICRO_WON_PER_WON
    found["budget_micro_won"] = found["budget_micro_won"] or 0
    found["automatic"] = _automatic_in(fields)
    found["steps"] = fields.values.get("steps")
    return found


def _automatic_in(fields: Fields) -> Mapping[str, int] | None:
    if "automatic" not in fields:
        return None
    inside = fields.reader.mapping(fields.values["automatic"], fields.at("automatic"), _AUTOMATIC)
    if inside is None:
        return None
    most = checks.MAX_MICRO_WON // MICRO_WON_PER_WON
    values = {name: inside.integer(name, least=1, most=most, required=True) for name in _AUTOMATIC}
    return {
        "most_micro_won": (values["most_won"] or 0) * MICRO_WON_PER_WON,
        "valid_days": values["valid_days"] or 0,
        "most_per_group": values["most_per_group"] or 0,
    }
