"""Publishing a round: everything is checked, and then what applicants rely on is frozen, in one transaction."""

from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dure.control.calls import checks, hooks, meaning
from dure.control.calls.models import Call, FormVersion, Round, RoundStep, RuleVersion
from dure.control.calls.moments import database_now
from dure.control.calls.problems import Intended, PublicationProblem, problems, rule_problems
from dure.control.calls.selectors import Draft, RoundView, VersionView
from dure.control.calls.selectors.calls import call_row
from dure.control.calls.selectors.rounds import round_views
from dure.control.calls.services.contents import keep_version
from dure.control.calls.services.promises import take_turns, unpromised_by_round
from dure.control.calls.workflow import may_become
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Invalid
from dure.control.programmes import selectors as programmes

type _Version = FormVersion | RuleVersion | VersionView


def publication_problems(*, actor: Actor, round_id: UUID) -> list[PublicationProblem]:
    """What stands in the way of publishing this draft, and what might better be looked at, all at once."""
    row = checks.round_to_look_at(actor, round_id)
    return _problems_of([row], *_versions(row))[row.pk]


def problems_by_round(*, actor: Actor, draft: Draft) -> dict[UUID, list[PublicationProblem]]:
    """The same for every draft round of a call, in a number of queries that does not depend on how many there are."""
    call = call_row(actor, draft.call.slug)
    drafts = list(Round.objects.filter(call=call, state="draft").order_by("number"))
    for row in drafts:
        row.call = call
    return _problems_of(drafts, draft.form, draft.rules)


def _problems_of(
    rows: list[Round], form: _Version | None, rules: _Version | None
) -> dict[UUID, list[PublicationProblem]]:
    """For rounds of one call."""
    if not rows:
        return {}
    first = rows[0]
    left = unpromised_by_round(first.call.programme, [row.pk for row in rows])
    now, lines = database_now(), _budget_lines(first.call)
    found = tuple(rule_problems(rules.content if rules else []))
    return {
        row.pk: problems(replace(_intended(row, form, rules, now, lines, left[row.pk]), rule_problems=found))
        for row in rows
    }


@transaction.atomic
def publish_round(*, actor: Actor, round_id: UUID) -> RoundView:
    """Publish a round, and its call with the first of them. Raises `round_not_ready` with every problem in
    `data["problems"]`. A round that is published already is answered as it is.
    """
    programme_id = take_turns(round_id)
    row = checks.round_to_change(actor, round_id)
    if row.state == "published":
        return round_views([row], actor=actor)[0]
    if not may_become("round", row.state, "published") or row.call.state in {"closed", "cancelled"}:
        raise Conflict("round_ended", _("This round has ended and is not published again."))
    if row.call.programme_id != programme_id:
        raise Conflict(
            "changed_meanwhile",
            _("The call was moved to another programme meanwhile."),
            remedy=_("Look at it again, and publish it then."),
        )
    form, rules = _versions(row)
    left = unpromised_by_round(row.call.programme, [row.pk])[row.pk]
    found = problems(_intended(row, form, rules, database_now(), _budget_lines(row.call), left))
    stopping = [one for one in found if one.severity == "problem"]
    if stopping or form is None:
        raise Invalid(
            "round_not_ready",
            _("This round cannot be published yet: %(first)s") % {"first": stopping[0].message},
            remedy=_("Repair what is listed, and publish it then."),
            data={"problems": [asdict(one) for one in found]},
        )
    if rules is None:
        rules = RuleVersion.objects.get(pk=keep_version(actor, row.call, "rules", []).pk)
    _freeze(row, form, rules)
    hooks.round_published(row.pk)
    audit.record(
        actor=actor,
        action="round.published",
        subject_kind="call",
        subject_id=row.call_id,
        after={
            "round": row.number,
            "opens_at": row.opens_at,
            "closes_at": row.closes_at,
            "budget_micro_won": row.budget_micro_won,
            "form": form.digest,
            "rules": rules.digest,
            "steps": meaning.digest_of(row.steps),
            "warnings": [one.code for one in found],
        },
    )
    return round_views([row], actor=actor)[0]


def _freeze(row: Round, form: FormVersion, rules: RuleVersion) -> None:
    now = clock.now()
    for version in (form, rules):
        if version.frozen_at is None:
            version.frozen_at = now
            version.save(update_fields=["frozen_at"])
    row.state, row.published_at = "published", now
    row.form_version, row.rule_version = form, rules
    row.steps = row.call.steps if row.steps is None else row.steps
    row.save(update_fields=["state", "published_at", "form_version", "rule_version", "steps"])
    RoundStep.objects.bulk_create(
        RoundStep(round=row, key=step.key, due_at=due)
        for step in meaning.graph(row.steps).steps
        for due in [row.closes_at if step.kind == "application" else step.closes_at]
        if due is not None
    )
    call: Call = row.call
    if call.state == "draft":
        call.state, call.published_at = "published", now
        call.save(update_fields=["state", "published_at"])


def _versions(row: Round) -> tuple[FormVersion | None, RuleVersion | None]:
    """What the draft would be published with: the newest of its call. No rules at all is an empty set of rules."""
    form = FormVersion.objects.filter(call=row.call_id).order_by("-number").first()
    rules = RuleVersion.objects.filter(call=row.call_id).order_by("-number").first()
    return form, rules


def _intended(
    row: Round,
    form: _Version | None,
    rules: _Version | None,
    now: datetime,
    budget_lines: frozenset[str] | None,
    left_micro_won: int,
) -> Intended:
    return Intended(
        call=row.call,
        round=row,
        form_content=form.content if form else meaning.EMPTY["form"],
        rules_content=rules.content if rules else [],
        steps_content=row.call.steps if row.steps is None else row.steps,
        now=now,
        budget_line_keys=budget_lines,
        left_micro_won=left_micro_won,
        language=get_language() or "ko",
    )


def _budget_lines(call: Call) -> frozenset[str] | None:
    """None where the programme keeps no lines: then a form's are its own."""
    return frozenset(line.key for line in programmes.budget_lines(programme_id=call.programme_id)) or None
