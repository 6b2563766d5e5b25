"""An application on the officer's desk: what was handed in, by whom, what was found, and what can be done with it now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from dure.control.applications import desk_forms, selectors, services
from dure.control.applications.pages import standing
from dure.control.applications.selectors import ApplicationView
from dure.control.applications.services.deciding import line_asked_for
from dure.control.calls import answering, eligibility
from dure.control.calls import selectors as calls
from dure.control.calls.page_forms import tell
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.templatetags.dure_format import seoul_datetime_text, won
from dure.control.identity import selectors as identity
from dure.control.identity.guards import requires
from dure.control.programmes import selectors as programmes


@dataclass(frozen=True, slots=True)
class Deed:
    """One form of the page: which permission it needs, what it is called, and what it does."""

    key: str
    may: str
    title: Promise
    button: Promise
    done: Promise
    form: Callable[..., forms.Form]
    act: Callable[[Actor, UUID, dict[str, Any]], object]
    #: What it comes to, said before it is done, where it cannot be taken back.
    comes_to: Callable[[ApplicationView, dict[str, Any]], list[str]] | None = None


def _advance(actor: Actor, application_id: UUID, values: dict[str, Any]) -> object:
    return services.advance(
        actor=actor, application_id=application_id, outcome=values["outcome"], reason=values["reason"]
    )


def _ask(actor: Actor, application_id: UUID, values: dict[str, Any]) -> object:
    return services.ask_for_completion(
        actor=actor,
        application_id=application_id,
        fields=values["fields_asked"],
        reason=values["reason"],
        due_at=values["due_at"],
    )


def _decide(actor: Actor, application_id: UUID, values: dict[str, Any]) -> object:
    return services.decide(
        actor=actor,
        application_id=application_id,
        outcome=values["outcome"],
        reason=values["reason"],
        granted_micro_won=values["granted"],
    )


def _award(actor: Actor, application_id: UUID, values: dict[str, Any]) -> object:
    return services.award(
        actor=actor,
        application_id=application_id,
        valid_until=values["valid_until"],
        line=values.get("line", ""),
    )


def _extend(actor: Actor, application_id: UUID, values: dict[str, Any]) -> object:
    return services.extend(
        actor=actor, application_id=application_id, until=values["until"], reason=values["reason"]
    )


def _decision_comes_to(view: ApplicationView, values: dict[str, Any]) -> list[str]:
    who = view.organisation.name
    if values["outcome"] == "rejected":
        return [gettext("The application of %(who)s is not accepted.") % {"who": who}]
    granted = values["granted"] or view.asked_micro_won or 0
    left = view.round.budget_micro_won - selectors.granted_in_round(round_id=view.round.id) - granted
    said = [
        gettext("The application of %(who)s is accepted for %(sum)s; it asked for %(asked)s.")
        % {"who": who, "sum": won(granted), "asked": won(view.asked_micro_won)},
    ]
    if left >= 0:
        said.append(gettext("The round then has %(left)s left.") % {"left": won(left)})
    else:
        over = {"left": won(left + granted)}
        said.append(gettext("The round has only %(left)s left, so this would be refused.") % over)
    return said


def _award_comes_to(view: ApplicationView, values: dict[str, Any]) -> list[str]:
    granted = view.decision.granted_micro_won if view.decision else None
    figures = {"who": view.organisation.name, "sum": won(granted or 0)}
    said = [gettext("%(sum)s moves from the programme to the award of %(who)s, now.") % figures]
    if "line" in values:
        said.append(_line_that_pays(view, values["line"]))
    if until := values["valid_until"]:
        said.append(
            gettext("The award ends on %(until)s; what is left then goes back.")
            % {"until": seoul_datetime_text(until)}
        )
    return said


def _line_that_pays(view: ApplicationView, chosen: str) -> str:
    """Of a programme with several budget lines."""
    key = chosen or line_asked_for(view.id, view.round)
    lines = programmes.budget_lines(programme_id=view.round.call.programme.id)
    name = next((one.name for one in lines if one.key == key), None)
    if name is None:
        return gettext(
            "No budget line is chosen, and what was asked for stands on no single one, so this would be refused."
        )
    return gettext("The budget line “%(line)s” pays.") % {"line": name}


def _advance_comes_to(view: ApplicationView, values: dict[str, Any]) -> list[str]:
    step = view.round.graph.step(view.step)
    edge = next((one for one in (step.edges if step else ()) if one.outcome == values["outcome"]), None)
    assert step is not None
    assert edge is not None
    figures = {"step": step.title, "outcome": desk_forms.outcome_line(view, edge)}
    return [gettext("The application leaves “%(step)s” with “%(outcome)s”.") % figures]


DEEDS = (
    Deed(
        "decision", "decide", _("Decide"), _("Decide, and tell the applicant"),
        _("Decided. The applicant is told."), desk_forms.DecisionForm, _decide, _decision_comes_to,
    ),
    Deed(
        "award", "award", _("Grant the award"), _("Grant it now"),
        _("The award is granted. The applicant is told."), desk_forms.AwardForm, _award, _award_comes_to,
    ),
    Deed(
        "advance", "advance", _("Leave this step"), _("Go on with this outcome"),
        _("The application has left the step. The applicant is told."), desk_forms.AdvanceForm, _advance, _advance_comes_to,
    ),
    Deed(
        "completion", "ask_for_completion", _("Ask for a completion"), _("Ask the applicant"),
        _("The applicant is asked, and has until then."), desk_forms.CompletionForm, _ask,
    ),
    Deed(
        "extension", "extend", _("Give this applicant more time"), _("Give more time"),
        _("The applicant has more time, and is told."), desk_forms.ExtensionForm, _extend,
    ),
)  # fmt: skip


@requires(*OFFICERS, "auditor")
@never_cache
def application(request: Request, application_id: UUID) -> HttpResponse:
    """What was handed in, as an officer judges it."""
    view = _submitted(request.actor, application_id)
    return _page(request, view)


@requires(*OFFICERS)
def act(request: Request, application_id: UUID, deed: str) -> HttpResponse:
    """One of the page's deeds, asked about once more where it is for good. What is wrong with it is said on the page,
    with what was typed; so is what somebody comes back to change."""
    view = _submitted(request.actor, application_id)
    chosen = next((one for one in DEEDS if one.key == deed), None)
    if chosen is None:
        raise NotFound
    if request.method != "POST":
        return redirect("applications:desk_application", application_id)
    form = chosen.form(request.POST, view=view, prefix=chosen.key)
    if "change" in request.POST:
        return _page(request, view, typed={chosen.key: form})
    if form.is_valid() and chosen.may in view.may and chosen.comes_to and "confirmed" not in request.POST:
        context = {
            "application": view,
            "deed": chosen,
            "comes_to": chosen.comes_to(view, form.cleaned_data),
            "reason": form.cleaned_data.get("reason", ""),
            "typed": [(field.html_name, field.value()) for field in form],
        }
        return render(request, "applications/desk_act.html", context)
    if form.is_valid():
        try:
            chosen.act(request.actor, application_id, form.cleaned_data)
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, str(chosen.done))
            return redirect("applications:desk_application", application_id)
    return _page(request, view, wrong={chosen.key: form})


def _submitted(actor: Actor, application_id: UUID) -> ApplicationView:
    """Drafts are their writers' own; so is what belongs to another agency."""
    view = selectors.application(actor=actor, application_id=application_id)
    if not view.submissions:
        raise NotFound(gettext("There is no such application."), code="application_not_found")
    return view


