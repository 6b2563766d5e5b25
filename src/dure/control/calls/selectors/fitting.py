"""Whether a call fits an organisation: facts in, findings out, and for whole lists in a fixed number of queries."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dure.control.calls import eligibility, meaning
from dure.control.calls.facts import facts_of
from dure.control.calls.models import Round, RuleVersion
from dure.control.calls.selectors.rounds import latest_versions, round_not_found
from dure.control.calls.selectors.versions import requirements_of


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
