"""Verbs of access: open, limit and close entitlements; issue, limit, revoke and rotate keys.

Every change is published to the gateway's directory in its own transaction, after the audit trail (the
order of locks in every room: rows, ledger books, audit trail, directory).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from dure.contracts.directory import AwardEntry, KeyEntry
from dure.control.access import limits as limiting
from dure.control.access import rules, secret
from dure.control.access.limits import AWARD_COLUMNS, KEY_COLUMNS, KeyLimits, Limits
from dure.control.access.limits import endpoints as known_endpoints
from dure.control.access.limits import models as known_models
from dure.control.access.models import ApiKey, Entitlement
from dure.control.access.selectors import (
    EntitlementView,
    KeyView,
    entitlement_view,
    key_view,
    successor_of,
)
from dure.control.foundation import audit, clock, directory
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound

__all__ = [
    "IssuedKey",
    "KeyLimits",
    "Limits",
    "change_key_limits",
    "change_limits",
    "close_entitlement",
    "issue_key",
    "known_endpoints",
    "known_models",
    "open_entitlement",
    "release_entitlement",
    "revoke_key",
    "rotate_key",
    "sweep_expired_keys",
]

MAX_NAME = 80
MAX_OVERLAP = timedelta(days=30)
_MAX_VALIDITY = timedelta(days=3_660)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its secret, which is shown this once."""

    key: KeyView
    secret: str = field(repr=False)


def open_entitlement(
    *,
    actor: Actor,
    award_id: UUID,
    organisation_id: UUID,
    programme_id: UUID,
    agency_id: UUID | None,
    valid_from: datetime,
    valid_until: datetime | None,
    limits: Limits | None = None,
    held: bool = False,
) -> None:
    """The right to call that comes with an award; the room above has decided that it is granted.

    `held`: keys can be issued, but calls are refused until `release_entitlement`.
    """
    allowed = limiting.columns(limiting.as_changes(limits or Limits()), AWARD_COLUMNS)
    with transaction.atomic():
        row = Entitlement.objects.create(
            id=award_id,
            organisation_id=organisation_id,
            agency_id=agency_id,
            programme_id=programme_id,
            valid_from=valid_from,
            valid_until=valid_until,
            held=held,
            created_at=clock.now(),
            **allowed,
        )
        audit.record(
            actor=actor,
            action="entitlement.opened",
            subject_kind="award",
            subject_id=award_id,
            after={
                "valid_from": valid_from,
                "valid_until": valid_until,
                "models": row.model_names,
                **_set(allowed),
            },
        )
        directory.publish("award", _award_entry(row))


def release_entitlement(*, actor: Actor, award_id: UUID) -> bool:
    """Let a held entitlement call. False if it was not held, or is closed."""
    with transaction.atomic():
        row = Entitlement.objects.select_for_update(no_key=True).filter(pk=award_id).first()
        if row is None:
            raise NotFound
        if not row.held or row.closed_at is not None:
            return False
        row.held = False
        row.save(update_fields=["held"])
        audit.record(actor=actor, action="entitlement.released", subject_kind="award", subject_id=award_id)
        directory.publish("award", _award_entry(row))
    return True


def change_limits(
    *, actor: Actor, award_id: UUID, changes: Mapping[str, Any], at: datetime | None = None
) -> tuple[EntitlementView, bool]:
    """Set the limits that `changes` names (see `Limits`), by officers of the agency whose money it is.

    None, or an empty tuple, removes one; gateways know within a second. The second value is False when all
    stood so already: then nothing is changed.
    """
    now = at or clock.now()
    with transaction.atomic():
        row = Entitlement.objects.select_for_update(no_key=True).filter(pk=award_id).first()
        if row is None or not rules.may_see(actor, row.organisation_id, row.agency_id, row.programme_id):
            raise NotFound(_("There is no award with this id."), code="award_not_found")
        if not rules.may_limit(actor, row.agency_id, row.programme_id):
            raise Forbidden
        if row.closed_at is not None or (row.valid_until is not None and row.valid_until <= now):
            raise Conflict("award_ended", _("This award has ended; its limits stay as they were."))
        before, after = _change(row, limiting.columns(changes, AWARD_COLUMNS))
        if not after:
            return entitlement_view(row), False
        audit.record(
            actor=actor,
            action="entitlement.limited",
            subject_kind="award",
            subject_id=award_id,
            before=before,
            after=after,
        )
        directory.publish("award", _award_entry(row))
    return entitlement_view(row), True


