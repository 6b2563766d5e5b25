"""Where an application is written: one section a page, each answer saved as soon as it is left.

Without script the page's own button saves; with it `writing.js` sends one question at a time and brings in what
others wrote meanwhile. Both end in the same service, which merges and never loses a word.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, JsonResponse, QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dure.control.applications import selectors, services
from dure.control.applications.pages import slots
from dure.control.applications.selectors import ApplicationView
from dure.control.applications.timing import waited
from dure.control.calls import answering
from dure.control.calls.forms import Form
from dure.control.foundation import clock
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.http import Request, whole_number
from dure.control.foundation.templatetags.dure_format import won
from dure.control.identity.guards import signed_in

_MOST_BASE = 400_000


@signed_in
@never_cache
def write(request: Request, application_id: UUID) -> HttpResponse:
    """One section to be written; a POST saves it, files included, and goes where its button says."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if "write" not in view.may:
        if request.method == "POST":
            raise Forbidden
        return redirect("applications:application", application_id)
    section = _section(view.form, request.GET.get("section", ""))
    if request.method != "POST":
        return _page(request, view, section, complete="check" in request.GET)
    typed = answering.read(view.form, request.POST)
    refusals = _save_typed(request, view, typed)
    refusals |= _change_files(request, view)
    if refusals:
        return _page(
            request,
            selectors.application(actor=request.actor, application_id=application_id),
            section,
            typed,
            refusals,
        )
    return _onwards(request, view, section)


def _section(form: Form, key: str) -> str:
    keys = [one.key for one in form.sections]
    return key if key in keys else (keys or [""])[0]


def _save_typed(request: Request, view: ApplicationView, typed: Mapping[str, Any]) -> dict[str, DureError]:
    """Save each question by itself, so that one that is refused holds up no other."""
    refusals: dict[str, DureError] = {}
    stands = {one.field: one for one in view.answers}
    opened = slots.open_fields(view)
    for key, value in typed.items():
        if key not in opened or (key not in stands and value in (None, "", [], False)):
            continue
        if request.POST.get("take") == key:
            continue
        version = whole_number(request.POST.get(f"f-{key}-version", ""), most=2_000_000_000) or 0
        try:
            services.save_answer(
                actor=request.actor,
                application_id=view.id,
                field=key,
                value=value,
                base_version=version,
                waited=waited(request),
            )
        except DureError as error:
            refusals[key] = error
    return refusals


def _change_files(request: Request, view: ApplicationView) -> dict[str, DureError]:
    refusals: dict[str, DureError] = {}
    try:
        _detach(request, view)
    except DureError as error:
        refusals[request.POST.get("detach", "").partition(":")[0]] = error
    for one in view.form.fields:
        for upload in request.FILES.getlist(f"f-{one.key}"):
            try:
                _attach(request, view.id, one.key, upload)
            except DureError as error:
                refusals[one.key] = error
    return refusals


def _detach(request: Request, view: ApplicationView) -> None:
    field, _colon, sha256 = request.POST.get("detach", "").partition(":")
    for one in view.attachments:
        if sha256 and one.field == field and one.sha256 == sha256:
            services.detach(actor=request.actor, application_id=view.id, attachment_id=one.id)


def _attach(request: Request, application_id: UUID, field: str, upload: "UploadedFile[Any]") -> None:
    services.attach(
        actor=request.actor,
        application_id=application_id,
        field=field,
        stream=cast("BinaryIO", upload.file),
        name=upload.name or "",
        waited=waited(request),
    )


def _onwards(request: Request, view: ApplicationView, section: str) -> HttpResponse:
    go = request.POST.get("go", "")
    if go == "check":
        return redirect("applications:check", view.id)
    keys = [one.key for one in view.form.sections]
    if go == "next":
        place = keys.index(section) + 1
        if place >= len(keys):
            return redirect("applications:check", view.id)
        section = keys[place]
    messages.success(request, gettext("Saved at %(time)s.") % {"time": _now()})
    return redirect(f"{reverse('applications:write', args=[view.id])}?section={section}")


