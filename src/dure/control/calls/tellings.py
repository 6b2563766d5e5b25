"""Who is told what about calls. Names and texts are lazy: each person reads them in their own language."""

from django.utils.translation import gettext_lazy as _

from dure.control.calls import paths
from dure.control.calls.models import Question
from dure.control.foundation import notices, wording
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import PersonView

_SHORT = 300


def question_asked(row: Question) -> None:
    """The agency's officers and those of the programme, that a question waits."""
    agency_id = row.call.programme.agency_id
    officers = (
        identity.officers_to_notify(agency_id=agency_id, programme_id=row.call.programme_id)
        if agency_id
        else identity.people_with_role("officer")
    )
    notices.tell(
        to=officers,
        title=wording.said(_("A question waits for an answer: %(call)s"), call=wording.name_of(row.call)),
        text=wording.verbatim(row.text[:_SHORT]),
        path=paths.answering_path(row.pk),
        action=_("Answer"),
        dedupe_key=f"question-asked-{row.pk}",
    )


def question_answered(row: Question) -> None:
    """Who asked, that it was answered or why it was not; an answer that was put right is told anew."""
    withheld = row.state == "withheld"
    notices.tell(
        to=_asker(row),
        title=wording.said(
            _("Your question is not answered in public: %(call)s")
            if withheld
            else _("Your question was answered: %(call)s"),
            call=wording.name_of(row.call),
        ),
        text=wording.verbatim((row.withheld_reason if withheld else row.answer_ko)[:_SHORT]),
        path=paths.question_path(row.call.slug, row.number),
        action=_("Read it"),
        dedupe_key=f"question-{row.state}-{row.pk}-{row.answered_at:%Y%m%d%H%M%S}",
        category="outcome",
    )


def _asker(row: Question) -> list[PersonView]:
    """Nobody, if they have left the organisation since."""
    members = identity.members_of(row.organisation_id)
    return [one.person for one in members if one.person.id == row.asked_by_id and one.person.active]
