"""Verbs of rounds before and after publication: add, change, discard, extend, close. Publishing is `publication`'s."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dure.control.calls import checks, hooks, meaning, steps
from dure.control.calls.models import Call, Extension, Round, RoundStep
from dure.control.calls.moments import database_now
from dure.control.calls.selectors import RoundView
from dure.control.calls.selectors.rounds import round_views
from dure.control.calls.services.promises import take_turns, unpromised_by_round
from dure.control.calls.workflow import in_time, may_become
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Invalid
from dure.control.foundation.money import format_won

MAX_ROUNDS = 100
_MOMENTS = ("opens_at", "closes_at", "questions_until")
_SUMS = {"budget_micro_won": 0, "least_micro_won": 0, "most_micro_won": 1}
#: What a published round can still be given: a name, and more money.
_LATER = frozenset({"name_ko", "name_en", "budget_micro_won"})


@transaction.atomic
def add_round(*, actor: Actor, call_slug: str, **values: Any) -> RoundView:
    """Begin a round as a draft. Takes what `change_round` takes; it follows the call's form, rules and steps."""
    call = checks.call_to_change(actor, call_slug)
    numbers = Round.objects.filter(call=call).aggregate(highest=Max("number"))
    if (numbers["highest"] or 0) >= MAX_ROUNDS:
        raise Conflict("too_many_rounds", _("A call has at most %(most)s rounds.") % {"most": MAX_ROUNDS})
    row = Round(call=call, number=(numbers["highest"] or 0) + 1, created_at=clock.now())
    for name, value in tidy_round(values).items():
        setattr(row, name, value)
    checks.after(row.opens_at, row.closes_at, "closes_at")
    row.save(force_insert=True)
    _record(actor, "round.added", row, after=_shown(row))
    return round_views([row], actor=actor)[0]


@transaction.atomic
def change_round(*, actor: Actor, round_id: UUID, **values: Any) -> RoundView:
    """Change what is named: `name_ko`, `name_en`, `opens_at`, `closes_at`, `questions_until`, `budget_micro_won`,
    `least_micro_won`, `most_micro_won`, `automatic`. A published round takes a name and more money, nothing else.
    """
    take_turns(round_id)
    row = checks.round_to_change(actor, round_id)
    wanted = tidy_round(values)
    before = {name: getattr(row, name) for name in wanted}
    after = {name: value for name, value in wanted.items() if value != before[name]}
    if not after:
        return round_views([row], actor=actor)[0]
    if row.state != "draft":
        _only_later(row, after)
    for name, value in after.items():
        setattr(row, name, value)
    checks.after(row.opens_at, row.closes_at, "closes_at")
    row.save(update_fields=list(after))
    _record(actor, "round.changed", row, before={name: before[name] for name in after}, after=after)
    return round_views([row], actor=actor)[0]


@transaction.atomic
def discard_round(*, actor: Actor, round_id: UUID) -> None:
    """Throw a draft round away."""
    row = checks.round_to_change(actor, round_id)
    if row.state != "draft":
        raise Conflict("round_is_published", _("This round is published and stays on record."))
    _record(actor, "round.discarded", row, before=_shown(row))
    row.delete()


@transaction.atomic
def extend_round(
    *, actor: Actor, round_id: UUID, closes_at: datetime, reason: str, move_steps: bool = False
) -> RoundView:
    """Move a published round's closing to a later moment, for everybody, with a public reason.

    Other dates stay where they are, unless `move_steps` moves the ends of the steps that still wait by as much.
    """
    row = checks.round_to_change(actor, round_id)
    reason = checks.reason(reason)
    new = checks.moment(closes_at, "closes_at")
    if row.state != "published" or row.closes_at is None or new is None:
        raise Conflict(
            "round_not_published",
            _("Only a published round that was not closed can be extended."),
            remedy=_("Change the draft's closing, or add another round."),
        )
    old = row.closes_at
    if new <= old:
        raise Invalid(
            "extension_not_later",
            _("A closing is only ever moved to a later moment."),
            field="closes_at",
            remedy=_("Give a moment after the present closing."),
            data={"closes_at": old.isoformat()},
        )
    if not in_time(database_now(), new):
        raise Invalid("extension_in_the_past", _("This moment has passed already."), field="closes_at")
    _move_steps(row, old, new, move_steps)
    row.closes_at = new
    row.save(update_fields=["closes_at", "steps"])
    Extension.objects.create(
        round=row,
        old_closes_at=old,
        new_closes_at=new,
        reason=reason,
        created_at=clock.now(),
        created_by_name=actor.name[:200],
    )
    hooks.deadline_moved(row.pk, old, new, reason)
    _record(
        actor,
        "round.extended",
        row,
        before={"closes_at": old},
        after={"closes_at": new, "reason": reason, "steps_moved": move_steps},
    )
    return round_views([row], actor=actor)[0]


@transaction.atomic
def close_round(*, actor: Actor, round_id: UUID, reason: str = "") -> RoundView:
    """Say that a round is done: everything in it was decided. A round of automatic approvals may be closed before its
    time, with a reason (its money is spent); any other only after its closing. Doing so again changes nothing.
    """
    row = checks.round_to_change(actor, round_id)
    if row.state == "closed":
        return round_views([row], actor=actor)[0]
    if not may_become("round", row.state, "closed"):
        raise Conflict("round_not_published", _("Only a published round can be closed."))
    early = row.closes_at is not None and in_time(database_now(), row.closes_at)
    if early and row.automatic is None:
        raise Conflict(
            "round_still_open",
            _("Applicants were promised time until the closing; it is not taken away."),
            remedy=_("Wait for the closing, or cancel the call with a reason."),
        )
    end(row, "closed", checks.reason(reason) if early else checks.line(reason, "reason", most=500))
    _record(actor, "round.closed", row, after={"state": "closed", "reason": row.end_reason})
    _close_call(actor, row.call)
    return round_views([row], actor=actor)[0]


