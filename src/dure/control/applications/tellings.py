"""Who is told what about an application, each with the link that does the next thing.

Told are its writers and the organisation's administrators; officers learn of what waits for them from their tasks,
and by mail of what an applicant did after being asked.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from dure.control.applications.models import (
    Application,
    ApplicationMember,
    CompletenessRequest,
    Decision,
    Submission,
)
from dure.control.calls.selectors import RoundView
from dure.control.foundation import notices, wording
from dure.control.foundation.errors import Text
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import PersonView


def _applicants(row: Application, writers: Collection[UUID] | None = None) -> list[PersonView]:
    if writers is None:
        writers = ApplicationMember.objects.filter(application=row).values_list("person_id", flat=True)
    people = identity.person_views(set(writers))
    people += identity.people_to_notify(row.organisation_id, roles=["administrator"])
    return list({person.id: person for person in people if person.active}.values())


def _officers(row: Application) -> list[PersonView]:
    if row.agency_id is None:
        return []
    return identity.officers_to_notify(agency_id=row.agency_id, programme_id=row.programme_id)


def _tell(
    row: Application,
    people: list[PersonView],
    title: Text,
    text: Text,
    *,
    key: str,
    action: Text | None = None,
    path: str = "",
) -> None:
    notices.tell(
        to=people,
        title=title,
        text=text,
        path=path or f"/applications/{row.pk}/",
        action=action or _("Open the application"),
        dedupe_key=f"application-{row.pk}-{key}",
    )


def submitted(row: Application, writers: Collection[UUID], made: Submission) -> None:
    _tell(
        row,
        _applicants(row, writers),
        wording.said(_("Your application %(number)s is submitted"), number=row.number),
        wording.said(
            _(
                "It reached us at %(at)s. Its content has the SHA-256 %(sha256)s. The signed receipt is on its page."
            ),
            at=wording.moment(made.at),
            sha256=made.sha256,
        ),
        key=f"submitted-{made.number}",
        action=_("See the receipt"),
        path=f"/applications/{row.pk}/receipt/",
    )


def withdrawn(row: Application) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("The application %(number)s is withdrawn"), number=row.number),
        _("What was submitted stays on record; nothing more happens with it."),
        key="withdrawn",
    )


def lapsed(row: Application) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("The deadline for %(number)s has passed"), number=row.number),
        _("The draft was not submitted in time. Your text is kept."),
        key=f"lapsed-{row.extended_until or ''}",
    )


def extended(row: Application, until: datetime, reason: str) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("You have more time for %(number)s"), number=row.number),
        wording.said(
            _("Your deadline is now %(until)s. Reason: %(reason)s"),
            until=wording.moment(until),
            reason=reason,
        ),
        key=f"extended-{until.isoformat()}",
        action=_("Go on writing"),
    )


def round_extended(row: Application, until: datetime, reason: str) -> None:
    _tell(
        row,
        _applicants(row),
        _("The deadline of a call you apply to has moved"),
        wording.said(
            _("The deadline of %(number)s is now %(until)s. Reason: %(reason)s"),
            number=row.number,
            until=wording.moment(until),
            reason=reason,
        ),
        key=f"round-extended-{until.isoformat()}",
        action=_("Go on writing"),
    )


def round_cancelled(row: Application, reason: str) -> None:
    _tell(
        row,
        _applicants(row),
        _("A call you apply to is cancelled"),
        wording.said(
            _("Nothing more happens with %(number)s. Reason: %(reason)s"), number=row.number, reason=reason
        ),
        key="round-cancelled",
    )


def deadline_near(row: Application, due: datetime, pause: timedelta) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("Not submitted yet: %(number)s"), number=row.number),
        wording.said(
            _("The deadline is %(due)s. A draft that is not submitted by then does not count."),
            due=wording.moment(due),
        ),
        key=f"near-{due.isoformat()}-{int(pause.total_seconds())}",
        action=_("Finish and submit"),
    )


def completion_asked(row: Application, request: CompletenessRequest) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("Something is missing in %(number)s"), number=row.number),
        wording.said(
            _("%(reason)s\n\nPlease complete it by %(due)s."),
            reason=request.reason,
            due=wording.moment(request.due_at),
        ),
        key=f"completion-{request.pk}",
        action=_("Complete it"),
    )


def completion_answered(row: Application, request: CompletenessRequest) -> None:
    _tell(
        row,
        _officers(row),
        wording.said(_("%(number)s was completed"), number=row.number),
        _("The applicant has answered your request."),
        key=f"completed-{request.pk}",
    )


def completion_expired(row: Application) -> None:
    _tell(
        row,
        _applicants(row) + _officers(row),
        wording.said(_("The time for completing %(number)s is over"), number=row.number),
        _("It goes on as it was submitted before; the programme office decides what follows."),
        key=f"completion-expired-{row.pk}",
    )


def advanced(row: Application, round_: RoundView, reason: str) -> None:
    step = round_.graph.step(row.step)
    if step is None:
        return
    here = wording.said(_("It is now at the step “%(step)s”."), step=wording.later(lambda: step.title))
    _tell(
        row,
        _applicants(row),
        wording.said(_("Your application %(number)s goes on"), number=row.number),
        wording.joined(here, reason, between="\n\n"),
        key=f"step-{row.step}-{row.step_entered_at.isoformat()}",
    )


def decided(row: Application, made: Decision) -> None:
    if made.outcome == "accepted":
        title = wording.said(_("Your application %(number)s is accepted"), number=row.number)
        text = wording.said(
            _("%(sum)s was decided on. You are told as soon as the money is there."),
            sum=wording.won(made.granted_micro_won),
        )
    else:
        title = wording.said(_("Your application %(number)s is not accepted"), number=row.number)
        text = wording.said(_("Reason: %(reason)s"), reason=made.reason)
    _tell(row, _applicants(row), title, text, key=f"decided-{made.pk}", action=_("See the decision"))


def awarded(row: Application, award_id: UUID) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("The award for %(number)s is there"), number=row.number),
        _("Issue a key and make the first call."),
        key="awarded",
        action=_("Issue a key"),
        path=f"/awards/{award_id}/",
    )


def objected(row: Application, reason: str) -> None:
    _tell(
        row,
        _officers(row),
        wording.said(_("An objection was raised against the decision on %(number)s"), number=row.number),
        wording.verbatim(reason),
        key=f"objected-{row.step_entered_at.isoformat()}",
    )


def left_to_officer(row: Application, reason: Text) -> None:
    _tell(
        row,
        _applicants(row),
        wording.said(_("A person looks at %(number)s"), number=row.number),
        wording.said(_("It could not be granted at once: %(reason)s"), reason=reason),
        key="left-to-officer",
    )
