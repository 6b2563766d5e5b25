"""Where an application stands once it is handed in: its step, what happened, what was decided, and what can be done."""

import json
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from dure.control.applications import printing, selectors, services
from dure.control.applications.selectors import ApplicationView, AttachmentView
from dure.control.applications.services.deciding import MAX_REASON
from dure.control.calls import answering, steps
from dure.control.foundation import clock, documents, files
from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request
from dure.control.identity.guards import signed_in

_WIDE = 0x1100


@signed_in
@never_cache
def application(request: Request, application_id: UUID) -> HttpResponse:
    """A draft leads its writers to the writing; everything else is shown as it stands."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if "write" in view.may and view.state in {"draft", "incomplete"} and not view.submissions:
        return redirect("applications:write", application_id)
    return _page(request, view)


def _page(
    request: Request, view: ApplicationView, *, typed: str = "", problem: DureError | None = None
) -> HttpResponse:
    values = submitted_values(view)
    context = {
        "application": view,
        "sections": answering.sections(view.form, values, spare=0),
        "attachments": attachments(view, values),
        "from_submission": bool(view.submissions),
        "graph": drawing(view),
        "step": view.round.graph.step(view.step),
        "step_ends_at": step_ends_at(view),
        "timeline": selectors.timeline(actor=request.actor, application_id=view.id),
        "decision": view.decision,
        "objection_until": step_ends_at(view) if "object" in view.may else None,
        "own": request.actor.organisation_id == view.organisation.id,
        "typed": typed,
        "problem": problem,
    }
    return render(
        request, "applications/application.html", context, status=problem.status if problem else 200
    )


def submitted_values(view: ApplicationView) -> dict[str, Any]:
    """Field → what was handed in last, files included; what stands there where nothing was yet."""
    if view.last_submission is None:
        return view.values
    content = json.loads(view.last_submission.content)
    found: dict[str, Any] = dict(content["answers"])
    for one in content["files"]:
        found.setdefault(one["field"], []).append(one)
    return found


def attachments(
    view: ApplicationView, values: dict[str, Any]
) -> list[tuple[dict[str, Any], AttachmentView | None]]:
    """The files among these values, each with the attachment that is downloaded."""
    known = {(one.field, one.sha256): one for one in view.attachments}
    return [
        (one, known.get((field.key, one["sha256"])))
        for field in view.form.fields
        if field.kind == "file"
        for one in values.get(field.key) or []
    ]


def step_ends_at(view: ApplicationView) -> Any:
    step = view.round.graph.step(view.step)
    return steps.deadline(step, view.step_entered_at) if step else None


def drawing(view: ApplicationView) -> dict[str, Any]:
    """The call's steps with where this application is, and those it has passed."""
    layout = steps.layout(view.round.graph)
    passed = {one.step for one in view.passages}
    titles = {step.key: step.title for step in view.round.graph.steps}
    ended = view.state in {"withdrawn", "lapsed"}
    nodes = [
        (
            node,
            _fitting(titles[node.key]),
            "here" if node.key == view.step and not ended else "passed" if node.key in passed else "ahead",
        )
        for node in layout.nodes
    ]
    return {"layout": layout, "nodes": nodes, "lines": list(zip(nodes, layout.lines_of_text, strict=True))}


def _fitting(title: str, room: int = 26) -> str:
    """What fits into a node of the drawing; Hangul is as wide as two letters."""
    used = 0
    for place, sign in enumerate(title):
        used += 2 if ord(sign) > _WIDE else 1
        if used > room:
            return title[:place].rstrip() + "…"
    return title


@signed_in
def objection(request: Request, application_id: UUID) -> HttpResponse:
    """Object to a rejection; the form is on the application's page."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if request.method != "POST":
        return redirect("applications:application", application_id)
    reason = request.POST.get("reason", "").replace("\r\n", "\n")
    try:
        services.object_to_decision(actor=request.actor, application_id=application_id, reason=reason)
    except DureError as error:
        if error.status in {403, 404}:
            raise
        return _page(request, view, typed=reason[: MAX_REASON * 2], problem=error)
    messages.success(request, gettext("Your objection is raised. You are told what is decided on it."))
    return redirect("applications:application", application_id)


@signed_in
def download(request: Request, application_id: UUID, attachment_id: UUID) -> HttpResponse:
    """A file of the application."""
    found = selectors.attachment(
        actor=request.actor, application_id=application_id, attachment_id=attachment_id
    )
    return cast("HttpResponse", files.response(found.sha256, found.name))


@signed_in
@never_cache
def pdf(request: Request, application_id: UUID) -> HttpResponse:
    """The application as a document, in the reader's language."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    response = HttpResponse(documents.pdf("document", printing.data(view)), content_type="application/pdf")
    name = f"{view.number}-{clock.now().astimezone(clock.SEOUL):%Y-%m-%d}.pdf"
    response["Content-Disposition"] = content_disposition_header(True, name)
    return response