def _now() -> str:
    return f"{clock.now().astimezone(clock.SEOUL):%H:%M:%S}"


def _page(
    request: Request,
    view: ApplicationView,
    section: str,
    typed: Mapping[str, Any] | None = None,
    refusals: Mapping[str, DureError] | None = None,
    *,
    complete: bool = False,
) -> HttpResponse:
    keys = [one.key for one in view.form.sections]
    part = next((one for one in view.form.sections if one.key == section), None)
    last = max(view.answers, key=lambda one: one.updated_at, default=None)
    context = {
        "application": view,
        "part": part,
        "place": keys.index(section) + 1 if section else 0,
        "parts": len(keys),
        "last_part": not keys or section == keys[-1],
        "slots": slots.slots(view, section, typed=typed, refusals=refusals, complete=complete),
        "navigation": slots.navigation(view, section),
        "refusals": [(view.form.field(key), error) for key, error in (refusals or {}).items()],
        "deadline": view.request.due_at if view.request else view.deadline,
        "last": last,
        "detach_url": f"{reverse('applications:write', args=[view.id])}?section={section}",
        "checking": complete,
    }
    return render(request, "applications/write.html", context, status=422 if refusals else 200)


# -- what the script asks ------------------------------------------------------------------------------


def _refused(error: DureError, **more: Any) -> JsonResponse:
    return JsonResponse({"error": error.as_dict(), **more}, status=error.status)


def _slot_html(request: Request, view: ApplicationView, keys: list[str]) -> dict[str, str]:
    return {
        slot.asked.field.key: render_to_string(
            "applications/_slot.html",
            {
                "slot": slot,
                "application": view,
                "detach_url": f"{reverse('applications:write', args=[view.id])}?section={_section_of(view.form, slot.asked.field.key)}",
            },
            request=request,
        )
        for slot in slots.slots(view, "", only=keys)
    }


def _section_of(form: Form, key: str) -> str:
    return next((one.key for one in form.sections if any(field.key == key for field in one.fields)), "")


def _standing(request: Request, view: ApplicationView, field: str) -> dict[str, Any]:
    """What every answer to the script has: how far the application is, and what is shown."""
    asked = answering.question(view.form, field, view.values)
    found = slots.slots(view, "", only=[field])
    return {
        "at": _now(),
        "marks": {slot.asked.field.key: slot.mark for slot in found},
        "version": found[0].version if found else 0,
        "problems": render_to_string("applications/_problems.html", {"one": found[0].asked}) if found else "",
        "shown": [
            one.field.key
            for part in answering.sections(view.form, view.values)
            for one in part.questions
            if one.shown
        ],
        "navigation": render_to_string(
            "applications/_navigation.html",
            {"navigation": slots.navigation(view, _section_of(view.form, field)), "application": view},
            request=request,
        ),
        "total": won(view.asked_micro_won or 0),
        "kind": asked.field.kind if asked else "",
    }


@signed_in
@require_POST
def save(request: Request, application_id: UUID) -> HttpResponse:
    """Save one question: its inputs, `version` that the writer began from, and `base`, the inputs as they were then."""
    form = selectors.form_for(actor=request.actor, application_id=application_id)
    key = request.POST.get("field", "")[:80]
    one = form.field(key)
    value = answering.read_one(one, request.POST) if one else None
    base = request.POST.get("base")
    bases = {}
    if one is not None and base is not None and len(base) <= _MOST_BASE:
        bases[key] = answering.read_one(one, QueryDict(base))
    try:
        saved = services.save_answer(
            actor=request.actor,
            application_id=application_id,
            field=key,
            value=value,
            base_version=whole_number(request.POST.get("version", ""), most=2_000_000_000) or 0,
            waited=waited(request),
            bases=bases,
        )
    except DureError as error:
        if error.code != "answer_changed_meanwhile":
            return _refused(error)
        view = selectors.application(actor=request.actor, application_id=application_id)
        stands = answering.question(view.form, key, view.values)
        theirs = render_to_string(
            "applications/_theirs.html", {"one": stands, "refusal": error}, request=request
        )
        return _refused(error, theirs=theirs, slot=_slot_html(request, view, [key]).get(key, ""))
    view = selectors.application(actor=request.actor, application_id=application_id)
    answer = {
        "saved": True,
        "merged": saved.merged,
        "conflict": saved.conflict,
        **_standing(request, view, key),
    }
    if saved.merged:
        answer["slot"] = _slot_html(request, view, [key]).get(key, "")
    return JsonResponse(answer)


