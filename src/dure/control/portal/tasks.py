"""My tasks: what waits for this person, gathered from every room, what has a deadline first, then the oldest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache

from dure.control.applications import selectors as applications
from dure.control.calls import selectors as calls
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.http import Request
from dure.control.identity import selectors as identity
from dure.control.identity.guards import signed_in
from dure.control.settlement import selectors as settlement

_QUESTIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Task:
    """`why` says what has to be done with `subject`; `since` is None where only their number is known."""

    subject: str
    why: str
    detail: str
    path: str
    since: datetime | None = None
    due_at: datetime | None = None


def tasks_of(actor: Actor) -> list[Task]:
    """A fixed number of questions to the rooms, whatever waits."""
    found = [
        *_applications(actor),
        *_questions(actor),
        *_organisations(actor),
        *_invitations(actor),
        *_gateways(actor),
    ]
    return sorted(found, key=_order)


def _order(task: Task) -> tuple[bool, bool, float]:
    moment = task.due_at or task.since
    return (task.due_at is None, moment is None, moment.timestamp() if moment else 0.0)


def _applications(actor: Actor) -> Iterator[Task]:
    for duty in applications.duties(actor=actor):
        why = {
            "draft": gettext("Not submitted yet"),
            "completion": gettext("Something is missing"),
            "changed": gettext("Changes that are not submitted"),
        }.get(duty.kind)
        why = why or ngettext(
            "%(n)d application waits at this step", "%(n)d applications wait at this step", duty.count
        ) % {"n": duty.count}
        yield Task(duty.subject, why, duty.detail, duty.path, duty.since, duty.due_at)


def _questions(actor: Actor) -> Iterator[Task]:
    if not actor.has(*OFFICERS):
        return
    for one in calls.questions_to_answer(actor=actor, page_size=_QUESTIONS_SHOWN).items:
        path = reverse("calls:answer", args=[one.id])
        yield Task(one.text[:120], gettext("A question to answer"), one.call_slug, path, one.asked_at)


def _organisations(actor: Actor) -> Iterator[Task]:
    if not actor.has("officer"):
        return
    waiting = identity.waiting()
    for count, why in (
        (waiting.organisations, gettext("Organisations to verify")),
        (waiting.documents, gettext("Documents to look at")),
        (waiting.links, gettext("Ownership to confirm")),
    ):
        if count:
            number = ngettext("%(n)d waits", "%(n)d wait", count) % {"n": count}
            yield Task(why, number, gettext("The oldest first"), reverse("identity:verifications"))


def _invitations(actor: Actor) -> Iterator[Task]:
    if actor.person_id is None:
        return
    for one in identity.invitations_for(actor.person_id):
        why = gettext("Invites you to join")
        path = reverse("identity:invitation_answer", args=[one.id])
        yield Task(
            one.organisation_name_ko, why, ", ".join(one.role_names), path, one.invited_at, one.expires_at
        )


def _gateways(actor: Actor) -> Iterator[Task]:
    if not actor.has("operator"):
        return
    for one in settlement.waiting_escrow():
        yield Task(
            one.node, gettext("A gateway fell silent with money"), "", reverse("portal:operations"), one.since
        )


@signed_in
@never_cache
def tasks(request: Request) -> HttpResponse:
    return render(request, "portal/tasks.html", {"tasks": tasks_of(request.actor)})
