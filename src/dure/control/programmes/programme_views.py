"""Pages of programmes and sources: what everybody may know of them, and what officers do with them.

An officer's deed that moves money is said back in figures first. The page that says it back carries what was typed, and an
id drawn there, so that a second click does the deed once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext, pgettext

from dure.contracts.ids import uuid7
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import exports
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError, Forbidden
from dure.control.foundation.http import Request, whole_number
from dure.control.foundation.money import format_won
from dure.control.identity.guards import public, requires
from dure.control.programmes import programme_forms as typed
from dure.control.programmes import programme_tables, selectors, services
from dure.control.programmes.own_share import OwnShareRule, on_top
from dure.control.programmes.units import KRW
from dure.control.programmes.workflow import PROGRAMME_STATES

_LAST_PAGE = 100_000


@public
def programmes(request: Request) -> HttpResponse:
    search, state = request.GET.get("q", "").strip()[:100], request.GET.get("state", "")
    state = state if state in PROGRAMME_STATES else ""
    if kind := exports.asked(request):
        return programme_tables.programmes(kind, actor=request.actor, search=search, state=state)
    page = whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1
    found = selectors.programme_page(actor=request.actor, search=search, state=state, page=page)
    context = {
        "programmes": found.items,
        "total": found.total,
        "page": Paginator(range(found.total), found.page_size).get_page(found.page),
        "search": search,
        "state": state,
        "states": PROGRAMME_STATES,
        "may_found": request.actor.has("officer"),
    }
    return render(request, "programmes/programmes.html", context)


@public
def programme(request: Request, slug: str) -> HttpResponse:
    view = selectors.programme(actor=request.actor, slug=slug)
    context: dict[str, Any] = {
        "programme": view,
        "money": selectors.money_of_programme(programme_id=view.id),
        "lines": selectors.budget_lines(programme_id=view.id),
        "own": selectors.own_contribution(programme_id=view.id),
        "sizes": typed.SIZE_NAMES,
        "due_names": typed.DUE_NAMES,
        "use": selectors.eligible_use(programme_id=view.id),
        "appropriations": selectors.appropriations(actor=request.actor, slug=slug)[:20],
        "may": selectors.may_grant(actor=request.actor, slug=slug),
    }
    context["other_units"] = any(one.unit != KRW for one in (*context["money"], *context["lines"]))
    return render(request, "programmes/programme.html", context)


@public
def sources(request: Request) -> HttpResponse:
    search = request.GET.get("q", "").strip()[:100]
    if kind := exports.asked(request):
        return programme_tables.sources(kind, search=search)
    found = selectors.sources(search=search)
    page = Paginator(found, 20).get_page(request.GET.get("page"))
    context = {
        "sources": page.object_list,
        "page": page,
        "total": len(found),
        "search": search,
        "kinds": typed.SOURCE_KIND_NAMES,
        "may_add": request.actor.has("officer"),
    }
    return render(request, "programmes/sources.html", context)


@public
def source(request: Request, slug: str) -> HttpResponse:
    view = selectors.source(slug=slug)
    money = selectors.money_of_source(source_id=view.id)
    context = {
        "source": view,
        "kind": typed.SOURCE_KIND_NAMES[view.kind],
        "money": money,
        "other_units": any(one.unit != KRW for one in money),
    }
    return render(request, "programmes/source.html", context)


@dataclass(frozen=True, slots=True)
class Deed:
    """A form that leads to one deed. `said_back` are the sentence and the facts to confirm (None: no confirmation)."""

    title: str
    lead: str
    submit: str
    back_to: str
    do: Callable[[UUID], HttpResponse]
    said_back: Callable[[], tuple[str, list[tuple[str, str]]]] | None = None
    kicker: str = ""
    template: str = "programmes/form.html"


def _run(request: Request, form: forms.Form, deed: Deed) -> HttpResponse:
    """The form, what it comes to, and the deed: three steps with the same address and without script."""
    step = request.POST.get("step", "")
    if request.method == "POST" and form.is_valid() and step != "back":
        try:
            if deed.said_back is not None and step != "confirmed":
                return _say_back(request, deed)
            return deed.do(_drawn(request))
        except DureError as error:
            if error.status in {403, 404} and error.field is None:
                raise
            form.add_error(error.field if error.field in form.fields else None, str(error))
    status = 422 if form.is_bound and form.errors else 200
    return render(request, deed.template, {"form": form, "deed": deed}, status=status)


def _say_back(request: Request, deed: Deed) -> HttpResponse:
    assert deed.said_back is not None
    sentence, facts = deed.said_back()
    typed_in = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in {"csrfmiddlewaretoken", "step", "request_id"}
        for value in values
    ]
    context = {
        "deed": deed,
        "sentence": sentence,
        "facts": facts,
        "typed_in": [*typed_in, ("request_id", str(uuid7()))],
    }
    return render(request, "programmes/confirm.html", context)


def _drawn(request: Request) -> UUID:
    try:
        return UUID(request.POST.get("request_id", ""))
    except ValueError:
        return uuid7()


def _won(micro_won: int) -> str:
    return format_won(micro_won, get_language() or "ko")


def _source_names() -> dict[str, str]:
    return {one.slug: one.name for one in selectors.sources()}


def _mine(request: Request, slug: str) -> selectors.ProgrammeView:
    view = selectors.programme(actor=request.actor, slug=slug)
    if not selectors.may_grant(actor=request.actor, slug=slug):
        raise Forbidden
    return view


def _to(view: selectors.ProgrammeView, text: str, request: Request) -> HttpResponse:
    messages.success(request, text)
    return redirect("programmes:programme", view.slug)


@requires("officer")
def found_programme(request: Request) -> HttpResponse:
    form = typed.ProgrammeForm(request.POST or None, sources=_source_names())

    def do(drawn: UUID) -> HttpResponse:
        data = form.cleaned_data
        added = services.add_programme(
            actor=request.actor,
            slug=data["slug"],
            name_ko=data["name_ko"],
            name_en=data["name_en"],
            krw_micro_won=data["krw"],
            source_slug=data["source"] or None,
            request_id=drawn,
        )
        return _to(added.programme, gettext("The programme is founded."), request)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        data = form.cleaned_data
        sentence = gettext("You found “%(name)s” and appropriate %(sum)s.") % {
            "name": data["name_ko"],
            "sum": _won(data["krw"]),
        }
        own = gettext("my agency's own budget")
        return sentence, [
            (gettext("Short name"), data["slug"]),
            (gettext("Source"), _source_names().get(data["source"], own)),
        ]

    return _run(
        request,
        form,
        Deed(
            title=gettext("Found a programme"),
            lead=gettext(
                "A programme keeps a book of its own on the ledger, and grants what was put into it."
            ),
            submit=gettext("Check the figures"),
            back_to="/programmes/",
            do=do,
            said_back=said_back,
        ),
    )


@requires("officer")
def add_source(request: Request) -> HttpResponse:
    form = typed.SourceForm(request.POST or None)

    def do(_drawn_id: UUID) -> HttpResponse:
        made = services.add_source(actor=request.actor, **form.cleaned_data)
        messages.success(request, gettext("The source is added. Money can be appropriated from it."))
        return redirect("programmes:source", made.slug)

    return _run(
        request,
        form,
        Deed(
            title=gettext("Add a source"),
            lead=gettext("A source is whose money it is: a line of a ministry's budget, or a fund."),
            submit=gettext("Add the source"),
            back_to="/sources/",
            do=do,
        ),
    )


@requires(*OFFICERS)
def appropriate(request: Request, slug: str) -> HttpResponse:
    view = _mine(request, slug)
    form = typed.AppropriationForm(request.POST or None, sources=_source_names())

    def amount() -> int:
        # Typed as won are: whole numbers with separators.
        micro_won: int = form.cleaned_data["amount"]
        return micro_won if form.cleaned_data["unit"] == KRW else micro_won // MICRO_WON_PER_WON

    def do(drawn: UUID) -> HttpResponse:
        data = form.cleaned_data
        services.appropriate(
            actor=request.actor,
            programme_slug=slug,
            amount=amount(),
            unit=data["unit"],
            source_slug=data["source"],
            memo=data["memo"],
            request_id=drawn,
        )
        return _to(view, gettext("The money is appropriated."), request)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        data = form.cleaned_data
        given = programme_tables.shown(amount(), data["unit"])
        sentence = gettext("You appropriate %(sum)s to “%(name)s”.") % {"sum": given, "name": view.name}
        facts = [(gettext("Source"), _source_names()[data["source"]])]
        if data["unit"] == KRW:
            left = view.left_to_grant_micro_won
            facts += [
                (gettext("Left to grant now"), _won(left)),
                (gettext("Left to grant afterwards"), _won(left + amount())),
            ]
        else:
            facts.append(
                (
                    gettext("Awards"),
                    gettext("are granted in won only; this amount is kept on record, ungranted"),
                )
            )
        return sentence, facts

    return _run(
        request,
        form,
        _deed_of(
            view,
            gettext("Appropriate"),
            gettext("Each source has an account of its own; what it gave is never mixed up with others'."),
            gettext("Check the figures"),
            do,
            said_back,
        ),
    )


@requires(*OFFICERS)
def pass_on(request: Request, slug: str) -> HttpResponse:
    view = _mine(request, slug)
    others = {
        one.slug: one.name for one in selectors.programme_choices(actor=request.actor) if one.slug != slug
    }
    money = {
        one.source.slug: one
        for one in selectors.money_of_programme(programme_id=view.id)
        if one.unit == KRW and one.left
    }
    names = {source_slug: f"{one.source.name} ({_won(one.left)})" for source_slug, one in money.items()}
    form = typed.PassOnForm(request.POST or None, programmes=others, sources=names)

    def do(drawn: UUID) -> HttpResponse:
        data = form.cleaned_data
        services.pass_on(
            actor=request.actor,
            from_slug=slug,
            to_slug=data["to"],
            source_slug=data["source"],
            amount=data["krw"],
            memo=data["memo"],
            request_id=drawn,
        )
        return _to(view, gettext("The money is passed on."), request)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        data = form.cleaned_data
        left = money[data["source"]].left
        sentence = gettext("You pass %(sum)s on from “%(name)s” to “%(other)s”.") % {
            "sum": _won(data["krw"]),
            "name": view.name,
            "other": others[data["to"]],
        }
        return sentence, [
            (gettext("Source"), money[data["source"]].source.name),
            (gettext("Left to grant now"), _won(left)),
            (gettext("Left to grant afterwards"), _won(left - data["krw"])),
        ]

    return _run(
        request,
        form,
        _deed_of(
            view,
            gettext("Pass money on"),
            gettext(
                "What a source gave and is not granted can go to another programme; the source stays the same."
            ),
            gettext("Check the figures"),
            do,
            said_back,
        ),
    )


@requires(*OFFICERS)
def budget_line(request: Request, slug: str, key: str = "") -> HttpResponse:
    view = _mine(request, slug)
    standing = next((one for one in selectors.budget_lines(programme_id=view.id) if one.key == key), None)
    initial = {}
    if standing is not None:
        ceiling = f"{standing.ceiling // MICRO_WON_PER_WON:,}"
        initial = {"name_ko": standing.name_ko, "name_en": standing.name_en, "key": key, "krw": ceiling}
    form = typed.LineForm(request.POST or None, initial=initial)

    def do(_drawn_id: UUID) -> HttpResponse:
        data = form.cleaned_data
        services.set_budget_line(
            actor=request.actor,
            programme_slug=slug,
            key=data["key"],
            name_ko=data["name_ko"],
            name_en=data["name_en"],
            ceiling=data["krw"],
        )
        return _to(view, gettext("The budget line holds."), request)

    return _run(
        request,
        form,
        _deed_of(
            view,
            gettext("Budget line"),
            gettext(
                "Awards are granted against a line, never beyond its ceiling. The same short name changes a line."
            ),
            gettext("Set the line"),
            do,
        ),
    )


@requires(*OFFICERS)
def own_contribution(request: Request, slug: str) -> HttpResponse:
    view = _mine(request, slug)
    standing = selectors.own_contribution(programme_id=view.id)
    form = typed.OwnContributionForm(request.POST or None, standing=standing)

    def do(_drawn_id: UUID) -> HttpResponse:
        services.set_own_contribution(
            actor=request.actor, programme_slug=slug, rules=form.rules(), due=form.cleaned_data["due"]
        )
        return _to(view, gettext("The own contributions hold for new awards."), request)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        public = 100_000_000 * MICRO_WON_PER_WON
        sentence = gettext("For an award of %(sum)s, these own contributions are asked.") % {
            "sum": _won(public)
        }
        rules = form.rules()
        return sentence, [
            (str(name), _won(on_top(public, rules.get(size, OwnShareRule())).own_micro_won))
            for size, name in typed.SIZE_NAMES.items()
        ]

    return _run(
        request,
        form,
        _deed_of(
            view,
            gettext("Own contributions"),
            gettext(
                "The share is of the whole sum, public money and own contribution together. It is rounded up to whole won."
                " Sizes left empty owe nothing."
            ),
            gettext("Check the figures"),
            do,
            said_back,
            template="programmes/own_contribution_form.html",
        ),
    )


@requires(*OFFICERS)
def eligible_use(request: Request, slug: str) -> HttpResponse:
    view = _mine(request, slug)
    standing = selectors.eligible_use(programme_id=view.id)
    initial = {
        "models": standing.models,
        "endpoints": standing.endpoints,
        "first_day": programme_tables.first_day(standing.valid_from),
        "last_day": programme_tables.last_day(standing.valid_until),
    }
    form = typed.UseForm(request.POST or None, initial=initial)

    def do(_drawn_id: UUID) -> HttpResponse:
        data = form.cleaned_data
        services.set_eligible_use(
            actor=request.actor,
            programme_slug=slug,
            models=data["models"],
            endpoints=data["endpoints"],
            valid_from=typed.first_moment(data["first_day"]),
            valid_until=typed.last_moment(data["last_day"]),
        )
        return _to(view, gettext("It holds for new awards."), request)

    return _run(
        request,
        form,
        _deed_of(
            view,
            gettext("What the money may be used for"),
            gettext("New awards take their limits from here; awards that were granted before keep theirs."),
            gettext("Set what may be used"),
            do,
        ),
    )


@requires(*OFFICERS)
def grant(request: Request, slug: str) -> HttpResponse:
    view = _mine(request, slug)
    lines = {
        one.key: f"{one.name} ({_won(one.left)})"
        for one in selectors.budget_lines(programme_id=view.id)
        if one.unit == KRW
    }
    names = {
        one.source.slug: f"{one.source.name} ({_won(one.left)})"
        for one in selectors.money_of_programme(programme_id=view.id)
        if one.unit == KRW
    }
    form = typed.GrantForm(request.POST or None, lines=lines, sources=names)

    def do(drawn: UUID) -> HttpResponse:
        granted = services.grant_award(
            actor=request.actor, programme_slug=slug, request_id=drawn, **_asked(form)
        )
        messages.success(request, gettext("The award is granted."))
        return redirect("programmes:award", granted.award.id)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        would = services.preview_award(actor=request.actor, programme_slug=slug, **_asked(form))
        sentence = gettext("You grant %(sum)s to “%(name)s”.") % {
            "sum": _won(would.public_micro_won),
            "name": would.organisation.name,
        }
        facts = [(gettext("Own contribution"), _won(would.own_micro_won))] if would.own_micro_won else []
        facts += [(one.name, _won(micro_won)) for one, micro_won in would.sources]
        if would.line is not None:
            facts.append(
                (would.line.name, gettext("%(sum)s left afterwards") % {"sum": _won(would.line_left)})
            )
        facts.append((gettext("Left to grant afterwards"), _won(would.left_micro_won)))
        return sentence, facts

    return _run(
        request,
        form,
        _deed_of(
            view,
            gettext("Grant an award"),
            gettext("An award by itself; what applicants are granted comes from a call's decision."),
            gettext("Check the figures"),
            do,
            said_back,
        ),
    )


def _asked(form: forms.Form) -> dict[str, Any]:
    data: Mapping[str, Any] = form.cleaned_data
    return {
        "organisation_slug": data["organisation"],
        "micro_won": data["krw"],
        "name": data["name_ko"] or data["name_en"],
        "name_en": data["name_en"] or None,
        "line": data.get("line") or None,
        "sources": [data["source"]] if data["source"] else None,
        "size_class": data["size_class"] or None,
        "valid_from": typed.first_moment(data["first_day"]),
        "valid_until": typed.last_moment(data["last_day"]),
    }


@requires(*OFFICERS)
def confirm_own_contribution(request: Request, award_id: UUID) -> HttpResponse:
    view = selectors.award(actor=request.actor, award_id=award_id)
    due = view.own_outstanding_micro_won
    form = typed.OwnPaymentForm(request.POST or None, initial={"krw": f"{due // MICRO_WON_PER_WON:,}"})

    def do(drawn: UUID) -> HttpResponse:
        services.confirm_own_contribution(
            actor=request.actor,
            award_id=award_id,
            micro_won=form.cleaned_data["krw"],
            memo=form.cleaned_data["memo"],
            request_id=drawn,
        )
        messages.success(request, gettext("The own contribution has joined the award."))
        return redirect("programmes:award", award_id)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        krw = form.cleaned_data["krw"]
        sentence = gettext("You confirm that %(sum)s has arrived from “%(name)s”.") % {
            "sum": _won(krw),
            "name": view.organisation.name,
        }
        return sentence, [
            (gettext("Outstanding now"), _won(due)),
            (gettext("Outstanding afterwards"), _won(due - krw)),
            (gettext("Left in the award afterwards"), _won(view.remaining_micro_won + krw)),
        ]

    return _run(
        request,
        form,
        Deed(
            title=gettext("Own contribution arrived"),
            lead=gettext("Confirm what has come in on the account. It joins the award at once."),
            submit=gettext("Check the figures"),
            back_to=f"/awards/{award_id}/",
            do=do,
            said_back=said_back,
            kicker=view.name,
        ),
    )


@requires(*OFFICERS)
def repaid_own_contribution(request: Request, award_id: UUID) -> HttpResponse:
    view = selectors.award(actor=request.actor, award_id=award_id)
    form = forms.Form(request.POST if request.method == "POST" else None)
    waiting = selectors.own_waiting(award_id)

    def do(_drawn_id: UUID) -> HttpResponse:
        services.confirm_own_contribution_repaid(actor=request.actor, award_id=award_id)
        messages.success(request, gettext("It is on the ledger that the rest was paid back."))
        return redirect("programmes:award", award_id)

    return _run(
        request,
        form,
        Deed(
            title=gettext("Rest of the own contribution paid back"),
            lead=gettext("You confirm that %(sum)s has been paid back to “%(name)s”.")
            % {"sum": _won(waiting), "name": view.organisation.name},
            submit=gettext("Confirm the payment"),
            back_to=f"/awards/{award_id}/",
            do=do,
            kicker=view.name,
        ),
    )


@requires(*OFFICERS)
def end_award(request: Request, award_id: UUID) -> HttpResponse:
    view = selectors.award(actor=request.actor, award_id=award_id)
    form = typed.EndForm(request.POST or None)

    def do(_drawn_id: UUID) -> HttpResponse:
        services.end_award(actor=request.actor, award_id=award_id, reason=form.cleaned_data["reason"])
        messages.success(request, gettext("The award has ended; what was left goes back."))
        return redirect("programmes:award", award_id)

    def said_back() -> tuple[str, list[tuple[str, str]]]:
        sentence = gettext("You end the award; about %(sum)s goes back.") % {
            "sum": _won(view.remaining_micro_won)
        }
        return sentence, [
            (gettext("Organisation"), view.organisation.name),
            (gettext("Reason"), form.cleaned_data["reason"]),
            (pgettext("award", "Keys"), gettext("stop within a second, for good")),
        ]

    return _run(
        request,
        form,
        Deed(
            title=gettext("End the award"),
            lead=gettext("Its keys stop within a second. What was not spent goes back to whom it came from."),
            submit=gettext("Check the figures"),
            back_to=f"/awards/{award_id}/",
            do=do,
            said_back=said_back,
            kicker=view.name,
        ),
    )


def _deed_of(
    view: selectors.ProgrammeView,
    title: str,
    lead: str,
    submit: str,
    do: Callable[[UUID], HttpResponse],
    said_back: Callable[[], tuple[str, list[tuple[str, str]]]] | None = None,
    *,
    template: str = "programmes/form.html",
) -> Deed:
    return Deed(title, lead, submit, f"/programmes/{view.slug}/", do, said_back, view.name, template)
