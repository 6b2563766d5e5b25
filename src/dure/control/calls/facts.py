"""What is known of an organisation, as eligibility rules ask it: gathered from the rooms below, judged nowhere here.

What is not stated is None, and no rule takes it for a no.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from uuid import UUID

from dure.control.calls.eligibility import ATTRIBUTES
from dure.control.foundation import clock
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationProfile
from dure.control.programmes import selectors as programmes

_DOCUMENTS = tuple(key for key, one in ATTRIBUTES.items() if one.kind == "document")


def whole_months(since: date, until: date) -> int:
    """Whole months of the calendar; from the 31st to the 30th is none."""
    return max((until.year - since.year) * 12 + until.month - since.month - (until.day < since.day), 0)


def facts_of(
    organisation_id: UUID, *, at: datetime | None = None, profile: OrganisationProfile | None = None
) -> dict[str, object]:
    """Everything that rules may ask of one organisation, in a fixed number of queries. Money in micro-won.

    Support and running awards are those of its whole ownership group. `at` says how old it is; `profile` is its, where
    it is at hand.
    """
    group = identity.ownership_group(organisation_id)
    received = programmes.support_of(group).values()
    return {
        **_stated(
            profile or identity.profile(organisation_id), (at or clock.now()).astimezone(clock.SEOUL).date()
        ),
        **_documents(organisation_id),
        "group.support_micro_won": sum(micro_won for micro_won, _ in received),
        "group.open_awards": sum(running for _, running in received),
        "group.size": len(group),
    }


def facts_of_everybody(*, at: datetime | None = None) -> Iterator[dict[str, object]]:
    """The same for every active organisation, in a fixed number of queries."""
    day = (at or clock.now()).astimezone(clock.SEOUL).date()
    documents, groups = identity.every_document_state(), identity.every_group()
    support = programmes.support_by_organisation()
    for profile in identity.every_profile():
        states = documents.get(profile.id, {})
        group = groups.get(profile.id) or frozenset({profile.id})
        received = [support[one] for one in group if one in support]
        yield {
            **_stated(profile, day),
            **{key: states.get(key.removeprefix("document."), "missing") for key in _DOCUMENTS},
            "group.support_micro_won": sum(micro_won for micro_won, _ in received),
            "group.open_awards": sum(running for _, running in received),
            "group.size": len(group),
        }


def _stated(profile: OrganisationProfile, day: date) -> dict[str, object]:
    return {
        "organisation.kind": profile.kind,
        "organisation.size_class": profile.size_class,
        "organisation.age_months": whole_months(profile.founded_on, day) if profile.founded_on else None,
        "organisation.founded_on": profile.founded_on,
        "organisation.region": profile.region,
        "organisation.employees": profile.employees,
        "organisation.verified": profile.verified,
    }


def _documents(organisation_id: UUID) -> Mapping[str, str]:
    handed_in = identity.documents(organisation_id)
    valid = {one.kind for one in handed_in if one.shown_state == "accepted"}
    asked = {one.kind for one in handed_in if one.state == "asked"}
    return {key: _state(key.removeprefix("document."), valid, asked) for key in _DOCUMENTS}


def _state(kind: str, valid: Collection[str], asked: Collection[str]) -> str:
    return "valid" if kind in valid else "asked" if kind in asked else "missing"