def _page(
    request: Request,
    view: ApplicationView,
    *,
    wrong: dict[str, forms.Form] | None = None,
    typed: dict[str, forms.Form] | None = None,
) -> HttpResponse:
    wrong, typed = wrong or {}, typed or {}
    kept = {**typed, **wrong}
    values = standing.submitted_values(view)
    possible = [one for one in DEEDS if one.may in view.may]
    context = {
        "application": view,
        "deeds": [
            (one, kept.get(one.key) or one.form(view=view, prefix=one.key), one.key in kept)
            for one in possible
        ],
        "form": next(iter(wrong.values()), None),
        "sections": answering.sections(view.form, values, spare=0),
        "attachments": standing.attachments(view, values),
        "graph": standing.drawing(view),
        "step": view.round.graph.step(view.step),
        "step_ends_at": standing.step_ends_at(view),
        "timeline": selectors.timeline(actor=request.actor, application_id=view.id),
        "decision": view.decision,
        **_findings(view),
        **_organisation(view),
    }
    return render(request, "applications/desk_application.html", context, status=422 if wrong else 200)


def _findings(view: ApplicationView) -> dict[str, Any]:
    """The rules as they were found at submission, and as they are now; and whether the two differ."""
    now = calls.findings_for(view.round.id, view.organisation.id)
    assert view.last_submission is not None
    then = {one["key"]: one["state"] for one in view.last_submission.findings}
    return {
        "findings": [(one, then.get(one.key, "")) for one in now],
        "fit": eligibility.summary(now) if now else "met",
        "changed_since": [one for one in now if then.get(one.key, one.state) != one.state],
    }


def _organisation(view: ApplicationView) -> dict[str, Any]:
    """Who applies: their profile, their group, what it has received so far, and what they would have to add."""
    profile = identity.profile(view.organisation.id)
    group = identity.ownership_group(view.organisation.id)
    others = [one for key, one in identity.names_of(group).items() if key != view.organisation.id]
    received = programmes.support_of(group).values()
    granted = view.decision.granted_micro_won if view.decision else None
    programme = view.round.call.programme
    sum_ = granted or view.asked_micro_won or 0
    split = programmes.own_split(
        programme_id=programme.id, size_class=profile.size_class, micro_won=sum_, of_total=False
    )
    return {
        "profile": profile,
        "group": others,
        "support_micro_won": sum(micro_won for micro_won, _ in received),
        "support_here_micro_won": programmes.support_received(
            organisation_ids=group, programme_id=programme.id
        ),
        "open_awards": sum(running for _, running in received),
        "own_share_bp": programmes.own_contribution_bp(programme.id, profile.size_class),
        "split": split,
        "left_micro_won": view.round.budget_micro_won - selectors.granted_in_round(round_id=view.round.id),
    }
