# ruff: noqa: SLF001 - `_meta` and `_default_manager` are Django's public way to look at models
"""Where people are in the database: for showing them what is kept about them, and for erasing it.

Identity's own tables are written out below. Other rooms keep two things about a person, both by a convention
that is found here by looking at the models, so that a new table need not be announced: an id (`…_by_id`,
`person_id`, or a foreign key to `Person`), which stays, for it tells nobody who somebody was once their name is
gone; and beside it what they were called then (`by_name`, `…_by_name`), which is overwritten. A name without an id is
overwritten where nobody else was ever called so. Append-only tables whose trigger does not let a name be erased are
left as they are: what an officer put into the books in office is kept by law (docs/privacy.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.db import connection, models

from dure.control.foundation import triggers
from dure.control.foundation.models import AuditEvent, Notice, OutboxMail
from dure.control.identity import account_selectors, selectors
from dure.control.identity.models import Consent, ErasureRequest, Membership, Person

_MOST_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class NameColumn:
    """A column that holds what a person was called; `by` is the column with their id, if there is one."""

    model: type[models.Model]
    name: str
    by: str | None
    kept: bool

    @property
    def label(self) -> str:
        return f"{self.model._meta.label}.{self.name}"


def name_columns() -> Iterator[NameColumn]:
    """Every column of ours in which a person's name stands beside what they did."""
    for model in _ours():
        columns = {field.attname for field in model._meta.concrete_fields}
        for column in sorted(columns):
            if column == "by_name" or column.endswith("_by_name"):
                beside = [column.removesuffix("name") + "id", *(["person_id"] if column == "by_name" else [])]
                by = next((one for one in beside if one in columns), None)
                yield NameColumn(model, column, by, kept=_append_only(model))


def id_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every column of ours that holds a person's id."""
    for model in _ours():
        for field in model._meta.concrete_fields:
            points = isinstance(field, models.ForeignKey) and field.related_model is Person
            if points or field.attname == "person_id" or field.attname.endswith("_by_id"):
                yield model, field.attname


def _ours() -> Iterator[type[models.Model]]:
    for model in apps.get_models():
        if model.__module__.startswith("dure.") and model._meta.managed:
            yield model


def _append_only(model: type[models.Model]) -> bool:
    return any(trigger.name == triggers.APPEND_ONLY for trigger in getattr(model._meta, "triggers", ()))


def overwrite_names(*, person_id: UUID, name: str, pseudonym: str) -> list[str]:
    """Put the pseudonym where the person's name stands; returns the columns in which it may still stand."""
    unique = not Person.objects.filter(name=name).exclude(pk=person_id).exists()
    left = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, 'on', true)", [triggers.ERASING])
    for column in name_columns():
        rows = column.model._default_manager.all()
        if column.kept:
            if rows.filter(**{column.name: name}).exists():
                left.append(column.label)
        elif column.by:
            rows.filter(**{column.by: person_id}).exclude(**{column.name: ""}).update(
                **{column.name: pseudonym}
            )
        elif unique:
            rows.filter(**{column.name: name}).update(**{column.name: pseudonym})
        elif rows.filter(**{column.name: name}).exists():
            left.append(column.label)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, 'off', true)", [triggers.ERASING])
    return left


def export(person_id: UUID) -> dict[str, Any]:
    """Everything that is kept about a person, for them to read and to take along (PIPA art. 35, 35-2)."""
    person = Person.objects.get(pk=person_id)
    return {
        "person": {
            "id": person.pk,
            "name": person.name,
            "email": person.email,
            "language": person.language,
            "created_at": person.created_at,
            "email_verified_at": person.email_verified_at,
            "last_sign_in_at": person.last_login,
            "has_password": person.has_usable_password(),
        },
        "addresses": list(EmailAddress.objects.filter(user=person).values("email", "verified", "primary")),
        "consents": list(Consent.objects.filter(person=person).values("version", "language", "given_at")),
        "memberships": [
            {
                "organisation": row.organisation.slug,
                "roles": row.roles,
                "valid_from": row.valid_from,
                "valid_until": row.valid_until,
            }
            for row in Membership.objects.select_related("organisation").filter(person=person)
        ],
        "tokens": [
            {
                "name": token.name,
                "starts_with": token.prefix,
                "scopes": token.scopes,
                "organisation": token.organisation.slug if token.organisation else None,
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "revoked_at": token.revoked_at,
                "last_used_at": token.last_used_at,
            }
            for token in selectors.tokens_of(person_id)
        ],
        "second_factors": list(
            Authenticator.objects.filter(user=person).values("type", "created_at", "last_used_at")
        ),
        "sign_in_services": list(
            SocialAccount.objects.filter(user=person).values("provider", "uid", "date_joined", "last_login")
        ),
        "sessions": [
            {
                "device": row.device,
                "address": row.address,
                "created_at": row.created_at,
                "last_used_at": row.last_used_at,
            }
            for row in account_selectors.sessions_of(person_id)
        ],
        "sign_ins": [
            {"at": row.at, "outcome": row.outcome, "device": row.agent, "address": row.address}
            for row in account_selectors.sign_ins_of(person_id, limit=_MOST_EVENTS)
        ],
        "notices": list(
            Notice.objects.filter(person_id=person_id).values(
                "created_at", "title", "text", "path", "read_at"
            )
        ),
        "mail": list(
            OutboxMail.objects.filter(to__iexact=person.email).values("created_at", "subject", "sent_at")
        ),
        "erasure_requests": list(
            ErasureRequest.objects.filter(person=person).values("state", "asked_at", "due_at", "ended_at")
        ),
        "what_you_did": list(
            AuditEvent.objects.filter(person_id=person_id)
            .order_by("-sequence")
            .values("at", "action", "subject_kind", "subject_id")[:_MOST_EVENTS]
        ),
        "where_your_id_stands": _places(person_id),
    }


def _places(person_id: UUID) -> dict[str, int]:
    """Tables in which the person's id stands, with the number of rows."""
    counted = {
        f"{model._meta.label}.{column}": model._default_manager.filter(**{column: person_id}).count()
        for model, column in id_columns()
    }
    return {place: count for place, count in counted.items() if count}
