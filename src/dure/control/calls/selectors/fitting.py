"""Whether a call fits an organisation: facts in, findings out, and for whole lists in a fixed number of queries."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dure.control.calls import eligibility, meaning
from dure.control.calls.facts import facts_of, facts_of_everybody
from dure.control.calls.models import Round, RuleVersion
from dure.control.calls.selectors.rounds import latest_versions, round_not_found
from dure.control.calls.selectors.values import RoundView
from dure.control.calls.selectors.versions import requirements_of
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.errors import Forbidden
from dure.control.identity.selectors import OrganisationProfile


@dataclass(frozen=True, slots=True)
class Fit:
    """One organisation against one round: the findings, and what they come to (`met`, `not_met`, `needs_document`
    or `unknown`)."""

    summary: eligibility.State
    findings: list[eligibility.Finding]


def findings_for(
    round_id: UUID, organisation_id: UUID, *, at: datetime | None = None
) -> list[eligibility.Finding]:
    """Every requirement of a round with whether the organisation meets it: a list of `eligibility.Finding`."""
    row = Round.objects.filter(pk=round_id).first()
    if row is None:
        raise round_not_found()
    version = row.rule_version_id or latest_versions(RuleVersion, [row.call_id]).get(row.call_id)
    return eligibility.evaluate(requirements_of(version), facts_of(organisation_id, at=at))


def findings_under(round_: RoundView, profile: OrganisationProfile) -> list[eligibility.Finding]:
    """The same for a round and an organisation that are at hand."""
    return eligibility.evaluate(
        requirements_of(round_.rule_version_id), facts_of(profile.id, profile=profile)
    )


def fitting(
    *, organisation_id: UUID, round_ids: Collection[UUID], at: datetime | None = None
) -> dict[UUID, Fit]:
    """The same for many rounds, by round; the number of queries does not depend on how many."""
    rounds = dict(Round.objects.filter(pk__in=set(round_ids)).values_list("pk", "rule_version_id"))
    drafts = dict(
        Round.objects.filter(pk__in=[pk for pk, version in rounds.items() if version is None]).values_list(
            "pk", "call_id"
        )
    )
    latest = latest_versions(RuleVersion, set(drafts.values()))
    wanted = {pk: version or latest.get(drafts.get(pk, pk)) for pk, version in rounds.items()}
    requirements = {
        row.pk: meaning.requirements(row.content, row.digest)
        for row in RuleVersion.objects.filter(pk__in={one for one in wanted.values() if one})
    }
    facts = facts_of(organisation_id, at=at) if wanted else {}
    found = {}
    for pk, version in wanted.items():
        findings = eligibility.evaluate(requirements[version] if version else (), facts)
        found[pk] = Fit(eligibility.summary(findings), findings)
    return found


@dataclass(frozen=True, slots=True)
class Matching:
    """How many organisations there are, and how many a set of rules would fit, by what is known of them today."""

    organisations: int
    met: int
    needs_document: int
    unknown: int
    not_met: int


def matching_organisations(*, actor: Actor, content: Any) -> Matching:
    """For the rule builder, officers only: whom these rules (as JSON) would fit. Names nobody."""
    if not actor.has(*OFFICERS):
        raise Forbidden
    requirements = meaning.requirements(content)
    asked = sorted({key for one in requirements for key in _attributes(one.rule)})
    counts: Counter[tuple[object, ...]] = Counter()
    for facts in facts_of_everybody():
        counts[tuple(facts[key] for key in asked)] += 1
    states: Counter[str] = Counter()
    for values, many in counts.items():
        # Many organisations are alike in what is asked: each kind is judged once.
        facts = dict(zip(asked, values, strict=True))
        states[eligibility.summary(eligibility.evaluate(requirements, facts))] += many
    return Matching(
        organisations=counts.total(),
        met=states["met"],
        needs_document=states["needs_document"],
        unknown=states["unknown"],
        not_met=states["not_met"],
    )


def _attributes(rule: eligibility.Rule) -> Iterator[str]:
    if isinstance(rule, eligibility.Comparison):
        yield rule.attribute
        return
    for one in rule.rules:
        yield from _attributes(one)
