"""What this room puts into everybody's calendar: openings, closings and the end of questions of published rounds."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext

from dure.control.calls import paths
from dure.control.calls.models import Round
from dure.control.calls.selectors import call
from dure.control.calls.selectors.rounds import round_views
from dure.control.calls.selectors.values import RoundView
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.calendars import Event

#: What is longer ago is no date to keep.
KEPT = timedelta(days=60)
MOST = 500


def dates_of_rounds() -> Iterator[Event]:
    """In the active language; a moved closing keeps its uid and says when it was moved."""
    rows = Round.objects.filter(state="published", closes_at__gte=clock.now() - KEPT)
    for one in round_views(list(rows.select_related("call__programme").order_by("closes_at")[:MOST])):
        yield from _dates(one)


def dates_of_call(*, actor: Actor, slug: str) -> Iterator[Event]:
    """The same of one call that the actor may see."""
    for one in call(actor=actor, slug=slug).rounds:
        if one.state == "published":
            yield from _dates(one)


def _dates(one: RoundView) -> Iterator[Event]:
    moved = max((extension.created_at for extension in one.extensions), default=one.published_at)
    named = {"name": f"{one.call.name} – {one.name}" if one.name else one.call.name}
    for what, title, at, updated_at in (
        ("opens-", gettext("Applications open: %(name)s"), one.opens_at, one.published_at),
        ("questions-", gettext("Last questions: %(name)s"), one.questions_until, one.published_at),
        ("", gettext("Applications close: %(name)s"), one.closes_at, moved),
    ):
        if at is not None:
            yield Event(
                uid=f"round-{what}{one.id}",
                title=title % named,
                at=at,
                url=paths.call_path(one.call.slug),
                updated_at=updated_at,
            )
