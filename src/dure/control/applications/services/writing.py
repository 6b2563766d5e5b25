"""Writing an application, several people at once.

Each field is saved by itself, against the version its writer had in view. If somebody changed it meanwhile, the two
texts are merged; where both rewrote the same words, both are kept and marked. A choice or a number cannot be
merged: the second writer is told what stands there and decides.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.applications import rules, selectors
from dure.control.applications.models import (
    Answer,
    AnswerRevision,
    Application,
    ApplicationMember,
    Attachment,
)
from dure.control.applications.selectors import ApplicationView, AttachmentView
from dure.control.applications.services import rows
from dure.control.calls import forms
from dure.control.calls import selectors as calls
from dure.control.foundation import audit, clock, files, notices, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import selectors as identity

MICRO = 1_000_000
MAX_ANSWER_BYTES = 400_000
MAX_ATTACHMENTS = 50
MAX_WRITERS = 30
MAX_FILES = 20
MAX_FILE_BYTES = 50 * 1024 * 1024
FILES = frozenset({"file"})


@dataclass(frozen=True, slots=True)
class Saved:
    """What stands in the field now. `merged`: somebody else's change is in it; `conflict`: both versions are, marked."""

    field: str
    value: Any
    version: int
    merged: bool = False
    conflict: bool = False
    problems: tuple[forms.Problem, ...] = ()


@transaction.atomic
def start(
    *, actor: Actor, round_id: UUID, organisation_id: UUID | None = None, lead_id: UUID | None = None
) -> ApplicationView:
    """Begin an application for the actor's organisation, or answer the one that is there.

    `organisation_id` and `lead_id` are the system's alone, which acts for no organisation of its own.
    """
    if actor.is_system:
        organisation_id, lead_id = _lead_of(organisation_id, lead_id)
    elif rules.may_start(actor):
        organisation_id, lead_id = actor.organisation_id, actor.person_id
    else:
        raise Forbidden(
            _("Your role does not allow applying for your organisation."),
            remedy=_("Ask your administrator for the role of a developer, or choose another organisation."),
        )
    round_ = calls.round_for(actor=actor, round_id=round_id)
    assert organisation_id is not None
    standing = selectors.standing(organisation_id=organisation_id, round_id=round_id)
    if standing is not None:
        return selectors.application(actor=actor, application_id=standing)
    moment = rows.database_moment()
    if not round_.is_open(moment) or round_.form_version_id is None:
        raise Conflict(
            "round_not_open",
            _("This round does not take applications now."),
            data={"opens_at": str(round_.opens_at), "closes_at": str(round_.closes_at)},
        )
    try:
        with transaction.atomic():
            row = Application.objects.create(
                number=_next_number(moment.astimezone(clock.SEOUL).year),
                round_id=round_id,
                form_version_id=round_.form_version_id,
                organisation_id=organisation_id,
                agency_id=round_.call.agency_id,
                step=rows.first_step(round_),
                step_entered_at=moment,
                created_at=moment,
                created_by_id=lead_id,
            )
    except IntegrityError:  # a colleague was quicker by an instant
        standing = selectors.standing(organisation_id=organisation_id, round_id=round_id)
        if standing is None:
            raise
        return selectors.application(actor=actor, application_id=standing)
    if lead_id is not None:
        ApplicationMember.objects.create(
            application=row, person_id=lead_id, lead=True, added_at=moment, added_by_name=actor.name
        )
    audit.record(
        actor=actor,
        action="application.started",
        subject_kind="application",
        subject_id=row.pk,
        after={"number": row.number, "round": round_id},
    )
    return selectors.application(actor=actor, application_id=row.pk)


def _lead_of(organisation_id: UUID | None, lead_id: UUID | None) -> tuple[UUID, UUID | None]:
    if organisation_id is None:
        raise Invalid("organisation_missing", _("Name the organisation that applies."), field="organisation")
    if lead_id is not None and lead_id not in {
        member.person.id for member in identity.members_of(organisation_id)
    }:
        raise Invalid("not_a_colleague", _("The lead is no member of this organisation."), field="lead")
    return organisation_id, lead_id