def change_key_limits(
    *, actor: Actor, key_id: UUID, changes: Mapping[str, Any], at: datetime | None = None
) -> tuple[KeyView, bool]:
    """Set the limits of a key that `changes` names (see `KeyLimits`), by those who could issue it.

    Both the key's limits and its award's hold, so a key may well be given more than its award has.
    """
    now = at or clock.now()
    with transaction.atomic():
        row = _key(actor, key_id)
        if not rules.may_issue(actor, row.entitlement.organisation_id):
            raise Forbidden(
                _("Only administrators and developers of the award's organisation can limit its keys."),
                code="not_yours_to_limit",
            )
        view = key_view(row, now=now, replaced_by_id=successor_of(row.pk))
        if not view.works:
            raise Conflict(
                "key_not_working",
                _("Only a key that works can be limited; this one is %(state)s.")
                % {"state": pgettext("state of a key", view.state)},
                data={"state": view.state},
            )
        before, after = _change(row, limiting.columns(changes, KEY_COLUMNS))
        if not after:
            return view, False
        audit.record(
            actor=actor,
            action="key.limited",
            subject_kind="award",
            subject_id=row.entitlement_id,
            before=before,
            after={"key": str(row.pk), "prefix": row.prefix, **after},
        )
        directory.publish("key", _key_entry(row))
    return key_view(row, now=now, replaced_by_id=view.replaced_by_id), True


def close_entitlement(*, actor: Actor, award_id: UUID, reason: str, at: datetime | None = None) -> bool:
    """Stop every call of an award: its entry and keys leave the directory. False if closed before."""
    with transaction.atomic():
        row = Entitlement.objects.select_for_update(no_key=True).filter(pk=award_id).first()
        if row is None:
            raise NotFound
        if row.closed_at is not None:
            return False
        row.closed_at = at or clock.now()
        row.save(update_fields=["closed_at"])
        open_keys = list(ApiKey.objects.filter(entitlement=row, revoked_at=None).order_by("pk"))
        ApiKey.objects.filter(entitlement=row, revoked_at=None).update(
            revoked_at=row.closed_at, revoke_reason=reason[:300]
        )
        audit.record(
            actor=actor,
            action="entitlement.closed",
            subject_kind="award",
            subject_id=award_id,
            after={"reason": reason, "keys_revoked": [key.prefix for key in open_keys]},
        )
        directory.withdraw("award", award_id)
        for key in open_keys:
            directory.withdraw("key", key.pk)
    return True


def issue_key(
    *,
    actor: Actor,
    award_id: UUID,
    name: str = "",
    valid_from: datetime | None = None,
    expires_at: datetime | None = None,
    limits: KeyLimits | None = None,
    at: datetime | None = None,
) -> IssuedKey:
    """A new key for an award. The secret in the answer exists nowhere else."""
    now = at or clock.now()
    name = _name(name)
    own = limiting.columns(limiting.as_changes(limits or KeyLimits()), KEY_COLUMNS)
    with transaction.atomic():
        entitlement = _entitlement_to_issue(actor, award_id, now)
        _check_expiry(expires_at, now)
        _check_start(valid_from, expires_at, now)
        _check_count(entitlement, now)
        row, text = _create(actor, entitlement, name, expires_at, now, {"valid_from": valid_from, **own})
        begins = {"valid_from": valid_from} if valid_from else {}
        _audit(
            actor, "key.issued", row, after={"name": name, "expires_at": expires_at, **begins, **_set(own)}
        )
        directory.publish("key", _key_entry(row))
    return IssuedKey(key=key_view(row, now=now), secret=text)


