"""Which applications an actor may see, and which of them a list's filters let through."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from dure.control.applications import rules
from dure.control.applications.models import Application
from dure.control.applications.workflow import SEEN_BY_OFFICERS
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page


def scope(actor: Actor) -> QuerySet[Application]:
    """What an actor may list at all."""
    rows = Application.objects.all()
    if actor.is_system:
        return rows
    if actor.has("auditor"):
        return rows.filter(state__in=sorted(SEEN_BY_OFFICERS))
    if actor.has("officer"):
        return rows.filter(Q(agency=None) | Q(agency_id=actor.organisation_id)).filter(
            state__in=sorted(SEEN_BY_OFFICERS)
        )
    if actor.organisation_id is None:
        return rows.none()
    if actor.officer_programmes:
        return rows.filter(
            agency_id=actor.organisation_id,
            round__call__programme__in=actor.officer_programmes,
            state__in=sorted(SEEN_BY_OFFICERS),
        )
    return rows.filter(organisation_id=actor.organisation_id)


def filtered(
    rows: QuerySet[Application],
    *,
    search: str = "",
    state: str = "",
    step: str = "",
    round_id: UUID | None = None,
    call_slug: str = "",
) -> QuerySet[Application]:
    if words := "".join(sign for sign in search if sign.isprintable()).strip():
        rows = rows.filter(
            Q(title__icontains=words)
            | Q(number__icontains=words)
            | Q(organisation__name_ko__icontains=words)
            | Q(organisation__name_en__icontains=words)
        )
    if state:
        rows = rows.filter(state=state)
    if step:
        rows = rows.filter(step=step)
    if round_id:
        rows = rows.filter(round_id=round_id)
    if call_slug:
        rows = rows.filter(round__call__slug=call_slug)
    return rows


@once_a_page
def visible(actor: Actor, application_id: UUID) -> Application:
    return seen_by(actor, Application.objects.select_related("round__call").filter(pk=application_id).first())


def seen_by(actor: Actor, row: Application | None) -> Application:
    """The row, if the actor may see it; raises `NotFound` for what is not there or not theirs to see."""
    if row is None or not rules.may_see(
        actor,
        organisation_id=row.organisation_id,
        agency_id=row.agency_id,
        programme_id=row.programme_id,
        state=row.state,
    ):
        raise NotFound(_("There is no such application."), code="application_not_found")
    return row


def own_row(actor: Actor, application_id: UUID) -> Application:
    """What its own organisation alone may ask about."""
    row = visible(actor, application_id)
    if not rules.is_own(actor, row.organisation_id):
        raise NotFound(_("There is no such application."), code="application_not_found")
    return row