def _next_number(year: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('applications_number')")
        (number,) = cursor.fetchone()
    return f"{year}-{number:06d}"


def save_answer(
    *,
    actor: Actor,
    application_id: UUID,
    field: str,
    value: Any,
    base_version: int = 0,
    waited: timedelta = timedelta(0),
    bases: Mapping[str, Any] | None = None,
) -> Saved:
    """Save one field. `base_version` is the version its writer began from, 0 for an empty field."""
    (saved,) = save_answers(
        actor=actor,
        application_id=application_id,
        answers={field: (value, base_version)},
        waited=waited,
        bases=bases,
    )
    return saved


@transaction.atomic
def save_answers(
    *,
    actor: Actor,
    application_id: UUID,
    answers: Mapping[str, tuple[Any, int]],
    waited: timedelta = timedelta(0),
    bases: Mapping[str, Any] | None = None,
) -> list[Saved]:
    """Save several fields, all or none; each as `save_answer` does.

    `bases` has what a writer began from where that was never saved as such: who types on while their text is
    being merged with another's began from what they sent, not from what became of it.
    """
    row = rows.locked_for_writing(actor, application_id)
    round_ = calls.round_for(actor=Actor.system("application"), round_id=row.round_id)
    moment = rows.still_open(row, round_, waited=waited)
    form = calls.form_of(row.form_version_id)
    _may_touch(row, form, answers)
    standing = selectors.answers_of(row.pk) | {name: value for name, (value, _base) in answers.items()}
    problems = forms.check(form, standing, complete=False)
    saved = []
    for name, (value, base) in sorted(answers.items()):
        _storable(name, value, wrong := tuple(one for one in problems if one.field == name))
        begun = (bases[name],) if bases and name in bases else ()
        saved.append(_save(row, form, name, value, base, actor, moment, wrong, begun))
    _summarise(row, form)
    return saved


def _may_touch(row: Application, form: forms.Form, answers: Mapping[str, object]) -> None:
    request = rows.open_request(row) if row.state == "incomplete" else None
    for name in answers:
        field = form.field(name)
        if field is None or field.kind in FILES:
            raise Invalid(
                "field_unknown",
                _("The form has no field “%(field)s” to write in.") % {"field": name[:80]},
                field=name[:80],
            )
        if request is not None and request.fields and name not in request.fields:
            raise Conflict(
                "field_not_asked_for",
                _("Only what was asked for can be changed now."),
                field=name,
                remedy=_("Change the marked fields and submit again."),
            )


def _storable(name: str, value: Any, problems: tuple[forms.Problem, ...]) -> None:
    """A draft may be wrong in many ways; what is no answer to its question at all, or no text, is refused."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MAX_ANSWER_BYTES:
        raise Invalid("answer_too_long", _("This answer is too long to be kept."), field=name)
    if "\\u0000" in text:
        raise Invalid("control_characters", _("Control characters are not accepted."), field=name)
    for problem in problems:
        if problem.code == "not_understood":
            raise Invalid("answer_not_understood", problem.message, field=name, remedy=problem.remedy)


def _save(
    row: Application,
    form: forms.Form,
    name: str,
    value: Any,
    base_version: int,
    actor: Actor,
    moment: datetime,
    problems: tuple[forms.Problem, ...],
    begun: tuple[Any, ...] = (),
) -> Saved:
    answer = Answer.objects.filter(application=row, field=name).first()
    if answer is None:
        answer = Answer.objects.create(
            application=row, field=name, value=value, updated_at=moment, updated_by_name=actor.name[:200]
        )
        _remember(answer, actor)
        return Saved(name, value, answer.version, problems=problems)
    if value == answer.value:
        return Saved(name, value, answer.version, problems=problems)
    sent, conflict = value, False
    if begun or base_version != answer.version:
        value, conflict = _merge(form, answer, value, begun or _as_saved(answer, base_version))
    if value == answer.value:
        return Saved(name, value, answer.version, merged=True, problems=problems)
    answer.value, answer.version = value, answer.version + 1
    answer.updated_at, answer.updated_by_name = moment, actor.name[:200]
    answer.save(update_fields=["value", "version", "updated_at", "updated_by_name"])
    _remember(answer, actor)
    return Saved(name, value, answer.version, value != sent, conflict, problems)


def _as_saved(answer: Answer, version: int) -> tuple[Any]:
    """What stood there as that version; nothing for a version that never was."""
    found = AnswerRevision.objects.filter(answer=answer, version=version).values_list("value", flat=True)
    return (found.first(),)


def _merge(form: forms.Form, answer: Answer, mine: Any, begun: tuple[Any, ...]) -> tuple[Any, bool]:
    """The value of both, and whether a person has to look. Single values are not merged."""
    field = form.field(answer.field)
    found = forms.merge_answer(field, begun[0], mine, answer.value) if field else None
    if found is None or found.theirs is not None:
        raise Conflict(
            "answer_changed_meanwhile",
            _("%(name)s has changed this meanwhile.")
            % {"name": answer.updated_by_name or _("Somebody else")},
            field=answer.field,
            remedy=_("Compare both, then keep yours or theirs."),
            data={"value": answer.value, "version": answer.version, "by": answer.updated_by_name},
        )
    return found.value, not found.clean


def _remember(answer: Answer, actor: Actor) -> None:
    AnswerRevision.objects.create(
        answer=answer,
        version=answer.version,
        value=answer.value,
        at=answer.updated_at,
        by_name=actor.name[:200],
    )


def _summarise(row: Application, form: forms.Form) -> None:
    """What lists show: the title (the form's first line of text that is no contact's) and the sum asked for."""
    answers = selectors.answers_of(row.pk)
    title = next(
        (
            str(answers[field.key])
            for field in form.fields
            if field.kind == "text"
            and not field.key.startswith("contact")
            and isinstance(answers.get(field.key), str)
            and answers[field.key].strip()
        ),
        "",
    )
    row.title = " ".join(title.split())[:200]
    asked = forms.total(form, answers)
    row.asked_micro_won = asked * MICRO if 0 < asked < 9_000_000_000_000 else None
    row.changed = True
    row.save(update_fields=["title", "asked_micro_won", "changed"])


@transaction.atomic
def attach(
    *,
    actor: Actor,
    application_id: UUID,
    field: str,
    stream: BinaryIO,
    name: str,
    waited: timedelta = timedelta(0),
) -> AttachmentView:
    """Put a file into a field of files. The same content in the same field again is the one that is there."""
    row = rows.locked_for_writing(actor, application_id)
    round_ = calls.round_for(actor=Actor.system("application"), round_id=row.round_id)
    moment = rows.still_open(row, round_, waited=waited)
    found = calls.form_of(row.form_version_id).field(field)
    if found is None or found.kind not in FILES:
        raise Invalid(
            "field_takes_no_file",
            _("The form has no field “%(field)s” for files.") % {"field": field[:80]},
            field=field[:80],
        )
    request = rows.open_request(row) if row.state == "incomplete" else None
    if request is not None and request.fields and field not in request.fields:
        raise Conflict("field_not_asked_for", _("Only what was asked for can be changed now."), field=field)
    there = Attachment.objects.filter(application=row, removed_at=None)
    most = found.most or MAX_FILES
    if there.count() >= MAX_ATTACHMENTS or there.filter(field=field).count() >= most:
        raise Conflict(
            "too_many_files",
            _("This field takes %(n)d files at most.") % {"n": most},
            field=field,
            remedy=_("Remove one first."),
        )
    stored = files.store(
        stream=stream, name=name, allowed=found.types or None, max_bytes=found.most_bytes or MAX_FILE_BYTES
    )
    same = there.filter(field=field, sha256=stored.sha256).first()
    if same is not None:
        return selectors.attachment_view(same)
    added = Attachment.objects.create(
        application=row,
        field=field,
        sha256=stored.sha256,
        name=stored.name,
        size=stored.size,
        media_type=stored.media_type,
        added_at=moment,
        added_by_name=actor.name[:200],
    )
    files.keep(stored.sha256, owner_kind="application", owner_id=row.pk)
    row.changed = True
    row.save(update_fields=["changed"])
    return selectors.attachment_view(added)


@transaction.atomic
def detach(*, actor: Actor, application_id: UUID, attachment_id: UUID) -> AttachmentView:
    """Take a file out of the text; a submission that had it keeps it."""
    row = rows.locked_for_writing(actor, application_id)
    round_ = calls.round_for(actor=Actor.system("application"), round_id=row.round_id)
    moment = rows.still_open(row, round_)
    found = Attachment.objects.filter(application=row, pk=attachment_id).first()
    if found is None:
        raise NotFound(code="attachment_not_found")
    if found.removed_at is None:
        found.removed_at = moment
        found.save(update_fields=["removed_at"])
        row.changed = True
        row.save(update_fields=["changed"])
    return selectors.attachment_view(found)


@transaction.atomic
def invite_writer(*, actor: Actor, application_id: UUID, email: str) -> ApplicationView:
    """Let a colleague write, too; somebody from outside is first invited to the organisation."""
    row = rows.locked_for_writing(actor, application_id)
    person = identity.person_by_email(email)
    members = {member.person.id for member in identity.members_of(row.organisation_id)}
    if person is None or person.id not in members:
        raise Invalid(
            "not_a_colleague",
            _("Nobody of your organisation is known as %(email)s.") % {"email": email.strip()[:200]},
            field="email",
            remedy=_("Have your administrator invite them to the organisation first."),
        )
    if ApplicationMember.objects.filter(application=row).count() >= MAX_WRITERS:
        raise Conflict(
            "too_many_writers", _("An application has %(n)d writers at most.") % {"n": MAX_WRITERS}
        )
    _member, added = ApplicationMember.objects.get_or_create(
        application=row,
        person_id=person.id,
        defaults={"added_at": clock.now(), "added_by_name": actor.name[:200]},
    )
    if added:
        notices.tell(
            to=[person],
            title=_("You were added to an application"),
            text=wording.said(
                _("%(name)s asks you to write the application %(number)s together."),
                name=actor.name,
                number=row.number,
            ),
            path=f"/applications/{row.pk}/",
            action=_("Open the application"),
            dedupe_key=f"application-writer-{row.pk}-{_member.pk}",
        )
        audit.record(
            actor=actor,
            action="application.writer_added",
            subject_kind="application",
            subject_id=row.pk,
            after={"person": person.id},
        )
    return selectors.application(actor=actor, application_id=application_id)


@transaction.atomic
def remove_writer(*, actor: Actor, application_id: UUID, person_id: UUID) -> ApplicationView:
    """Take a co-writer off; the lead stays until another is named."""
    row, _writers = rows.locked_for_handing_in(actor, application_id)
    member = ApplicationMember.objects.filter(application=row, person_id=person_id).first()
    if member is None:
        raise NotFound(code="writer_not_found")
    if member.lead:
        raise Conflict(
            "lead_stays",
            _("The lead cannot be removed."),
            remedy=_("Hand the lead to another writer first."),
        )
    member.delete()
    audit.record(
        actor=actor,
        action="application.writer_removed",
        subject_kind="application",
        subject_id=row.pk,
        after={"person": person_id},
    )
    return selectors.application(actor=actor, application_id=application_id)


@transaction.atomic
def name_lead(*, actor: Actor, application_id: UUID, person_id: UUID) -> ApplicationView:
    """Hand the lead to another writer."""
    row, _writers = rows.locked_for_handing_in(actor, application_id)
    member = ApplicationMember.objects.filter(application=row, person_id=person_id).first()
    if member is None:
        raise NotFound(code="writer_not_found")
    if not member.lead:
        ApplicationMember.objects.filter(application=row, lead=True).update(lead=False)
        member.lead = True
        member.save(update_fields=["lead"])
        audit.record(
            actor=actor,
            action="application.lead_named",
            subject_kind="application",
            subject_id=row.pk,
            after={"person": person_id},
        )
    return selectors.application(actor=actor, application_id=application_id)
