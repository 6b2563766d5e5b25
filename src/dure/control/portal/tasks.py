"""My tasks: what waits for this person, gathered from every room, what has a deadline first, then the oldest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language, gettext, ngettext
from django.views.decorators.cache import cache_control, never_cache

from dure.control.access import selectors as access
from dure.control.applications import selectors as applications
from dure.control.calls import selectors as calls
from dure.control.foundation import clock
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.http import Request
from dure.control.foundation.money import format_won
from dure.control.identity import selectors as identity
from dure.control.identity.guards import signed_in
from dure.control.portal.processes import waiting_by_process
from dure.control.portal.templatetags.portal_ui import in_my_language
from dure.control.programmes import selectors as programmes
from dure.control.settlement import rules as losses
from dure.control.settlement import selectors as settlement

_QUESTIONS_SHOWN = 20
_COUNTED_FOR_SECONDS = 20
_EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Task:
    """`why` says what has to be done with `subject`; `since` is None where only their number is known. `kind` is
    stable, for programs; `count` is how many things the one line stands for."""

    kind: str
    subject: str
    why: str
    detail: str
    path: str
    since: datetime | None = None
    due_at: datetime | None = None
    count: int = 1


def tasks_of(actor: Actor) -> list[Task]:
    """A fixed number of questions to the rooms, whatever waits."""
    found = [
        *_applications(actor),
        *_own_contributions(actor),
        *_questions(actor),
        *_verifications(actor),
        *_own_organisation(actor),
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
        yield Task(duty.kind, duty.subject, why, duty.detail, duty.path, duty.since, duty.due_at, duty.count)


def _own_contributions(actor: Actor) -> Iterator[Task]:
    said = {
        "pay": gettext("Pay the own contribution: %(sum)s"),
        "confirm": gettext("Confirm the own contribution once it has arrived: %(sum)s"),
        "repay": gettext("Pay back the rest of the own contribution: %(sum)s"),
    }
    addresses = {
        "pay": "programmes:award",
        "confirm": "programmes:confirm_own_contribution",
        "repay": "programmes:award",
    }
    for one in programmes.own_contribution_duties(actor=actor):
        yield Task(
            f"own_contribution_{one.kind}",
            in_my_language(one, "award_name"),
            said[one.kind] % {"sum": format_won(one.micro_won, (get_language() or "ko")[:2])},
            gettext("Calls are refused until then") if one.stops_calls else _organisation_of(one),
            reverse(addresses[one.kind], args=[one.award_id]) + ("" if one.kind == "confirm" else "#sources"),
            one.since,
        )


def _organisation_of(one: programmes.OwnContributionDuty) -> str:
    return "" if one.kind == "pay" else in_my_language(one, "organisation_name")


def _questions(actor: Actor) -> Iterator[Task]:
    if not actor.has(*OFFICERS):
        return
    found = calls.oldest_questions_to_answer(actor=actor, limit=_QUESTIONS_SHOWN + 1)
    for one in found[:_QUESTIONS_SHOWN]:
        path = reverse("calls:answer", args=[one.id])
        yield Task(
            "question", one.text[:120], gettext("A question to answer"), one.call_name, path, one.asked_at
        )
    if len(found) > _QUESTIONS_SHOWN:
        more = calls.count_of_questions_to_answer(actor=actor) - _QUESTIONS_SHOWN
        yield Task(
            "questions",
            gettext("Further questions to answer"),
            ngettext("%(n)d waits", "%(n)d wait", more) % {"n": more},
            gettext("The oldest first"),
            reverse("calls:questions"),
            found[-1].asked_at,
            count=more,
        )


def _verifications(actor: Actor) -> Iterator[Task]:
    if not actor.has("officer"):
        return
    waiting = identity.waiting()
    for kind, count, since, subject in (
        (
            "organisations",
            waiting.organisations,
            waiting.organisations_since,
            gettext("Organisations to verify"),
        ),
        ("documents", waiting.documents, waiting.documents_since, gettext("Documents to look at")),
        ("ownership", waiting.links, waiting.links_since, gettext("Ownership to confirm")),
    ):
        if count:
            number = ngettext("%(n)d waits", "%(n)d wait", count) % {"n": count}
            path = reverse("identity:verifications")
            yield Task(kind, subject, number, gettext("The oldest first"), path, since, count=count)


def _own_organisation(actor: Actor) -> Iterator[Task]:
    """What an organisation's administrators have to put right about it: its verification, and its documents."""
    if actor.organisation_id is None or not actor.has("administrator") or actor.is_system:
        return
    if actor.for_agency:
        return
    profile = identity.profile(actor.organisation_id)
    documents = identity.documents(actor.organisation_id)
    name = in_my_language(profile)
    step = identity.next_step(profile, documents)
    if step not in {"done", "wait"}:
        refused = profile.verification_state == "refused"
        yield Task(
            "verification",
            name,
            gettext("The verification was refused; put it right and ask again")
            if refused
            else gettext("Have the organisation verified; most calls ask for it"),
            profile.verification_reason if refused else "",
            reverse("identity:organisation", args=[profile.slug]),
        )
    path = reverse("identity:organisation_documents", args=[profile.slug])
    latest = {document.kind: document for document in reversed(documents)}
    soon = clock.now().astimezone(clock.SEOUL).date() + _EXPIRES_SOON
    for document in latest.values():
        if document.state == "refused":
            why, due_at = gettext("This document was refused; upload another"), None
        elif document.state == "accepted" and document.valid_until and document.valid_until <= soon:
            why = gettext("This document expires; upload a newer one")
            due_at = datetime.combine(document.valid_until + timedelta(days=1), time.min, clock.SEOUL)
        else:
            continue
        yield Task(
            "document", document.kind_name, why, document.reason or name, path, document.decided_at, due_at
        )


