"""Personal access tokens."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import selectors
from dure.control.identity.models import Person, PersonalAccessToken, Scope
from dure.control.identity.selectors import TokenView
from dure.control.identity.services.names import tidy_name

TOKEN_PREFIX = "dure-pat-"  # noqa: S105 - what every token starts with, not one
MAX_TOKENS = 20
TOKEN_LIFETIME = timedelta(days=90)
LONGEST_TOKEN_LIFETIME = timedelta(days=366)


@transaction.atomic
def issue_token(
    *,
    actor: Actor,
    name: str,
    expires_at: datetime | None = None,
    scopes: Collection[str] = tuple(Scope.values),
) -> tuple[TokenView, str]:
    """A personal access token for the organisation one acts for; the secret is in the answer only.

    `scopes` are of `read` and `write`. A token cannot make tokens: a lost one must end with its date.
    """
    if actor.person_id is None:
        raise Forbidden
    if actor.scopes is not None:
        raise Forbidden(_("A token cannot issue tokens; sign in to the portal."), code="session_required")
    wanted = frozenset(scopes)
    if not wanted or not wanted <= set(Scope.values):
        raise Invalid(
            "scope_unknown",
            _("“%(scopes)s” is nothing that a token may do.")
            % {"scopes": ", ".join(sorted(wanted - set(Scope.values))) or "–"},
            field="scopes",
            remedy=_("Choose one or more of: %(scopes)s.") % {"scopes": ", ".join(Scope.values)},
        )
    now = clock.now()
    expires_at = expires_at or now + TOKEN_LIFETIME
    if expires_at <= now:
        raise Invalid("expiry_in_the_past", _("The end date lies in the past."), field="expires_at")
    if expires_at > now + LONGEST_TOKEN_LIFETIME:
        raise Invalid(
            "expiry_too_far",
            _("A token lives for a year at most."),
            field="expires_at",
            remedy=_("Choose an earlier end date."),
        )
    Person.objects.select_for_update().get(pk=actor.person_id)
    if sum(token.active for token in selectors.tokens_of(actor.person_id)) >= MAX_TOKENS:
        raise Conflict(
            "too_many_tokens",
            _("You have %(n)d active tokens already.") % {"n": MAX_TOKENS},
            remedy=_("Revoke one that you no longer use."),
        )
    visible = secrets.token_hex(4)
    secret = f"{TOKEN_PREFIX}{visible}-{secrets.token_urlsafe(32)}"
    row = PersonalAccessToken.objects.create(
        person_id=actor.person_id,
        organisation_id=actor.organisation_id,
        name=tidy_name(name)[:100],
        prefix=visible,
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        scopes=[scope for scope in Scope.values if scope in wanted],
        expires_at=expires_at,
    )
    audit.record(
        actor=actor,
        action="token.issued",
        subject_kind="person",
        subject_id=actor.person_id,
        after={"token": row.pk, "prefix": visible, "scopes": row.scopes, "expires_at": expires_at},
    )
    return selectors.token_view(row), secret


@transaction.atomic
def revoke_token(*, actor: Actor, token_id: UUID) -> TokenView:
    """Revoke one's own token, or as an operator at the command line anybody's; again changes nothing."""
    rows = PersonalAccessToken.objects.select_for_update().filter(pk=token_id)
    if not actor.is_system:
        rows = rows.filter(person_id=actor.person_id) if actor.person_id else rows.none()
    row = rows.first()
    if row is None:
        raise NotFound(code="token_not_found")
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        row.save(update_fields=["revoked_at"])
        audit.record(
            actor=actor,
            action="token.revoked",
            subject_kind="person",
            subject_id=row.person_id,
            after={"token": row.pk, "prefix": row.prefix},
        )
    return selectors.token_view(row)
