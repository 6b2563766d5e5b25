"""What stands in the way of publishing a round: everything at once, each with a code, a place and a remedy.

A *problem* stops the publication, a *warning* does not. Pure: rows and sums are handed in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.utils.translation import gettext, ngettext

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import eligibility, forms, steps
from dure.control.foundation.errors import Invalid
from dure.control.foundation.money import format_won

#: How many days a round stays open at least, by kind of call; who has to write for longer is given longer.
LEAST_OPEN_DAYS: Final[Mapping[str, int]] = {
    "api_support": 7,
    "compute": 7,
    "pilot": 14,
    "rnd": 30,
    "follow_up": 14,
    "small_request": 1,
}
#: What may be granted without a person looking at it.
MOST_AUTOMATIC_MICRO_WON: Final = 5_000_000 * MICRO_WON_PER_WON
MOST_AUTOMATIC_DAYS: Final = 365
MOST_AUTOMATIC_PER_GROUP: Final = 12

type Severity = Literal["problem", "warning"]


@dataclass(frozen=True, slots=True)
class PublicationProblem:
    """`area`: `texts`, `dates`, `money`, `form`, `rules`, `steps` or `automatic`; `where` is a field, or a step's,
    form field's or requirement's key. Texts are in the language that was active.
    """

    code: str
    area: str
    where: str
    message: str
    remedy: str = ""
    severity: Severity = "problem"


@dataclass(frozen=True, slots=True)
class Intended:
    """A round as it would be published. Sums in micro-won; `left` is what its programme has left for it."""

    call: Any
    round: Any
    form_content: Any
    rules_content: Any
    steps_content: Any
    now: datetime
    left_micro_won: int
    budget_line_keys: frozenset[str] | None = None
    language: str = "ko"
    #: Those of the rules, where they were found already for another round of the call.
    rule_problems: tuple[PublicationProblem, ...] | None = None


def problems(intended: Intended) -> list[PublicationProblem]:
    """All of them, problems before warnings, in the order in which the call builder has its areas."""
    found = [
        *_texts(intended.call),
        *_dates(intended),
        *_money(intended),
        *_automatic(intended),
        *(
            rule_problems(intended.rules_content)
            if intended.rule_problems is None
            else intended.rule_problems
        ),
        *_form(intended),
        *_steps(intended),
    ]
    return sorted(found, key=lambda one: one.severity != "problem")


def _texts(call: Any) -> Iterator[PublicationProblem]:
    for name, title in (
        ("name", gettext("The name")),
        ("summary", gettext("The summary")),
        ("text", gettext("The text")),
    ):
        if not getattr(call, f"{name}_ko"):
            yield PublicationProblem(
                "korean_missing",
                "texts",
                f"{name}_ko",
                gettext("%(what)s is missing in Korean.") % {"what": title},
                gettext("Write it in Korean."),
            )
        if not getattr(call, f"{name}_en"):
            yield PublicationProblem(
                "english_missing",
                "texts",
                f"{name}_en",
                gettext("%(what)s is missing in English; readers of English will see the Korean one.")
                % {"what": title},
                gettext("Write it in English."),
                "warning",
            )
    if call.needs_review:
        yield PublicationProblem(
            "not_reviewed",
            "texts",
            "needs_review",
            gettext("This call is a copy that nobody has looked through yet."),
            gettext("Look through its texts, dates and sums, and say that you have."),
        )


def _dates(intended: Intended) -> Iterator[PublicationProblem]:
    one, now = intended.round, intended.now
    for name, title in (("opens_at", gettext("The opening")), ("closes_at", gettext("The closing"))):
        if getattr(one, name) is None:
            yield PublicationProblem(
                "date_missing",
                "dates",
                name,
                gettext("%(what)s is not set.") % {"what": title},
                gettext("Give the day and the time."),
            )
    if one.opens_at is None or one.closes_at is None:
        return
    if one.closes_at <= now:
        yield PublicationProblem(
            "closes_in_the_past",
            "dates",
            "closes_at",
            gettext("The closing has passed already."),
            gettext("Give a later closing."),
        )
    elif one.closes_at - max(one.opens_at, now) < timedelta(days=LEAST_OPEN_DAYS[intended.call.kind]):
        days = LEAST_OPEN_DAYS[intended.call.kind]
        yield PublicationProblem(
            "open_too_briefly",
            "dates",
            "closes_at",
            ngettext(
                "A call of this kind is open for at least %(days)s day.",
                "A call of this kind is open for at least %(days)s days.",
                days,
            )
            % {"days": days},
            gettext("Give a later closing, or an earlier opening."),
        )
    if one.questions_until is not None and one.questions_until > one.closes_at:
        yield PublicationProblem(
            "questions_after_closing",
            "dates",
            "questions_until",
            gettext("Questions would be taken after the closing."),
            gettext("Let them end before it, so that answers come in time."),
        )


def _money(intended: Intended) -> Iterator[PublicationProblem]:
    one, language = intended.round, intended.language
    if one.budget_micro_won <= 0:
        yield PublicationProblem(
            "budget_missing",
            "money",
            "budget_micro_won",
            gettext("The round has no budget."),
            gettext("Say how much may be granted in it."),
        )
    elif one.budget_micro_won > intended.left_micro_won:
        yield PublicationProblem(
            "budget_exceeds_programme",
            "money",
            "budget_micro_won",
            gettext(
                "The programme has %(left)s left that is not promised to other rounds; this one has %(budget)s."
            )
            % {
                "left": format_won(max(intended.left_micro_won, 0), language),
                "budget": format_won(one.budget_micro_won, language),
            },
            gettext("Lower the budget, or appropriate more to the programme first."),
        )
    if one.most_micro_won is None:
        yield PublicationProblem(
            "most_missing",
            "money",
            "most_micro_won",
            gettext("It is not said how much one application may ask for."),
            gettext("Give the highest sum."),
        )
        return
    if one.least_micro_won is not None and one.least_micro_won > one.most_micro_won:
        yield PublicationProblem(
            "least_above_most",
            "money",
            "least_micro_won",
            gettext("The least an application may ask for is more than the most."),
            gettext("Correct one of the two sums."),
        )
    if one.budget_micro_won and one.most_micro_won > one.budget_micro_won:
        yield PublicationProblem(
            "most_above_budget",
            "money",
            "most_micro_won",
            gettext("One application could ask for more than the whole budget."),
            gettext("Lower the highest sum, or raise the budget."),
        )


def _automatic(intended: Intended) -> Iterator[PublicationProblem]:
    one, rule = intended.round, intended.round.automatic
    if rule is None:
        if intended.call.kind == "small_request":
            yield PublicationProblem(
                "automatic_missing",
                "automatic",
                "automatic",
                gettext("Small requests are approved by rule, and no rule is set."),
                gettext("Set the limits of automatic approval, or choose another kind of call."),
            )
        return
    limits = (
        (
            "most_micro_won",
            MOST_AUTOMATIC_MICRO_WON,
            format_won(MOST_AUTOMATIC_MICRO_WON, intended.language),
        ),
        ("valid_days", MOST_AUTOMATIC_DAYS, str(MOST_AUTOMATIC_DAYS)),
        ("most_per_group", MOST_AUTOMATIC_PER_GROUP, str(MOST_AUTOMATIC_PER_GROUP)),
    )
    for name, most, shown in limits:
        if rule[name] > most:
            yield PublicationProblem(
                "automatic_limit_too_high",
                "automatic",
                name,
                gettext("Without a person looking at it, at most %(most)s is possible here.")
                % {"most": shown},
                gettext("Lower the limit; larger requests are decided by people."),
            )
    if one.budget_micro_won and rule["most_micro_won"] > one.budget_micro_won:
        yield PublicationProblem(
            "automatic_above_budget",
            "automatic",
            "most_micro_won",
            gettext("One request could take more than the whole budget."),
            gettext("Lower the limit, or raise the budget."),
        )


def rule_problems(content: Any) -> Iterator[PublicationProblem]:
    """What is wrong with a set of rules, whichever round it is for."""
    try:
        requirements = eligibility.parse(content)
        clashes = eligibility.clashes(requirements)
    except Invalid as error:
        yield _unreadable("rules", error)
        return
    for clash in clashes:
        yield PublicationProblem(
            "rules_clash",
            "rules",
            ",".join(clash.keys),
            clash.message,
            gettext("Change or remove one of them: as they stand, nobody can apply."),
        )
    if not clashes:
        for one in eligibility.redundancies(requirements):
            yield PublicationProblem(
                "rule_redundant", "rules", one.requirement.key, one.message, gettext("Remove it."), "warning"
            )
    if not requirements:
        yield PublicationProblem(
            "no_rules",
            "rules",
            "",
            gettext("There are no eligibility rules: every organisation may apply."),
            gettext("Add rules if this is not what is meant."),
            "warning",
        )


def _form(intended: Intended) -> Iterator[PublicationProblem]:
    try:
        form = forms.parse(intended.form_content)
    except Invalid as error:
        yield _unreadable("form", error)
        return
    fields = list(form.fields)
    if not fields:
        yield PublicationProblem(
            "form_empty", "form", "", gettext("The form has no fields."), gettext("Add what you must know.")
        )
        return
    if not any(one.required for one in fields):
        yield PublicationProblem(
            "no_required_field",
            "form",
            "",
            gettext("The form has no required field: an empty application could be submitted."),
            gettext("Mark what must be answered."),
        )
    budgets = [one for one in fields if one.kind == "budget"]
    if not budgets:
        yield PublicationProblem(
            "budget_field_missing",
            "form",
            "",
            gettext("Money is asked for, and the form has no budget field to ask for it in."),
            gettext("Add a budget field."),
        )
    elif not any(one.required for one in budgets):
        yield PublicationProblem(
            "budget_field_optional",
            "form",
            budgets[0].key,
            gettext("The budget can be left empty, and then no sum is asked for."),
            gettext("Make it required."),
        )
    yield from _budget_limits(intended, budgets)
    yield from _english("form", [(one.key, one.label_ko, one.label_en) for one in fields])


def _budget_limits(intended: Intended, budgets: list[forms.Field]) -> Iterator[PublicationProblem]:
    one = intended.round
    for field in budgets:
        if (
            one.most_micro_won is not None
            and field.least is not None
            and field.least * MICRO_WON_PER_WON > one.most_micro_won
        ):
            yield PublicationProblem(
                "budget_field_out_of_range",
                "form",
                field.key,
                gettext("“%(field)s” asks for more than one application may ask for.")
                % {"field": field.label},
                gettext("Lower the field's least sum, or raise the round's highest."),
            )
        if intended.budget_line_keys is None:
            continue
        unknown = [line.key for line in field.lines if line.key not in intended.budget_line_keys]
        if unknown:
            yield PublicationProblem(
                "budget_line_unknown",
                "form",
                field.key,
                ngettext(
                    "“%(field)s” has a budget line that the programme does not have: %(lines)s.",
                    "“%(field)s” has budget lines that the programme does not have: %(lines)s.",
                    len(unknown),
                )
                % {"field": field.label, "lines": ", ".join(unknown)},
                gettext("The programme has: %(lines)s. Use these as keys, or add lines to the programme.")
                % {"lines": ", ".join(sorted(intended.budget_line_keys))},
                "warning",
            )


def _steps(intended: Intended) -> Iterator[PublicationProblem]:
    try:
        graph = steps.parse(intended.steps_content)
    except Invalid as error:
        yield _unreadable("steps", error)
        return
    one = intended.round
    for found in steps.problems(graph, opens_at=one.opens_at, closes_at=one.closes_at):
        yield PublicationProblem(found.code, "steps", found.step, found.message, found.remedy)
    for step in graph.steps:
        if step.kind == "application" and (step.opens_at or step.closes_at):
            yield PublicationProblem(
                "application_dates_of_its_own",
                "steps",
                step.key,
                gettext(
                    "“%(step)s” has dates of its own; applications are taken from the round's opening to its closing."
                )
                % {"step": step.title},
                gettext("Remove the step's dates."),
            )


def _english(area: str, named: list[tuple[str, str, str]]) -> Iterator[PublicationProblem]:
    """A parser lets either language stand in for the other; the same Hangul in both says that it did."""
    missing = [key for key, korean, english in named if korean == english and not korean.isascii()]
    if missing:
        yield PublicationProblem(
            f"{area}_english_missing",
            area,
            ",".join(missing),
            gettext("Some of the form is in Korean only; readers of English will see the Korean."),
            gettext("Translate these fields."),
            "warning",
        )


def _unreadable(area: str, error: Invalid) -> PublicationProblem:
    return PublicationProblem(error.code, area, error.field or "", str(error.message), str(error.remedy))
