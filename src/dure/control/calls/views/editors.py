"""Where the steps, the form and the rules of a call are put together. Everything works without script: each button
saves what was typed and does what it says; what cannot be saved is shown beside what was typed."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, pgettext
from django.views.decorators.http import require_GET

from dure.control.calls import (
    answering,
    comparing,
    eligibility,
    forms,
    meaning,
    paging,
    selectors,
    services,
    steps,
)
from dure.control.calls.editing import form_parts, rule_tree, step_list
from dure.control.calls.eligibility import ATTRIBUTES
from dure.control.calls.forms.fields import FILE_TYPES
from dure.control.calls.reading import Malformed, Mistake, in_language
from dure.control.calls.views.building import managed
from dure.control.foundation import clock
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError, Invalid, NotFound
from dure.control.foundation.http import Request
from dure.control.identity.guards import requires

__all__ = [
    "field",
    "fields",
    "preview",
    "requirement",
    "rules",
    "rules_check",
    "section",
    "steps_page",
    "versions",
]


def _save(save: Callable[[], Any]) -> tuple[tuple[Mistake, ...], str]:
    """(mistakes with their paths, another refusal); both empty when it was saved."""
    try:
        save()
    except Malformed as error:
        return error.mistakes, ""
    except DureError as error:
        if error.status in {403, 404}:
            raise
        return (), str(error)
    return (), ""


# -- steps --------------------------------------------------------------------------------------------


@requires(*OFFICERS)
def steps_page(request: Request, slug: str) -> HttpResponse:
    view = managed(request, slug)
    kept = selectors.draft(actor=request.actor, slug=slug).steps
    content: Any = steps.as_data(steps.parse(kept)) if kept and kept.get("steps") else {"steps": []}
    mistakes: tuple[Mistake, ...] = ()
    refusal = ""
    base = meaning.digest_of(kept)
    if request.method == "POST":
        content = step_list.typed(content, request.POST)
        mistakes, refusal = _save(
            lambda: services.save_steps(
                actor=request.actor, call_slug=slug, content=content, base=request.POST.get("base") or None
            )
        )
        if not mistakes and not refusal:
            if request.POST.get("do", "save") == "save":
                messages.success(request, gettext("Saved."))
            return redirect(_at(reverse("calls:steps", args=[slug]), request.POST.get("do", "")))
        base = request.POST.get("base", "")
    context = {
        "call": view,
        "base": base or "",
        "mistakes": mistakes,
        "refusal": refusal,
        "kinds": list(steps.KINDS.items()),
        **_steps_context(content, view, mistakes),
    }
    return render(request, "calls/steps.html", context, status=422 if mistakes or refusal else 200)


def _at(path: str, pressed: str) -> str:
    """Back to where the button was."""
    _action, _colon, key = pressed.partition(":")
    return f"{path}#at-{key}" if key and not pressed.startswith("remove") else path


def _steps_context(content: Any, view: selectors.CallView, mistakes: tuple[Mistake, ...]) -> dict[str, Any]:
    graph = None
    if not mistakes:
        graph = steps.parse(content) if content.get("steps") else None
    one = view.round
    times = {"opens_at": one.opens_at, "closes_at": one.closes_at} if one else {}
    problems = steps.problems(graph, **times) if graph else []
    named = [(item["key"], _step_title(item)) for item in content.get("steps", [])]
    listed = []
    for place, item in enumerate(content.get("steps", [])):
        ways = {edge.get("outcome"): edge.get("to") for edge in item.get("edges", [])}
        needed = steps.OUTCOMES[item["kind"]]
        listed.append(
            {
                **item,
                "number": place + 1,
                "name": f"s-{item['key']}",
                "kind_name": steps.kind_name(item["kind"]),
                "time": paging.days_text(item.get("days")) or step_list.local(item.get("closes_at")),
                "opens_local": step_list.local(item.get("opens_at")),
                "closes_local": step_list.local(item.get("closes_at")),
                "ways": [
                    (outcome, steps.outcome_name(outcome), outcome in needed, ways.get(outcome, ""))
                    for outcome in steps.outcomes_of(item["kind"])
                ],
                "mistakes": [
                    (_STEP_PARTS.get(_part(one.path), ""), one)
                    for one in mistakes
                    if one.path.startswith(f"steps[{place}]")
                ],
                "wrong": {_part(one.path) for one in mistakes if one.path.startswith(f"steps[{place}]")},
                "problems": [one for one in problems if one.step == item["key"]],
            }
        )
    return {
        "listed": listed,
        "named": named,
        "graph": paging.drawing(graph) if graph else None,
        "general": [one for one in problems if not one.step],
        "problem_count": len(problems),
    }


_STEP_PARTS = {
    "title": gettext_lazy("Name"),
    "days": gettext_lazy("Days"),
    "least_days": gettext_lazy("Days at least"),
    "law": gettext_lazy("By which law or rule"),
    "opens_at": gettext_lazy("or begins"),
    "closes_at": gettext_lazy("and ends"),
    "expiry_outcome": gettext_lazy("When the time is over"),
}


def _part(path: str) -> str:
    """`least_days` of `steps[3].least_days`."""
    return path.partition(".")[2].partition(".")[0].partition("[")[0]


def _step_title(item: dict[str, Any]) -> str:
    title = item.get("title") or {}
    both = (title.get("ko", ""), title.get("en", "")) if isinstance(title, dict) else (title, title)
    return in_language(*both) or steps.kind_name(item["kind"])


# -- form ---------------------------------------------------------------------------------------------


def _form_content(request: Request, slug: str) -> tuple[selectors.CallView, Any, str]:
    view = managed(request, slug)
    found = selectors.draft(actor=request.actor, slug=slug).form
    # In its full shape: both languages, conditions as a list.
    content = forms.as_data(forms.parse(found.content)) if found else {"sections": []}
    return view, content, found.digest if found else ""


def _save_form(request: Request, slug: str, content: Any) -> tuple[tuple[Mistake, ...], str]:
    base = request.POST.get("base")
    return _save(lambda: services.save_form(actor=request.actor, call_slug=slug, content=content, base=base))


@requires(*OFFICERS)
def fields(request: Request, slug: str) -> HttpResponse:
    """The form as a whole: sections and fields, moved, added and removed."""
    view, content, base = _form_content(request, slug)
    refusal = ""
    if request.method == "POST":
        made, added = form_parts.arranged(content, request.POST)
        mistakes, refusal = _save_form(request, slug, made)
        refusal = refusal or " ".join(f"{one.message} {one.remedy}".strip() for one in mistakes)
        if not refusal:
            if added:
                return redirect("calls:field", slug, added)
            return redirect(_at(reverse("calls:fields", args=[slug]), request.POST.get("do", "")))
    context = {
        "call": view,
        "base": base,
        "refusal": refusal,
        "form": forms.parse(content),
        "kinds": list(forms.KINDS.items()),
    }
    return render(request, "calls/fields.html", context, status=422 if refusal else 200)


@requires(*OFFICERS)
def section(request: Request, slug: str, key: str) -> HttpResponse:
    view, content, base = _form_content(request, slug)
    mistakes: tuple[Mistake, ...] = ()
    refusal = ""
    if request.method == "POST":
        content = form_parts.section_typed(content, key, request.POST)
        mistakes, refusal = _save_form(request, slug, content)
        if not mistakes and not refusal:
            messages.success(request, gettext("Saved."))
            return redirect(f"{reverse('calls:fields', args=[slug])}#at-{key}")
        base = request.POST.get("base", "")
    one = next((item for item in content["sections"] if item["key"] == key), None)
    if one is None:
        raise NotFound(code="section_not_found")
    context = {"call": view, "base": base, "section": one, "mistakes": mistakes, "refusal": refusal}
    return render(request, "calls/section.html", context, status=422 if mistakes or refusal else 200)


@requires(*OFFICERS)
def field(request: Request, slug: str, key: str) -> HttpResponse:
    view, content, base = _form_content(request, slug)
    mistakes: tuple[Mistake, ...] = ()
    refusal = ""
    if request.method == "POST":
        content = form_parts.field_typed(content, key, request.POST)
        mistakes, refusal = _save_form(request, slug, content)
        if not mistakes and not refusal:
            messages.success(request, gettext("Saved."))
            if "more" in request.POST:
                return redirect("calls:field", slug, key)
            return redirect(f"{reverse('calls:fields', args=[slug])}#at-{key}")
        base = request.POST.get("base", "")
    found = form_parts.find(content, key)
    if found is None:
        raise NotFound(code="field_not_found")
    context = {
        "call": view,
        "base": base,
        "mistakes": mistakes,
        "refusal": refusal,
        **_field_context(content, *found),
    }
    return render(request, "calls/field.html", context, status=422 if mistakes or refusal else 200)


def _field_context(content: Any, at: int, place: int) -> dict[str, Any]:
    one = content["sections"][at]["fields"][place]
    settings = form_parts.SETTINGS[one["kind"]]
    rows_name = next((name for name in ("options", "roles", "lines", "columns") if name in settings), "")
    rows = [
        {**row, "options_text": "\n".join(_option_line(option) for option in row.get("options", []))}
        for row in one.get(rows_name, [])
    ]
    when = one.get("when") or []
    when = [when] if isinstance(when, dict) else list(when)
    offered = form_parts.answers_offered(content, one["key"])
    return {
        "field": one,
        "kind_name": forms.kind_name(one["kind"]),
        "settings": settings,
        "rows_name": rows_name,
        "rows": rows + [{}] * form_parts.SPARE_ROWS,
        "column_kinds": [(kind, forms.kind_name(kind)) for kind in forms.COLUMN_KINDS],
        "file_types": FILE_TYPES,
        "megabytes": (one.get("most_bytes") or 0) // 1_048_576
        if isinstance(one.get("most_bytes"), int)
        else "",
        "section_key": content["sections"][at]["key"],
        "sections": [(item["key"], item["title"]) for item in content["sections"]],
        "conditions": [_condition_shown(item, offered) for item in [*when, {}][: form_parts.MOST_CONDITIONS]],
        "others": [
            (other["key"], other["label"])
            for item in content["sections"]
            for other in item["fields"]
            if other["key"] != one["key"]
        ],
        "comparisons": list(comparing.CONDITION_NAMES.items()),
    }


def _option_line(option: dict[str, Any]) -> str:
    label = option.get("label") or {}
    return f"{label.get('ko', '')} = {label.get('en', '')}" if isinstance(label, dict) else str(label)


def _condition_shown(
    condition: dict[str, Any], offered: list[tuple[str, Any, list[tuple[str, Any]]]]
) -> dict[str, Any]:
    """A condition with what its page needs: a list of choices for each value and one more, and the numbers as text.

    A choice is a list of (question, [(value, label, chosen)]); what is offered no more stays to be seen.
    """
    value = condition.get("value")
    many = value if isinstance(value, list) else [] if value in (None, "") else [value]
    texts = [("yes" if one else "no") if isinstance(one, bool) else str(one) for one in many]
    names = {"yes": pgettext("answer", "yes"), "no": pgettext("answer", "no")}
    known = {f"{key}={option}" for key, _label, options in offered for option, _name in options}
    chosen = []
    for text in [*texts, ""]:
        sent = text if "=" in text else f"{condition.get('field', '')}={text}"
        groups = [
            (
                key,
                label,
                [
                    (f"{key}={option}", name or names.get(option, option), f"{key}={option}" == sent)
                    for option, name in options
                ],
            )
            for key, label, options in offered
        ]
        chosen.append((groups, text if text and sent not in known else ""))
    is_number = condition.get("field") not in {key for key, _label, _options in offered}
    return {**condition, "number": ", ".join(texts) if is_number else "", "chosen": chosen}


@requires(*OFFICERS)
def preview(request: Request, slug: str) -> HttpResponse:
    """The form as applicants see it, with what a half-filled one would be told."""
    view, content, _base = _form_content(request, slug)
    form = forms.parse(content)
    answers = answering.read(form, request.POST) if request.method == "POST" else {}
    problems = forms.check(form, answers, complete=True) if request.method == "POST" else []
    context = {
        "call": view,
        "sections": answering.sections(form, answers, problems),
        "problems": problems,
        "tried": request.method == "POST",
        "progress": forms.progress(form, answers),
    }
    return render(request, "calls/preview.html", context)


@requires(*OFFICERS)
def versions(request: Request, slug: str) -> HttpResponse:
    """Versions of the form, the rules or the steps, and what differs between two of them."""
    part = request.GET.get("part", "")
    part = part if part in selectors.COMPARED else "form"
    names = {name: request.GET.get(name, "")[:80] for name in ("old", "new")}
    ask: Any = partial(selectors.comparison, actor=request.actor, slug=slug, part=part)
    try:
        found = ask(**names)
    except Invalid:
        found = ask()
    context = {
        "call": selectors.call(actor=request.actor, slug=slug),
        "part": part,
        "parts": [(one, paging.AREA_NAMES[one]) for one in selectors.COMPARED],
        "found": found,
        "changes": comparing.CHANGE_NAMES,
    }
    return render(request, "calls/versions.html", context)


# -- rules --------------------------------------------------------------------------------------------


def _rules_content(request: Request, slug: str) -> tuple[selectors.CallView, list[Any], str]:
    view = managed(request, slug)
    found = selectors.draft(actor=request.actor, slug=slug).rules
    content: list[Any] = eligibility.as_data(eligibility.parse(found.content)) if found else []
    return view, content, found.digest if found else ""


def _save_rules(request: Request, slug: str, content: Any) -> tuple[tuple[Mistake, ...], str]:
    base = request.POST.get("base")
    return _save(lambda: services.save_rules(actor=request.actor, call_slug=slug, content=content, base=base))


def _judged(request: Request, content: Any) -> dict[str, Any]:
    """What the rules come to: who clashes, what is superfluous, how many organisations would meet them. A page that is
    read has that number fetched after it, for every organisation is asked about; of what is typed it is said at once.
    """
    try:
        requirements = eligibility.parse(content)
    except Malformed as error:
        return {"mistakes": error.mistakes}
    today = clock.now().astimezone(clock.SEOUL).date()
    try:
        clashes = eligibility.clashes(requirements, today=today)
        spare = [] if clashes else eligibility.redundancies(requirements, today=today)
    except eligibility.TooEntangled as error:
        return {"too_entangled": str(error), "requirements": requirements}
    return {
        "requirements": requirements,
        "clashes": clashes,
        "redundancies": spare,
        "matching": None if request.method == "GET" else paging.matching(request.actor, requirements),
    }


@requires(*OFFICERS)
@require_GET
def matching(request: Request, slug: str) -> HttpResponse:
    """How many organisations the call's newest rules would fit; a page of its own for who reads without script."""
    view, content, _base = _rules_content(request, slug)
    found = paging.matching(request.actor, eligibility.parse(content))
    template = "calls/_matching.html" if request.htmx else "calls/matching.html"
    return render(request, template, {"call": view, "matching": found})


