"""The main menu: what each reader may go to, in the order of how often they do.

A room that gets a page adds one line here. An entry shows when `who` says so; a page still
guards itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from dure.control.foundation.actors import OFFICERS, Actor


def _anyone(_actor: Actor) -> bool:
    return True


def _signed_in(actor: Actor) -> bool:
    return actor.kind == "person"


def _provider(actor: Actor) -> bool:
    return actor.organisation_kind == "provider" and actor.has("provider_manager", "administrator", "viewer")


def _operator(actor: Actor) -> bool:
    return actor.has("operator")


def _applies(actor: Actor) -> bool:
    """Whoever has applications: those who apply, and those who were applied to."""
    return actor.has("officer", "auditor") or (
        actor.organisation_id is not None and not actor.is_platform and actor.organisation_kind != "provider"
    )


def _decides(actor: Actor) -> bool:
    return actor.has(*OFFICERS, "auditor")


def _has_awards(actor: Actor) -> bool:
    return actor.has("officer", "auditor") or (
        _signed_in(actor) and actor.organisation_kind not in {None, "provider"} and not actor.is_platform
    )


def _platform(actor: Actor) -> bool:
    return actor.has("officer", "operator", "auditor")


def _of_an_organisation(actor: Actor) -> bool:
    return _signed_in(actor) and not _platform(actor)


@dataclass(frozen=True, slots=True)
class Entry:
    title: Promise
    url_name: str
    section: str
    who: Callable[[Actor], bool] = _anyone


@dataclass(frozen=True, slots=True)
class MenuItem:
    title: Promise
    url: str
    current: bool
    #: Where the number beside it is asked for, after the page is there.
    count_url: str = ""


ENTRIES = (
    Entry(_("My work"), "portal:home", "home", _signed_in),
    Entry(_("My tasks"), "portal:tasks", "tasks", _signed_in),
    Entry(pgettext_lazy("support", "Calls"), "calls:calls", "calls"),
    Entry(pgettext_lazy("officers", "Desk"), "applications:desk", "desk", _decides),
    Entry(_("Applications"), "applications:applications", "applications", _applies),
    Entry(_("Awards"), "programmes:awards", "awards", _has_awards),
    Entry(_("Programmes"), "programmes:programmes", "programmes"),
    Entry(_("Earnings"), "settlement:earnings", "earnings", _provider),
    Entry(_("Organisations"), "identity:organisations", "organisations", _platform),
    Entry(_("Organisation"), "identity:own_organisation", "organisations", _of_an_organisation),
    Entry(_("Models"), "catalogue:models", "models"),
    Entry(_("Ledger"), "ledger:books", "ledger"),
    Entry(_("Operations"), "portal:operations", "operations", _operator),
    Entry(_("About Dure"), "portal:about", "about"),
)


def section_of(path: str) -> str:
    """Which entry a path belongs to: its first step, and home for the root."""
    return path.strip("/").split("/", 1)[0] or "home"


def menu_for(actor: Actor, path: str) -> list[MenuItem]:
    """The entries this actor sees; a room that is not installed leaves its entry out."""
    section = section_of(path)
    items = []
    for entry in ENTRIES:
        if not entry.who(actor):
            continue
        try:
            url = reverse(entry.url_name)
        except NoReverseMatch:
            continue
        items.append(MenuItem(entry.title, url, entry.section == section, _count_url(entry, actor)))
    return items


def _count_url(entry: Entry, actor: Actor) -> str:
    if entry.section != "tasks":
        return ""
    return f"{reverse('portal:task_count')}?for={actor.organisation_id or ''}"
