"""Submitting, taking back and replacing: what binds the organisation.

A submission is a copy of every visible answer as canonical JSON with its SHA-256; the receipt names both and is
signed. Text that is changed after a submission stays beside it until it is submitted, too: whoever does not
manage in time has lost nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.applications import selectors, tellings
from dure.control.applications.models import (
    Application,
    Attachment,
    Submission,
)
from dure.control.applications.selectors import ApplicationView, SubmissionView
from dure.control.applications.services import rows
from dure.control.calls import eligibility, forms
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import RoundView
from dure.control.foundation import audit, clock, files, signing
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Invalid
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationProfile


@dataclass(frozen=True, slots=True)
class Submitted:
    """The submission, and whether this call made it or nothing had changed since it was made.

    `by_rule`: it is a small request, which `decide_automatically` may grant at once. `state` and `award_id` are the
    application's, before it does.
    """

    submission: SubmissionView
    result: str
    by_rule: bool
    state: str
    award_id: UUID | None


def canonical(content: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces (RFC 8785 for what we put in it: no floats): one text for one content."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@transaction.atomic
def submit(*, actor: Actor, application_id: UUID, waited: timedelta = timedelta(0)) -> Submitted:
    """Hand it in. Refused whole, with every field at fault, or kept whole with a signed receipt.

    `waited` is how long the request has been on its way through this server (`rows.still_open`).
    """
    row, writers = rows.locked_for_handing_in(actor, application_id)
    # Shared with other submissions; an extension or a closing waits for them, or they for it.
    round_ = calls.round_lock_for_submission(row.round_id)
    moment = rows.still_open(row, round_, waited=waited)
    form = calls.form_of(row.form_version_id)
    answers, attached = selectors.answers_of(row.pk), selectors.files_of(row.pk)
    _complete(form, answers, attached)
    _within(round_, row)
    organisation = identity.profile(row.organisation_id)
    findings = calls.findings_under(round_, organisation)
    _eligible(findings)
    content = _content(row, round_, form, answers, attached, organisation, writers)
    digest = hashlib.sha256(content.encode()).hexdigest()
    earlier = Submission.objects.filter(application=row).order_by("-number")
    last = earlier.first() if row.submitted_at else None
    if last is not None and last.sha256 == digest and row.state == "submitted":
        if row.changed:
            row.changed = False
            row.save(update_fields=["changed"])
        return _submitted(row, round_, last, "exists")
    made = _keep(actor, row, round_, last, moment, content, digest, findings, attached, organisation.name_ko)
    _advance_state(actor, row, round_, moment)
    # Told first: the audit trail is one queue for everybody, and is held from here to the end.
    tellings.submitted(row, writers, made)
    audit.record(
        actor=actor,
        action="application.submitted",
        subject_kind="application",
        subject_id=row.pk,
        after={"number": made.number, "sha256": digest},
    )
    return _submitted(row, round_, made, "created")


def _submitted(row: Application, round_: RoundView, made: Submission, result: str) -> Submitted:
    return Submitted(
        selectors.submission_view(made), result, round_.automatic is not None, row.state, row.award_id
    )


def _complete(form: forms.Form, answers: Mapping[str, Any], attached: Mapping[str, list[Any]]) -> None:
    problems = forms.check(form, {**answers, **attached}, complete=True)
    if problems:
        raise Invalid(
            "application_incomplete",
            _("%(n)d fields need your attention. Nothing was submitted; your text is kept.")
            % {"n": len(problems)},
            field=problems[0].field,
            remedy=_("Fill in what is marked, then submit again."),
            data={
                "problems": [
                    {
                        "field": problem.field,
                        "code": problem.code,
                        "message": str(problem.message),
                        "remedy": str(problem.remedy),
                    }
                    for problem in problems
                ]
            },
        )


def _within(round_: RoundView, row: Application) -> None:
    asked = row.asked_micro_won or 0
    for bound, wrong, code in (
        (round_.least_micro_won, asked < (round_.least_micro_won or 0), "sum_below_least"),
        (
            round_.most_micro_won,
            round_.most_micro_won is not None and asked > round_.most_micro_won,
            "sum_above_most",
        ),
    ):
        if bound is not None and wrong:
            raise Invalid(
                code,
                _("The sum asked for is outside of what this round grants."),
                field="budget",
                remedy=_("Change the sum, then submit again."),
                data={"asked_micro_won": asked, "bound_micro_won": bound},
            )


def _eligible(findings: list[eligibility.Finding]) -> None:
    """Rules that are not met, or cannot be judged, stop it here; a document may still follow on request."""
    wrong = [finding for finding in findings if finding.state in {"not_met", "unknown"}]
    if wrong:
        raise Conflict(
            "not_eligible",
            _("Your organisation does not meet this call's rules: %(rules)s.")
            % {"rules": ", ".join(str(finding.title) for finding in wrong)},
            remedy=wrong[0].remedy or _("See the call's page for each rule."),
            data={"rules": [finding.key for finding in wrong]},
        )


def _content(
    row: Application,
    round_: RoundView,
    form: forms.Form,
    answers: Mapping[str, Any],
    attached: Mapping[str, list[dict[str, Any]]],
    organisation: OrganisationProfile,
    writers: list[UUID],
) -> str:
    shown = forms.visible(form, answers)
    return canonical(
        {
            "application": row.number,
            "call": round_.call.slug,
            "round": round_.number,
            "form_version": str(row.form_version_id),
            "organisation": {
                "slug": organisation.slug,
                "name": organisation.name_ko,
                "registration_number": organisation.registration_number,
            },
            "writers": [str(one) for one in writers],
            "asked_micro_won": row.asked_micro_won,
            "answers": forms.submitted(form, answers),
            "files": [
                {"field": name, "name": one["name"], "sha256": one["sha256"], "size": one["size"]}
                for name in sorted(attached)
                if name in shown
                for one in attached[name]
            ],
        }
    )


def _keep(
    actor: Actor,
    row: Application,
    round_: RoundView,
    last: Submission | None,
    moment: datetime,
    content: str,
    digest: str,
    findings: list[eligibility.Finding],
    attached: Mapping[str, list[dict[str, Any]]],
    organisation_name: str,
) -> Submission:
    number = (last.number if last else 0) + 1
    receipt = canonical(
        {
            "kind": "dure-application-receipt",
            "application": row.number,
            "submission": number,
            "call": round_.call.slug,
            "round": round_.number,
            "organisation": organisation_name,
            "submitted_at": moment.astimezone(clock.SEOUL).isoformat(),
            "content_sha256": digest,
            "files_sha256": sorted(one["sha256"] for several in attached.values() for one in several),
        }
    )
    signature = signing.sign(receipt.encode())
    made = Submission.objects.create(
        application=row,
        number=number,
        at=moment,
        person_id=actor.person_id,
        by_name=actor.name[:200],
        content=content,
        sha256=digest,
        receipt=receipt,
        key_id=signature.key_id,
        signature=signature.value_hex,
        findings=[{"key": one.key, "state": one.state, "reason": str(one.reason)} for one in findings],
    )
    for one in {one["sha256"] for several in attached.values() for one in several}:
        files.keep(one, owner_kind="submission", owner_id=made.pk)
    return made


def _advance_state(actor: Actor, row: Application, round_: RoundView, moment: datetime) -> None:
    if row.state == "incomplete":
        request = rows.open_request(row)
        if request is not None:
            request.answered_at = moment
            request.save(update_fields=["answered_at"])
    if row.state != "submitted":
        rows.become(row, "submitted")
    row.submitted_at, row.changed = moment, False
    row.save(update_fields=["state", "submitted_at", "changed"])


@transaction.atomic
def withdraw(*, actor: Actor, application_id: UUID, reason: str = "") -> ApplicationView:
    """Take it back for good; a draft is discarded. What was submitted stays on record."""
    row, _writers = rows.locked_for_handing_in(actor, application_id)
    if row.state == "withdrawn":
        return selectors.application(actor=actor, application_id=row.pk)
    before = row.state
    rows.become(row, "withdrawn")
    row.ended_at = clock.now()
    row.save(update_fields=["state", "ended_at"])
    request = rows.open_request(row)
    if request is not None:
        request.expired_at = row.ended_at
        request.save(update_fields=["expired_at"])
    audit.record(
        actor=actor,
        action="application.withdrawn",
        subject_kind="application",
        subject_id=row.pk,
        before={"state": before},
        after={"reason": " ".join(reason.split())[:500]},
    )
    if before != "draft":
        tellings.withdrawn(row)
    return selectors.application(actor=actor, application_id=row.pk)


def discard_changes(*, actor: Actor, application_id: UUID) -> ApplicationView:
    """Put back the text of the last submission, as new versions of its fields."""
    from dure.control.applications.services.writing import save_answers

    view = selectors.application(actor=actor, application_id=application_id)
    last = Submission.objects.filter(application_id=application_id).order_by("-number").first()
    if last is None:
        raise Conflict("nothing_submitted", _("Nothing was submitted yet."))
    submitted = json.loads(last.content)["answers"]
    changes = {
        answer.field: (submitted.get(answer.field), answer.version)
        for answer in view.answers
        if answer.value != submitted.get(answer.field)
    }
    with transaction.atomic():
        if changes:
            save_answers(actor=actor, application_id=application_id, answers=changes)
        row = rows.locked_for_writing(actor, application_id)
        kept = {one["sha256"] for one in json.loads(last.content)["files"]}
        now = clock.now()
        for attachment in Attachment.objects.filter(application=row):
            wanted = attachment.sha256 in kept
            if wanted == (attachment.removed_at is not None):
                attachment.removed_at = None if wanted else now
                attachment.save(update_fields=["removed_at"])
        row.changed = False
        row.save(update_fields=["changed"])
    return selectors.application(actor=actor, application_id=application_id)
