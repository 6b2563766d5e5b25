"""Where officers put a call together: begin, overview with what is missing, texts, files, end."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from dure.control.calls import page_forms, paging, selectors, services, shipped
from dure.control.calls.page_forms import tell
from dure.control.calls.problems import PublicationProblem
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity.guards import requires
from dure.control.programmes import selectors as programmes

AREAS = ("texts", "dates", "money", "automatic", "rules", "form", "steps")


def managed(request: Request, slug: str) -> selectors.CallView:
    """The call, for its officers; for others it has no pages of this kind."""
    view = selectors.call(actor=request.actor, slug=slug)
    if not view.may_manage:
        raise NotFound(code="call_not_found")
    return view


def _programme_choices(request: Request) -> list[tuple[str, str]]:
    return [(one.slug, one.name) for one in programmes.programme_choices(actor=request.actor)]


@requires(*OFFICERS)
def new(request: Request) -> HttpResponse:
    """What a call may begin from."""
    mine = selectors.calls(actor=request.actor, mine=True, order="newest", page_size=10)
    context = {
        "templates": [
            (one, len(list(one.form.fields)), len(one.requirements)) for one in shipped.templates()
        ],
        "mine": [line for line in mine.items if line.phase != "draft"],
    }
    return render(request, "calls/new.html", context)


@requires(*OFFICERS)
def begin(request: Request, template: str) -> HttpResponse:
    """A new call from a template, or `empty`."""
    chosen = shipped.template(template) if template != "empty" else None
    choices = _programme_choices(request)
    form = page_forms.BeginForm(request.POST or None, programmes=choices, template=chosen)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            made = _begin(request, chosen, values)
        except DureError as error:
            tell(form, error)
        else:
            messages.success(
                request, gettext("The call is begun. Nobody but officers sees it before it is published.")
            )
            return redirect("calls:build", made.slug)
    context = {"form": form, "template": chosen, "no_programme": not choices}
    return render(request, "calls/begin.html", context, status=422 if form.is_bound else 200)


def _begin(request: Request, chosen: shipped.Template | None, values: dict[str, Any]) -> selectors.CallView:
    if chosen is not None:
        return services.add_from_template(
            actor=request.actor,
            template_key=chosen.name,
            slug=values["slug"],
            programme_slug=values["programme"],
            name_ko=values["name_ko"],
            name_en=values["name_en"],
        )
    return services.add_call(
        actor=request.actor,
        slug=values["slug"],
        programme_slug=values["programme"],
        kind=values["kind"],
        name_ko=values["name_ko"],
        name_en=values["name_en"],
    )


def _next_slug(slug: str) -> str:
    """`api-2028` after `api-2027`; where there is no year, `…-next`."""
    later = re.sub(r"(?<![0-9])(20[0-9]{2})(?![0-9])", lambda found: str(int(found[1]) + 1), slug)
    return later if later != slug else f"{slug[:58]}-next"


@requires(*OFFICERS)
def copy(request: Request, slug: str) -> HttpResponse:
    source = managed(request, slug)
    initial = {
        "slug": _next_slug(source.slug),
        "name_ko": source.name_ko,
        "name_en": source.name_en,
        "programme": source.programme.slug,
    }
    form = page_forms.CopyForm(request.POST or None, programmes=_programme_choices(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        # A name that was left as it is takes the year with it.
        names = {
            name: values[name] if values[name] != initial[name] else None for name in ("name_ko", "name_en")
        }
        try:
            made = services.copy_call(
                actor=request.actor,
                slug=slug,
                new_slug=values["slug"],
                programme_slug=values["programme"],
                years=values["years"],
                **names,
            )
        except DureError as error:
            if error.field == "new_slug":
                error.field = "slug"
            tell(form, error)
        else:
            messages.success(
                request,
                gettext("The call was copied. Look through its texts, dates and sums before you publish it."),
            )
            return redirect("calls:build", made.slug)
    return render(
        request, "calls/copy.html", {"call": source, "form": form}, status=422 if form.is_bound else 200
    )


@requires(*OFFICERS)
def build(request: Request, slug: str) -> HttpResponse:
    view = managed(request, slug)
    draft = selectors.draft(actor=request.actor, slug=slug)
    drafts = [one for one in view.rounds if one.state == "draft" and one.call.state in {"draft", "published"}]
    found = services.problems_by_round(actor=request.actor, draft=draft) if drafts else {}
    rounds = [(one, _checklist(one, found[one.id]) if one in drafts else None) for one in view.rounds]
    waiting = _expired(request, [one for one in view.rounds if one.state == "published"])
    context = {
        "call": view,
        "draft": draft,
        "rounds": rounds,
        "waiting": waiting,
        "field_count": len(list(view.round.form.fields)) if view.round else 0,
        "rule_count": len(view.round.requirements) if view.round else 0,
        "step_count": len(view.round.graph.steps) if view.round else 0,
        "timeline": selectors.timeline(actor=request.actor, slug=slug, limit=20),
        "editable": view.state in {"draft", "published"},
    }
    return render(request, "calls/build.html", context)


def _expired(
    request: Request, rounds: Sequence[selectors.RoundView]
) -> list[tuple[selectors.RoundView, selectors.StepView, str]]:
    found = selectors.timed_steps_of(rounds, actor=request.actor) if rounds else {}
    titles = {one.id: {step.key: step.title for step in one.graph.steps} for one in rounds}
    return [
        (one, step, titles[one.id].get(step.key, step.key))
        for one in rounds
        for step in found[one.id]
        if step.state == "expired"
    ]


def _checklist(one: selectors.RoundView, found: Sequence[PublicationProblem]) -> dict[str, Any]:
    """What stands in the way of publishing a draft round, by area."""
    areas = [(area, [problem for problem in found if problem.area == area]) for area in AREAS]
    return {
        "areas": [
            (area, paging.AREA_NAMES[area], paging.area_path(area, one), problems)
            for area, problems in areas
            if area != "automatic" or problems or one.automatic
        ],
        "stopping": sum(problem.severity == "problem" for problem in found),
        "warnings": sum(problem.severity != "problem" for problem in found),
    }


@requires(*OFFICERS)
def details(request: Request, slug: str) -> HttpResponse:
    view = managed(request, slug)
    names = ("name_ko", "name_en", "summary_ko", "summary_en", "text_ko", "text_en")
    form = page_forms.DetailsForm(
        request.POST or None,
        initial={name: getattr(view, name) for name in names},
        published=view.state != "draft",
        needs_review=view.needs_review,
    )
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            services.change_call(
                actor=request.actor,
                slug=slug,
                reason=values.get("reason", ""),
                reviewed=values.get("reviewed"),
                **{name: values[name] for name in names},
            )
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("Saved."))
            return redirect("calls:build", slug)
    return render(
        request, "calls/details.html", {"call": view, "form": form}, status=422 if form.is_bound else 200
    )


@requires(*OFFICERS)
def files(request: Request, slug: str) -> HttpResponse:
    view = managed(request, slug)
    published = view.state != "draft"
    adding = "remove" not in request.POST
    form = page_forms.FileForm(
        request.POST if request.POST and adding else None, request.FILES or None, published=published
    )
    problem = ""
    if request.method == "POST":
        try:
            if not adding:
                _remove_file(request)
                return redirect("calls:files", slug)
            if form.is_valid():
                upload = form.cleaned_data.pop("file")
                services.add_attachment(
                    actor=request.actor,
                    call_slug=slug,
                    stream=upload.file,
                    name=upload.name,
                    **form.cleaned_data,
                )
                messages.success(request, gettext("The file is kept with the call."))
                return redirect("calls:files", slug)
        except DureError as error:
            if adding:
                tell(form, error)
            else:
                problem = str(error)
    bad = problem or form.is_bound
    context = {"call": view, "form": form, "problem": problem, "published": published}
    return render(request, "calls/files.html", context, status=422 if bad else 200)


def _remove_file(request: Request) -> None:
    try:
        wanted = UUID(request.POST.get("remove", ""))
    except ValueError:
        raise NotFound(code="attachment_not_found") from None
    services.remove_attachment(
        actor=request.actor, attachment_id=wanted, reason=request.POST.get("reason", "")
    )
    messages.success(request, gettext("The file was taken away."))


@requires(*OFFICERS)
def cancel(request: Request, slug: str) -> HttpResponse:
    view = managed(request, slug)
    form = page_forms.ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.cancel_call(actor=request.actor, slug=slug, reason=form.cleaned_data["reason"])
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("The call is cancelled. Its page says why."))
            return redirect("calls:build", slug)
    context = {"call": view, "form": form, "rounds": [one for one in view.rounds if one.state == "published"]}
    return render(request, "calls/cancel.html", context, status=422 if form.is_bound else 200)


@requires(*OFFICERS)
def discard(request: Request, slug: str) -> HttpResponse:
    view = managed(request, slug)
    if request.method == "POST":
        services.discard_call(actor=request.actor, slug=slug)
        messages.success(request, gettext("The draft was thrown away."))
        return redirect("calls:calls")
    return render(request, "calls/discard.html", {"call": view})


@requires(*OFFICERS)
@require_POST
def settle_step(request: Request, slug: str, round_id: UUID) -> HttpResponse:
    """Say what was done about a step whose time is over."""
    managed(request, slug)
    try:
        services.settle_step(
            actor=request.actor,
            round_id=round_id,
            step_key=request.POST.get("step", "")[:63],
            reason=request.POST.get("reason", ""),
        )
    except DureError as error:
        if error.status in {403, 404}:
            raise
        messages.error(request, str(error))
    return redirect("calls:build", slug)