def _invitations(actor: Actor) -> Iterator[Task]:
    if actor.person_id is None:
        return
    for one in identity.invitations_for(actor.person_id):
        yield Task(
            "invitation",
            in_my_language(one, "organisation_name"),
            gettext("Invites you to join"),
            ", ".join(one.role_names),
            reverse("identity:invitation_answer", args=[one.id]),
            one.invited_at,
            one.expires_at,
        )


def _gateways(actor: Actor) -> Iterator[Task]:
    """Silent gateways that hold money: for operators to bring back; for officers whose money it is, the declaration of
    a loss that another officer has asked for."""
    if not actor.has("operator", "officer"):
        return
    found = settlement.waiting_escrow()
    agencies = access.agency_by_award(award_ids=[one.award_id for one in found]) if found else {}
    for one in waiting_by_process(found):
        path = reverse("portal:gateway_process", args=[one.process_id])
        if actor.has("operator"):
            yield Task("gateway", one.node, gettext("A gateway fell silent with money"), "", path, one.since)
        loss = one.loss
        if loss is None or not loss.is_open or loss.requested_by_id == actor.person_id:
            continue
        theirs = {agencies.get(line.award_id) for line in found if line.process_id == one.process_id}
        if losses.may_declare_lost(actor, theirs):
            why = gettext("Confirm or refuse that this gateway is lost")
            yield Task("loss", one.node, why, loss.reason, path, loss.requested_at, loss.expires_at)


@signed_in
@never_cache
def tasks(request: Request) -> HttpResponse:
    return render(request, "portal/tasks.html", {"tasks": tasks_of(request.actor)})


@signed_in
@cache_control(private=True, max_age=_COUNTED_FOR_SECONDS)
def count(request: Request) -> HttpResponse:
    """The number beside "my tasks", which pages ask for by themselves, so that none of them waits for it. Its address
    names the organisation, lest a browser shows what waited for another."""
    return render(request, "portal/_task_count.html", {"count": len(tasks_of(request.actor))})
