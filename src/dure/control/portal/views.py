"""The first page of each reader, and the switches that every page carries."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from dure.control.access import selectors as access
from dure.control.catalogue import selectors as catalogue
from dure.control.foundation import clock
from dure.control.foundation.actors import OFFICERS, PROGRAMME_OFFICER, Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors as identity
from dure.control.identity import services as people
from dure.control.identity.guards import public, signed_in
from dure.control.identity.middleware import SESSION_KEY
from dure.control.portal.applying import applying
from dure.control.portal.context_processors import DISPLAY_COOKIE, DISPLAYS
from dure.control.portal.processes import waiting_by_process
from dure.control.portal.tasks import tasks_of
from dure.control.programmes import selectors as programmes
from dure.control.programmes.outlook import outlook
from dure.control.settlement import selectors as settlement
from dure.control.settlement.views import month_figures

_YEAR_SECONDS = 31_536_000
_CALLS_SHOWN = 8
_TASKS_SHOWN = 3
_EARNINGS_READERS = ("provider_manager", "administrator", "viewer")


@dataclass(frozen=True, slots=True)
class AwardCard:
    """An award on its organisation's first page."""

    view: programmes.AwardView
    outlook: str
    used: bool


@public
@never_cache
def home(request: Request) -> HttpResponse:
    """Each reader's first page: what matters to the role they act in."""
    actor = request.actor
    if actor.kind != "person":
        return about(request)
    if actor.has("officer"):
        return render(request, "portal/officer_home.html", _officer(actor))
    if actor.has("operator"):
        return redirect("portal:operations")
    if actor.has("auditor"):
        return redirect("ledger:books")
    if actor.has(PROGRAMME_OFFICER):
        return render(request, "portal/officer_home.html", _officer(actor))
    if actor.organisation_kind == "provider":
        return render(request, "portal/provider_home.html", _provider(actor))
    if actor.organisation_id is None:
        return render(request, "portal/newcomer_home.html")
    return render(request, "portal/award_home.html", _awards(actor))


@signed_in
@never_cache
def home_live(request: Request) -> HttpResponse:
    """The part of a first page that moves."""
    actor = request.actor
    if actor.has(*OFFICERS):
        return render(request, "portal/officer_home.html#lines", _money_lines(actor))
    if actor.organisation_kind == "provider" and actor.has(*_EARNINGS_READERS):
        return render(request, "portal/provider_home.html#figures", month_figures(actor.organisation_id))
    return render(request, "portal/award_home.html#awards", {"awards": _cards(actor)})


def _public_figures() -> dict[str, Any]:
    """A second old at most, however many readers ask."""
    totals = cache.get("portal.public_figures")
    if totals is None:
        totals = programmes.home_totals()
        cache.set("portal.public_figures", totals, timeout=1)
    return {"totals": totals, "tokens": totals.input_tokens + totals.output_tokens, "at": totals.at}


@public
def about(request: Request) -> HttpResponse:
    """What Dure is, for everyone."""
    models = sorted(catalogue.models(actor=request.actor), key=lambda view: not view.callable)
    return render(request, "portal/public_home.html", {**_public_figures(), "models": models[:6]})


@public
@never_cache
def public_figures(request: Request) -> HttpResponse:
    return render(request, "portal/public_home.html#figures", _public_figures())


def _organisation(actor: Actor) -> Any:
    if actor.organisation_id is None:
        return None
    return identity.names_of([actor.organisation_id]).get(actor.organisation_id)


def _cards(actor: Actor) -> list[AwardCard]:
    found = programmes.first_awards(actor=actor, limit=20) if actor.organisation_id else []
    spent = settlement.daily_spend(award_ids=[view.id for view in found])
    return [AwardCard(view, outlook(view, spent.get(view.id, {})), used=view.id in spent) for view in found]


