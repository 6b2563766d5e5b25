"""Questions that nobody in particular asks: for services and other rooms, which have judged who may know."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.utils.translation import gettext_lazy as _

from dure.control.applications.models import (
    Answer,
    Application,
    ApplicationMember,
    Attachment,
    Decision,
    Extension,
)
from dure.control.applications.selectors.lines import lines_from
from dure.control.applications.selectors.values import ApplicationLine, attachment_view, file_value
from dure.control.applications.workflow import STANDING
from dure.control.foundation.errors import NotFound
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import PersonView


def standing(*, organisation_id: UUID, round_id: UUID) -> UUID | None:
    """The application that an organisation has in a round, unless it was withdrawn or refused."""
    found = Application.objects.filter(
        round_id=round_id, organisation_id=organisation_id, state__in=sorted(STANDING)
    )
    return found.values_list("pk", flat=True).first()


def answers_of(application_id: UUID) -> dict[str, Any]:
    return dict(Answer.objects.filter(application_id=application_id).values_list("field", "value"))


def files_of(application_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Field → its files, oldest first, as `forms.check` takes them."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = Attachment.objects.filter(application_id=application_id, removed_at=None).order_by("added_at")
    for row in rows:
        found.setdefault(row.field, []).append(file_value(attachment_view(row)))
    return found


def application_line(application_id: UUID) -> ApplicationLine:
    """The line alone, for services that have judged who asks."""
    (line,) = lines_from([Application.objects.get(pk=application_id)])
    return line


def standing_of(application_id: UUID) -> tuple[str, UUID | None]:
    """Its state and its award, for services that have judged who asks."""
    return Application.objects.values_list("state", "award_id").get(pk=application_id)


def id_of(number: str) -> UUID:
    """The id of an application by the number that people say; raises `NotFound`. Who may see it is asked later."""
    found = Application.objects.filter(number=number.strip()[:20]).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound(_("There is no such application."), code="application_not_found", field="number")
    return found


def granted_in_round(*, round_id: UUID) -> int:
    """Micro-won that decisions in this round granted."""
    return granted_from_rounds([round_id]).get(round_id, 0)


def grants_in_round(*, round_id: UUID, organisation_ids: Collection[UUID]) -> int:
    """How many grants these organisations have from this round."""
    return Application.objects.filter(
        round_id=round_id, organisation_id__in=set(organisation_ids), state__in=["accepted", "awarded"]
    ).count()


def granted_from_rounds(round_ids: Collection[UUID]) -> dict[UUID, int]:
    """The same for several rounds, by round."""
    rows = Decision.objects.filter(
        outcome="accepted",
        application__round_id__in=set(round_ids),
        application__state__in=["accepted", "awarded"],
    )
    sums = rows.values("application__round_id").annotate(total=Sum("granted_micro_won"))
    return {line["application__round_id"]: int(line["total"]) for line in sums}


def counts(*, round_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """Round → state → how many; drafts are counted, never shown."""
    found: dict[UUID, dict[str, int]] = {}
    lines = Application.objects.filter(round_id__in=set(round_ids)).values("round_id", "state")
    for line in lines.annotate(total=Count("pk")):
        found.setdefault(line["round_id"], {})[line["state"]] = line["total"]
    return found


def writers_of_drafts(round_id: UUID) -> list[PersonView]:
    """Whom a new deadline concerns: everybody who writes an application of this round."""
    people = ApplicationMember.objects.filter(
        application__round_id=round_id, application__state__in=["draft", "submitted"]
    )
    return identity.person_views(set(people.values_list("person_id", flat=True)))


def extensions(application_id: UUID) -> list[tuple[datetime, str, datetime, str]]:
    """(until, reason, at, by whom) of each extension of one application."""
    found = Extension.objects.filter(application_id=application_id).order_by("at")
    return list(found.values_list("until", "reason", "at", "by_name"))