def revoke_key(
    *, actor: Actor, key_id: UUID, reason: str = "", at: datetime | None = None
) -> tuple[KeyView, bool]:
    """Stop a key for good. The second value is False when it was revoked already: then nothing is changed."""
    now = at or clock.now()
    with transaction.atomic():
        row = _key(actor, key_id)
        entitlement = row.entitlement
        if not rules.may_revoke(
            actor, entitlement.organisation_id, entitlement.agency_id, entitlement.programme_id
        ):
            raise Forbidden
        if row.revoked_at is not None:
            return key_view(row, now=now), False
        row.revoked_at, row.revoke_reason = now, reason.strip()[:300]
        row.save(update_fields=["revoked_at", "revoke_reason"])
        _audit(actor, "key.revoked", row, after={"reason": row.revoke_reason})
        directory.withdraw("key", row.pk)
    return key_view(row, now=now), True


def rotate_key(
    *,
    actor: Actor,
    key_id: UUID,
    overlap: timedelta = timedelta(hours=24),
    expires_at: datetime | None = None,
    at: datetime | None = None,
) -> IssuedKey:
    """A successor for a key; the old one works on for `overlap`, so that no call fails while it is exchanged.

    The successor has the old key's limits, and expires when that would have, unless `expires_at` says otherwise.
    """
    now = at or clock.now()
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid(
            "overlap_out_of_range",
            _("The old key can work on for 0 to %(days)s days.") % {"days": MAX_OVERLAP.days},
            field="overlap",
        )
    with transaction.atomic():
        # The entitlement before its key, as when an award is closed; the other order could deadlock.
        entitlement = _entitlement_to_issue(actor, _award_of(actor, key_id), now)
        old = _key(actor, key_id)
        state = key_view(old, now=now, replaced_by_id=successor_of(old.pk)).state
        if state != "active":
            raise Conflict(
                "key_not_active",
                _("Only an active key can be rotated; this one is %(state)s.")
                % {"state": pgettext("state of a key", state)},
                remedy=_("Issue a new key instead."),
                data={"state": state},
            )
        _check_expiry(expires_at, now)
        own = {name: getattr(old, name) for name in (*KEY_COLUMNS.values(), "valid_from")}
        row, text = _create(
            actor, entitlement, old.name, expires_at or old.expires_at, now, own, replaces=old
        )
        ends = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
        if overlap:
            old.expires_at = ends
        else:
            old.revoked_at, old.revoke_reason = now, "rotated"
        old.save(update_fields=["expires_at", "revoked_at", "revoke_reason"])
        _audit(actor, "key.rotated", old, after={"replaced_by": row.prefix, "works_until": ends})
        if overlap:
            directory.publish("key", _key_entry(old))
        else:
            directory.withdraw("key", old.pk)
        directory.publish("key", _key_entry(row))
    return IssuedKey(key=key_view(row, now=now), secret=text)


def sweep_expired_keys(*, at: datetime | None = None, limit: int = 1_000) -> int:
    """Take lately expired keys out of the directory; gateways refuse them by their date already."""
    now = at or clock.now()
    with transaction.atomic():
        ids = list(
            ApiKey.objects.filter(
                expires_at__lte=now, expires_at__gt=now - timedelta(days=3), revoked_at=None
            ).values_list("pk", flat=True)[:limit]
        )
        for key_id in ids:
            directory.withdraw("key", key_id)
    return len(ids)


def _entitlement_to_issue(actor: Actor, award_id: UUID, now: datetime) -> Entitlement:
    """The entitlement, locked so that keys of one award are counted and made one at a time."""
    row = Entitlement.objects.select_for_update(no_key=True).filter(pk=award_id).first()
    if row is None or not rules.may_see(actor, row.organisation_id, row.agency_id, row.programme_id):
        raise NotFound(_("There is no award with this id."), code="award_not_found")
    if not rules.may_issue(actor, row.organisation_id):
        raise Forbidden(
            _("Only administrators and developers of the award's organisation can issue its keys."),
            code="not_yours_to_issue",
        )
    if row.closed_at is not None or (row.valid_until is not None and row.valid_until <= now):
        raise Conflict("award_ended", _("This award has ended; it can have no new keys."))
    return row


def _award_of(actor: Actor, key_id: UUID) -> UUID:
    row = ApiKey.objects.select_related("entitlement").filter(pk=key_id).first()
    if row is None or not rules.may_see(
        actor, row.entitlement.organisation_id, row.entitlement.agency_id, row.entitlement.programme_id
    ):
        raise NotFound(_("There is no key with this id."), code="key_not_found")
    return row.entitlement_id