@requires(*OFFICERS)
def rules(request: Request, slug: str) -> HttpResponse:
    view, content, base = _rules_content(request, slug)
    refusal = ""
    if request.method == "POST":
        made, added = rule_tree.arranged(content, request.POST)
        mistakes, refusal = _save_rules(request, slug, made)
        refusal = refusal or " ".join(f"{one.message} {one.remedy}".strip() for one in mistakes)
        if not refusal:
            if added:
                return redirect("calls:requirement", slug, added)
            return redirect(_at(reverse("calls:rules", args=[slug]), request.POST.get("do", "")))
    judged = _judged(request, content)
    context = {
        "call": view,
        "base": base,
        "refusal": refusal,
        "commons": list(paging.COMMON_RULES.items()),
        "judged": judged,
        "requirements": judged.get("requirements", ()),
    }
    return render(request, "calls/rules.html", context, status=422 if refusal else 200)


@requires(*OFFICERS)
def requirement(request: Request, slug: str, key: str) -> HttpResponse:
    view, content, base = _rules_content(request, slug)
    mistakes: tuple[Mistake, ...] = ()
    refusal = ""
    if request.method == "POST":
        content = rule_tree.typed(content, key, request.POST)
        # A button inside the tree rearranges what is on the page; only saving keeps it.
        if request.POST.get("do", "save") == "save":
            mistakes, refusal = _save_rules(request, slug, content)
            if not mistakes and not refusal:
                messages.success(request, gettext("Saved."))
                return redirect(f"{reverse('calls:rules', args=[slug])}#at-{key}")
        base = request.POST.get("base", "")
    one = next((item for item in content if item["key"] == key), None)
    if one is None:
        raise NotFound(code="requirement_not_found")
    context = {
        "call": view,
        "base": base,
        "one": one,
        "node": rule_tree.tree(one["rule"]),
        "attributes": list(ATTRIBUTES.values()),
        "mistakes": mistakes,
        "refusal": refusal,
        "judged": _judged(request, content),
    }
    return render(request, "calls/requirement.html", context, status=422 if mistakes or refusal else 200)


@requires(*OFFICERS)
def rules_check(request: Request, slug: str, key: str) -> HttpResponse:
    """What the rules would come to with this requirement as it stands on the page; nothing is kept."""
    view, content, _base = _rules_content(request, slug)
    content = rule_tree.typed(content, key, request.POST)
    return render(request, "calls/_judged.html", {"call": view, "judged": _judged(request, content)})
