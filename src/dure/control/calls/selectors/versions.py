"""Forms and rules by their version. What a published round uses never changes, so it is read and parsed once."""

from functools import lru_cache
from typing import Any
from uuid import UUID

from dure.control.calls import meaning
from dure.control.calls.eligibility import Requirement
from dure.control.calls.forms import Form
from dure.control.calls.models import FormVersion, RuleVersion
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page


def form_of(form_version_id: UUID | None) -> Form:
    """The form of a version, a `forms.Form`; an empty one where a draft has none yet."""
    if form_version_id is None:
        return meaning.form(meaning.EMPTY["form"])
    return meaning.form(*_form(form_version_id))


def requirements_of(rule_version_id: UUID | None) -> tuple[Requirement, ...]:
    """The requirements of a version, a tuple of `eligibility.Requirement`."""
    if rule_version_id is None:
        return meaning.requirements([])
    return meaning.requirements(*_rules(rule_version_id))


class _ChangesStillError(Exception):
    """A draft, which no memory may keep."""

    def __init__(self, found: tuple[Any, str]) -> None:
        self.found = found


def _form(version_id: UUID) -> tuple[Any, str]:
    try:
        return _frozen_form(version_id)
    except _ChangesStillError as draft:
        return draft.found


def _rules(version_id: UUID) -> tuple[Any, str]:
    try:
        return _frozen_rules(version_id)
    except _ChangesStillError as draft:
        return draft.found


@lru_cache(maxsize=256)
def _frozen_form(version_id: UUID) -> tuple[Any, str]:
    return _read(FormVersion, version_id)


@lru_cache(maxsize=256)
def _frozen_rules(version_id: UUID) -> tuple[Any, str]:
    return _read(RuleVersion, version_id)


@once_a_page
def _read(model: type[FormVersion] | type[RuleVersion], version_id: UUID) -> tuple[Any, str]:
    row = model.objects.filter(pk=version_id).first()
    if row is None:
        raise NotFound(code="version_not_found")
    if row.frozen_at is None:
        raise _ChangesStillError((row.content, row.digest))
    return row.content, row.digest