def _awards(actor: Actor) -> dict[str, Any]:
    cards = _cards(actor)
    views = {card.view.id: card.view for card in cards}
    waiting = next((card.view for card in cards if not card.used and card.view.is_open), None)
    return {
        **applying(actor),
        "organisation": _organisation(actor),
        "awards": cards,
        "waiting": waiting,
        "may_issue": waiting is not None and access.may_issue(actor=actor, award_id=waiting.id),
        "calls": [
            (views[call.award_id], call)
            for call in settlement.latest_usage(award_ids=list(views), limit=_CALLS_SHOWN)
        ],
        "keys": [
            (views[key.award_id], key) for key in access.working_keys(actor=actor, award_ids=list(views))
        ],
    }


def _money_lines(actor: Actor) -> dict[str, Any]:
    lines = programmes.programmes(actor=actor)
    if not actor.is_platform:
        lines = [one for one in lines if actor.officer_for(one.agency.id if one.agency else None, one.id)]
    names = (
        *("awards", "appropriated_micro_won", "granted_micro_won", "spent_micro_won"),
        "left_to_grant_micro_won",
    )
    sums = {name: sum(getattr(line, name) for line in lines) for name in names}
    return {
        "programmes": lines,
        "sums": sums,
        "at": clock.now(),
        "waiting": waiting_by_process(settlement.waiting_escrow()) if actor.is_platform else [],
    }


def _officer(actor: Actor) -> dict[str, Any]:
    found = programmes.pipeline(actor=actor)
    return {
        **_money_lines(actor),
        "organisation": _organisation(actor),
        "tasks": tasks_of(actor)[:_TASKS_SHOWN],
        "unused": found.never_used,
        "unused_more": found.unused.count - len(found.never_used),
        "pipeline": [
            (gettext("Granted, not used yet"), found.unused),
            (gettext("In use"), found.running),
            (gettext("Spent to the end"), found.spent),
            (gettext("Ended, rest returned"), found.ended),
        ],
    }


def _provider(actor: Actor) -> dict[str, Any]:
    models = catalogue.models(actor=actor, provider_id=actor.organisation_id)
    figures = month_figures(actor.organisation_id) if actor.has(*_EARNINGS_READERS) else {}
    return {
        **figures,
        "organisation": _organisation(actor),
        "models": models,
        "deployments": [(model, deployment) for model in models for deployment in model.deployments],
    }


def _back(request: Request) -> HttpResponseRedirect:
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(target if safe and target.startswith("/") else reverse("portal:home"))


def _remember(response: HttpResponse, cookie: str, value: str) -> None:
    response.set_cookie(
        cookie,
        value,
        max_age=_YEAR_SECONDS,
        samesite="Lax",
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
    )


@public
@require_POST
def language(request: Request) -> HttpResponse:
    """Read in another language; a person who is signed in gets notices in it, too."""
    response = _back(request)
    chosen = request.POST.get("language", "")
    if chosen in dict(settings.LANGUAGES):
        _remember(response, settings.LANGUAGE_COOKIE_NAME, chosen)
        if request.user.is_authenticated and request.user.language != chosen:
            people.update_profile(actor=request.actor, name=request.user.name, language=chosen)
    return response


@public
@require_POST
def display(request: Request) -> HttpResponse:
    """Standard or high contrast, kept in a cookie."""
    response = _back(request)
    chosen = request.POST.get("display", "")
    if chosen in DISPLAYS:
        _remember(response, DISPLAY_COOKIE, chosen)
    return response


@signed_in
@require_POST
def act_for(request: Request) -> HttpResponse:
    """Act for another of one's organisations, from the next page on."""
    chosen = request.POST.get("organisation", "")
    person_id = request.actor.person_id
    memberships = identity.memberships_of(person_id) if person_id else []
    if chosen not in {str(membership.organisation.id) for membership in memberships}:
        raise NotFound
    request.session[SESSION_KEY] = str(UUID(chosen))
    return redirect("portal:home")
