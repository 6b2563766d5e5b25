"""What this room puts into everybody's calendar: when calls close."""

from collections.abc import Iterator

from django.utils.translation import gettext

from dure.control.calls.paths import call_path
from dure.control.calls.selectors import CallLine, calls
from dure.control.foundation import exports
from dure.control.foundation.actors import Actor
from dure.control.foundation.calendars import Event


def open_calls() -> Iterator[Event]:
    """Of each call that takes applications or soon will, the round that closes next."""
    for state in ("open", "upcoming"):
        found: Iterator[CallLine] = exports.every(
            lambda page, state=state: calls(actor=Actor.anonymous(), state=state, page=page)  # type: ignore[misc]
        )
        for line in found:
            round_ = line.round
            if round_ is None or round_.closes_at is None:
                continue
            moved = [one.created_at for one in round_.extensions]
            yield Event(
                uid=f"round-{round_.id}",
                title=gettext("Closes: %(name)s") % {"name": line.name},
                at=round_.closes_at,
                url=call_path(line.slug),
                updated_at=max(moved, default=round_.published_at),
            )