def _key(actor: Actor, key_id: UUID) -> ApiKey:
    row = (
        ApiKey.objects.select_for_update(of=("self",), no_key=True)
        .select_related("entitlement")
        .filter(pk=key_id)
        .first()
    )
    if row is None or not rules.may_see(
        actor, row.entitlement.organisation_id, row.entitlement.agency_id, row.entitlement.programme_id
    ):
        raise NotFound(_("There is no key with this id."), code="key_not_found")
    return row


def _name(name: str) -> str:
    name = " ".join(name.split())
    if len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(
            "key_name_invalid",
            _("A key's name has at most %(most)s printable characters.") % {"most": MAX_NAME},
            field="name",
        )
    return name


def _check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is None:
        return
    if expires_at <= now:
        raise Invalid("expiry_in_past", _("The expiry must lie ahead."), field="expires_at")
    if expires_at - now > _MAX_VALIDITY:
        raise Invalid("expiry_too_far", _("A key lives ten years at most."), field="expires_at")


def _check_start(valid_from: datetime | None, expires_at: datetime | None, now: datetime) -> None:
    if valid_from is None:
        return
    if expires_at is not None and valid_from >= expires_at:
        raise Invalid("start_after_expiry", _("A key must start before it expires."), field="valid_from")
    if valid_from - now > _MAX_VALIDITY:
        raise Invalid("start_too_far", _("A key starts within ten years."), field="valid_from")


def _check_count(entitlement: Entitlement, now: datetime) -> None:
    most = getattr(settings, "DURE_MAX_KEYS_PER_AWARD", 20)
    active = (
        ApiKey.objects.filter(entitlement=entitlement, revoked_at=None, replaced_by=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .count()
    )
    if active >= most:
        raise Conflict(
            "too_many_keys",
            _("This award has %(count)s active keys, and %(most)s is the most.")
            % {"count": active, "most": most},
            remedy=_("Revoke one that is no longer used."),
            data={"active": active, "most": most},
        )


def _create(
    actor: Actor,
    entitlement: Entitlement,
    name: str,
    expires_at: datetime | None,
    now: datetime,
    own: Mapping[str, Any],
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    made = secret.generate()
    row = ApiKey.objects.create(
        entitlement=entitlement,
        name=name,
        prefix=made.prefix,
        digest=made.digest,
        created_at=now,
        created_by_id=actor.person_id,
        created_by_name=actor.name[:200],
        expires_at=expires_at,
        replaces=replaces,
        **own,
    )
    return row, made.text


def _change(row: Entitlement | ApiKey, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Save what differs; what it was and what it is, empty where nothing does."""
    before = {name: getattr(row, name) for name, value in wanted.items() if getattr(row, name) != value}
    after = {name: wanted[name] for name in before}
    if after:
        for name, value in after.items():
            setattr(row, name, value)
        row.save(update_fields=list(after))
    return before, after


def _set(limits: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that limit anything, for the audit trail."""
    return {name: value for name, value in limits.items() if value not in (None, [])}


def _audit(actor: Actor, action: str, row: ApiKey, after: dict[str, object]) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="award",
        subject_id=row.entitlement_id,
        after={"key": str(row.pk), "prefix": row.prefix, **after},
    )


def _award_entry(row: Entitlement) -> AwardEntry:
    return AwardEntry(
        id=str(row.pk),
        organisation=str(row.organisation_id),
        programme=str(row.programme_id),
        valid_from=clock.to_unix_us(row.valid_from),
        valid_until=clock.to_unix_us(row.valid_until) if row.valid_until else None,
        models=tuple(row.model_names),
        max_tokens_ceiling=row.max_tokens_ceiling,
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrency=row.concurrency,
        networks=tuple(row.networks),
        endpoints=tuple(row.endpoint_names),
        held=row.held,
    )


def _key_entry(row: ApiKey) -> KeyEntry:
    return KeyEntry(
        id=str(row.pk),
        digest=row.digest,
        award=str(row.entitlement_id),
        prefix=row.prefix,
        expires_at=clock.to_unix_us(row.expires_at) if row.expires_at else None,
        name=row.name,
        valid_from=clock.to_unix_us(row.valid_from) if row.valid_from else None,
        models=tuple(row.model_names),
        networks=tuple(row.networks),
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrency=row.concurrency,
    )