@signed_in
@require_GET
@never_cache
def pulse(request: Request, application_id: UUID) -> HttpResponse:
    """What the open page asks every few seconds: the mark of each field, and whether writing is still open."""
    found = selectors.pulse(actor=request.actor, application_id=application_id)
    return JsonResponse(
        {
            "state": found.state,
            "step": found.step,
            "deadline": found.deadline.isoformat() if found.deadline else "",
            "marks": found.marks,
            # Who signed in again in another window goes on here with the new token.
            "csrf": get_token(request),
        }
    )


@signed_in
@require_GET
@never_cache
def fields(request: Request, application_id: UUID) -> HttpResponse:
    """Questions as they stand now (`?f=` each), for those that others changed."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if "write" not in view.may:
        raise NotFound(code="application_not_found")
    keys = request.GET.getlist("f")[:100]
    found = slots.slots(view, "", only=keys)
    return JsonResponse(
        {
            "slots": _slot_html(request, view, keys),
            "marks": {slot.asked.field.key: slot.mark for slot in found},
            "by": {slot.asked.field.key: slot.by_name for slot in found},
            **{
                name: value
                for name, value in _standing(request, view, keys[0] if keys else "").items()
                if name in {"at", "shown", "navigation", "total"}
            },
        }
    )


@signed_in
@require_POST
def attach(request: Request, application_id: UUID) -> HttpResponse:
    """One file into a field (`field`, `file`)."""
    form = selectors.form_for(actor=request.actor, application_id=application_id)
    field, upload = request.POST.get("field", "")[:80], request.FILES.get("file")
    if form.field(field) is None or not isinstance(upload, UploadedFile):
        return _refused(NotFound(code="file_missing"))
    try:
        _attach(request, application_id, field, upload)
    except DureError as error:
        return _refused(error)
    view = selectors.application(actor=request.actor, application_id=application_id)
    return JsonResponse(
        {**_standing(request, view, field), "slot": _slot_html(request, view, [field]).get(field, "")}
    )


@signed_in
@never_cache
def history(request: Request, application_id: UUID, field: str) -> HttpResponse:
    """Every state that a field has had, and the way back to one; what stands now stays in the history."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    found = selectors.revisions(actor=request.actor, application_id=application_id, field=field)
    one = view.form.field(field)
    if one is None:
        raise NotFound(code="field_unknown")
    section = f"{reverse('applications:write', args=[view.id])}?section={_section_of(view.form, field)}#f-{field}-line"
    if request.method == "POST":
        version = whole_number(request.POST.get("version", ""))
        chosen = next((revision for revision in found if revision.version == version), None)
        if chosen is None:
            raise NotFound(code="revision_not_found")
        services.save_answer(
            actor=request.actor,
            application_id=application_id,
            field=field,
            value=chosen.value,
            base_version=found[0].version,
            waited=waited(request),
        )
        messages.success(request, gettext("Put back as it was before."))
        return redirect(section)
    context = {
        "application": view,
        "field": one,
        "section_url": section,
        "revisions": [
            (revision, answering.question(view.form, field, {**view.values, field: revision.value}))
            for revision in found
        ],
        "may_write": "write" in view.may and field in slots.open_fields(view),
    }
    return render(request, "applications/history.html", context)