def end(row: Round, state: str, reason: str) -> None:
    row.state, row.ended_at, row.end_reason = state, clock.now(), reason
    row.save(update_fields=["state", "ended_at", "end_reason"])


def tidy_round(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given for a round, checked one by one."""
    tidy: dict[str, Any] = {}
    for name, value in values.items():
        if name in _MOMENTS:
            tidy[name] = checks.moment(value, name)
        elif name in _SUMS:
            tidy[name] = checks.sum_of(value, name, least=_SUMS[name])
        elif name in {"name_ko", "name_en"}:
            tidy[name] = checks.line(value, name)
        elif name == "automatic":
            tidy[name] = checks.automatic(value)
        else:
            raise TypeError(f"{name} is nothing of a round")
    if tidy.get("budget_micro_won", 0) is None:
        tidy["budget_micro_won"] = 0
    return tidy


def _only_later(row: Round, after: Mapping[str, Any]) -> None:
    wrong = sorted(set(after) - _LATER)
    if wrong:
        raise Conflict(
            "round_is_published",
            _("This round is published: what applicants rely on stays as it is."),
            field=wrong[0],
            remedy=_("Extend its closing with a reason, or add another round."),
        )
    if after.get("budget_micro_won", row.budget_micro_won) < row.budget_micro_won:
        raise Conflict(
            "budget_only_grows", _("A published round's budget can only grow."), field="budget_micro_won"
        )
    left = unpromised_by_round(row.call.programme, [row.pk])[row.pk]
    if after.get("budget_micro_won", 0) > left:
        raise Conflict(
            "budget_exceeds_programme",
            _("The programme has %(left)s left that is not promised to other rounds.")
            % {"left": format_won(max(left, 0), get_language() or "ko")},
            field="budget_micro_won",
            remedy=_("Appropriate more to the programme first."),
        )


def _move_steps(row: Round, old: datetime, new: datetime, move: bool) -> None:
    """The application's own end follows the round's; the others only where it was asked for. What would not fit the
    new closing is refused by name, rather than moved in silence."""
    graph = meaning.graph(row.steps)
    writing = {step.key for step in graph.steps if step.kind == "application"}
    if move:
        row.steps = _later(row.steps, writing, old, new - old)
        graph = meaning.graph(row.steps)
    wrong = [
        one
        for one in steps.problems(graph, opens_at=row.opens_at, closes_at=new)
        if one.code in {"dates_reversed", "dates_out_of_order"}
    ]
    if wrong:
        raise Invalid(
            "steps_before_closing",
            _("With the new closing the dates of the steps would not follow each other: %(first)s")
            % {"first": wrong[0].message},
            field="move_steps",
            remedy=_("Move the dates of the following steps by as much."),
            data={"steps": [one.step for one in wrong]},
        )
    ends = {step.key: new if step.key in writing else step.closes_at for step in graph.steps}
    now = clock.now()
    for timed in RoundStep.objects.filter(round=row, state__in=["waiting", "expired"]):
        due = ends.get(timed.key)
        if due is None or due == timed.due_at:
            continue
        timed.due_at = due
        if timed.state == "expired" and due > now:
            timed.state, timed.expired_at = "waiting", None
        timed.save(update_fields=["due_at", "state", "expired_at"])


def _later(content: Any, writing: Collection[str], old: datetime, by: timedelta) -> Any:
    """The steps' JSON with every date from the old closing on moved; an application's own are the round's."""
    moved = deepcopy(content)
    for one in moved["steps"]:
        for name in ("opens_at", "closes_at"):
            if one.get("key") in writing or not one.get(name):
                continue
            date = datetime.fromisoformat(one[name])
            date = date if date.tzinfo else date.replace(tzinfo=clock.SEOUL)
            if date >= old:
                one[name] = (date + by).isoformat()
    return moved


def _close_call(actor: Actor, call: Call) -> None:
    """A call is closed with the last of its rounds; drafts of further ones keep it open."""
    if call.state == "published" and not call.rounds.exclude(state__in=["closed", "cancelled"]).exists():
        call.state, call.ended_at = "closed", clock.now()
        call.save(update_fields=["state", "ended_at"])
        audit.record(
            actor=actor,
            action="call.closed",
            subject_kind="call",
            subject_id=call.pk,
            before={"state": "published"},
            after={"state": "closed"},
        )


def _shown(row: Round) -> dict[str, Any]:
    names = (*_MOMENTS, *_SUMS, "automatic")
    return {"call": row.call.slug, "number": row.number} | {name: getattr(row, name) for name in names}


def _record(
    actor: Actor,
    action: str,
    row: Round,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Under the call, where its timeline finds it."""
    named = {"round": row.number}
    audit.record(
        actor=actor,
        action=action,
        subject_kind="call",
        subject_id=row.call_id,
        before={**named, **before} if before is not None else None,
        after={**named, **after} if after is not None else None,
    )
