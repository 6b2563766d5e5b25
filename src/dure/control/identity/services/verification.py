"""An officer verifies that an organisation is what it says it is."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, NotFound
from dure.control.identity import facts, rules, selectors, telling, workflow
from dure.control.identity.models import Organisation, OrganisationDocument
from dure.control.identity.organisation_selectors import OrganisationProfile, missing_facts, today
from dure.control.identity.services.guarding import given_reason, locked, managed, tidy_text


@transaction.atomic
def ask_verification(*, actor: Actor, organisation_id: UUID) -> OrganisationProfile:
    """Ask the officers to verify the organisation; asking again while it waits changes nothing.

    Raises `Conflict` `profile_incomplete` or `business_registration_missing`: an officer is not asked in vain.
    """
    row = managed(actor, organisation_id)
    if row.verification_state == facts.VerificationState.ASKED:
        return selectors.profile(row.pk)
    _may_become(row, facts.VerificationState.ASKED)
    lacking = missing_facts(selectors.profile(row.pk))
    if lacking:
        raise Conflict(
            "profile_incomplete",
            _("Something is missing in the profile: %(fields)s.")
            % {"fields": ", ".join(str(field.title) for field in lacking)},
            field=lacking[0].name,
            remedy=_("Complete the profile first."),
        )
    if not _certificates(row.pk, "asked", "accepted").exists():
        raise Conflict(
            "business_registration_missing",
            _("The business registration certificate is missing."),
            remedy=_("Add it to the documents first."),
        )
    row.verification_state, row.verification_asked_at = facts.VerificationState.ASKED, clock.now()
    row.save()
    _record(actor, row, "organisation.verification_asked")
    return selectors.profile(row.pk)


@transaction.atomic
def verify_organisation(*, actor: Actor, organisation_id: UUID, reason: str = "") -> OrganisationProfile:
    """An officer finds that the organisation is what it says it is; its waiting business registration certificate is
    accepted with it.

    Verifying what is verified changes nothing. Raises `Conflict` `business_registration_missing` without an
    accepted or waiting certificate that is in date.
    """
    row = _to_decide(actor, organisation_id)
    reason = tidy_text(reason, field="reason")
    if row.verification_state == facts.VerificationState.VERIFIED:
        return selectors.profile(row.pk)
    _may_become(row, facts.VerificationState.VERIFIED)
    now = clock.now()
    if not _certificates(row.pk, "accepted").exists():
        waiting = _certificates(row.pk, "asked").order_by("-id").first()
        if waiting is None:
            raise Conflict(
                "business_registration_missing",
                _("The business registration certificate is missing."),
                remedy=_("Refuse with a reason, so that the organisation adds it."),
            )
        waiting.state, waiting.decided_at, waiting.decided_by_name = "accepted", now, actor.name
        waiting.save(update_fields=["state", "decided_at", "decided_by_name"])
    row.verification_state = facts.VerificationState.VERIFIED
    row.verified_at, row.verification_reason = now, reason
    row.save()
    _record(actor, row, "organisation.verified", reason=reason)
    telling.administrators(
        row.pk,
        title=_("Your organisation is verified"),
        text=wording.said(
            _("%(name)s is verified. It can now apply to calls that ask for a verified organisation."),
            name=wording.name_of(row),
        ),
        path=telling.page_of(row),
        action=_("See the organisation"),
        dedupe_key=f"verified-{row.pk}-{now.isoformat()}",
        category="outcome",
    )
    return selectors.profile(row.pk)


@transaction.atomic
def refuse_verification(*, actor: Actor, organisation_id: UUID, reason: str) -> OrganisationProfile:
    """An officer finds that it is not, and says why: the administrators are told, and may ask again."""
    row = _to_decide(actor, organisation_id)
    reason = given_reason(reason)
    _may_become(row, facts.VerificationState.REFUSED)
    row.verification_state = facts.VerificationState.REFUSED
    row.verification_reason, row.verified_at = reason, None
    row.save()
    _record(actor, row, "organisation.verification_refused", reason=reason)
    telling.administrators(
        row.pk,
        title=_("Your organisation could not be verified"),
        text=wording.joined(
            wording.said(_("%(name)s could not be verified."), name=wording.name_of(row)),
            wording.said(_("Reason: %(reason)s"), reason=reason),
            _("Put it right and ask again."),
        ),
        path=telling.page_of(row),
        action=_("Put it right"),
        dedupe_key=f"verification-refused-{row.pk}-{clock.now().isoformat()}",
    )
    return selectors.profile(row.pk)


def _to_decide(actor: Actor, organisation_id: UUID) -> Organisation:
    if not rules.may_see_organisation(actor, organisation_id):
        raise NotFound(code="organisation_not_found")
    if not rules.may_verify(actor):
        raise Forbidden
    return locked(organisation_id)


def _certificates(organisation_id: UUID, *states: str) -> QuerySet[OrganisationDocument]:
    return OrganisationDocument.objects.select_for_update().filter(
        Q(valid_until=None) | Q(valid_until__gte=today()),
        organisation_id=organisation_id,
        kind=facts.DocumentKind.BUSINESS_REGISTRATION,
        state__in=states,
    )


def _may_become(row: Organisation, state: str) -> None:
    if not workflow.may_become(workflow.VERIFICATION, row.verification_state, state):
        raise Conflict(
            "verification_not_asked"
            if state != facts.VerificationState.ASKED
            else "verification_state_conflict",
            _("The organisation has not asked to be verified, or has been decided on already."),
            remedy=_("Load the page again to see how it stands."),
        )


def _record(actor: Actor, row: Organisation, action: str, *, reason: str = "") -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="organisation",
        subject_id=row.pk,
        after={"verification_state": row.verification_state, **({"reason": reason} if reason else {})},
    )
