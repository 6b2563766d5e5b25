"""Questions about entitlements and keys. Secrets are nowhere to ask for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Count, OuterRef, Q, Subquery

from dure.control.access import rules
from dure.control.access.models import ApiKey, Entitlement
from dure.control.access.secret import digest
from dure.control.access.workflow import WORKING, key_state
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page

__all__ = [
    "EntitlementView",
    "KeyView",
    "agencies_of",
    "agency_by_award",
    "entitlement",
    "entitlement_view",
    "key",
    "key_ids_for_secrets",
    "key_view",
    "keys",
    "may_issue",
    "may_limit",
    "may_revoke",
    "names_of_keys",
    "working_key_counts",
    "working_keys",
]


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without its secret. `state` is active, replaced (in a rotation's overlap), expired or revoked."""

    id: UUID
    award_id: UUID
    name: str
    prefix: str
    state: str
    created_at: datetime
    created_by_id: UUID | None
    created_by_name: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoke_reason: str
    replaces_id: UUID | None
    replaced_by_id: UUID | None
    valid_from: datetime | None
    models: tuple[str, ...]
    networks: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None

    @property
    def is_limited(self) -> bool:
        """Whether it has limits of its own, beside its award's."""
        counts = (self.requests_per_minute, self.tokens_per_minute, self.concurrency)
        return bool(self.models or self.networks) or any(count is not None for count in counts)

    @property
    def works(self) -> bool:
        return self.state in WORKING


@dataclass(frozen=True, slots=True)
class EntitlementView:
    """What an award may call. None and an empty tuple mean no limit."""

    award_id: UUID
    organisation_id: UUID
    agency_id: UUID | None
    programme_id: UUID
    valid_from: datetime
    valid_until: datetime | None
    closed_at: datetime | None
    models: tuple[str, ...]
    max_tokens_ceiling: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    networks: tuple[str, ...]
    endpoints: tuple[str, ...]
    held: bool
    max_keys: int

    def is_open(self, at: datetime) -> bool:
        ended = self.valid_until is not None and self.valid_until <= at
        return self.closed_at is None and self.valid_from <= at and not ended


def key_view(row: ApiKey, *, now: datetime, replaced_by_id: UUID | None = None) -> KeyView:
    return KeyView(
        id=row.pk,
        award_id=row.entitlement_id,
        name=row.name,
        prefix=row.prefix,
        state=key_state(
            now=now,
            revoked_at=row.revoked_at,
            expires_at=row.expires_at,
            replaced=replaced_by_id is not None,
        ),
        created_at=row.created_at,
        created_by_id=row.created_by_id,
        created_by_name=row.created_by_name,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoke_reason=row.revoke_reason,
        replaces_id=row.replaces_id,
        replaced_by_id=replaced_by_id,
        valid_from=row.valid_from,
        models=tuple(row.model_names),
        networks=tuple(row.networks),
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrency=row.concurrency,
    )


def keys(
    *, actor: Actor, award_id: UUID, working_only: bool = False, at: datetime | None = None
) -> list[KeyView]:
    """An award's keys, newest first."""
    _visible(actor, award_id)
    now = at or clock.now()
    rows = ApiKey.objects.filter(entitlement_id=award_id).order_by("-created_at", "-pk")
    found = list(rows)
    successors = {row.replaces_id: row.pk for row in found if row.replaces_id}
    views = [key_view(row, now=now, replaced_by_id=successors.get(row.pk)) for row in found]
    return [view for view in views if view.works or not working_only]


def key(*, actor: Actor, key_id: UUID, at: datetime | None = None) -> KeyView:
    row = ApiKey.objects.select_related("entitlement").filter(pk=key_id).first()
    if row is None or not rules.may_see(
        actor, row.entitlement.organisation_id, row.entitlement.agency_id, row.entitlement.programme_id
    ):
        raise NotFound
    return key_view(row, now=at or clock.now(), replaced_by_id=successor_of(row.pk))


def successor_of(key_id: UUID) -> UUID | None:
    return ApiKey.objects.filter(replaces_id=key_id).values_list("pk", flat=True).first()


def entitlement(*, actor: Actor, award_id: UUID) -> EntitlementView:
    return entitlement_view(_visible(actor, award_id))


def entitlement_view(row: Entitlement) -> EntitlementView:
    return EntitlementView(
        award_id=row.pk,
        organisation_id=row.organisation_id,
        agency_id=row.agency_id,
        programme_id=row.programme_id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        closed_at=row.closed_at,
        models=tuple(row.model_names),
        max_tokens_ceiling=row.max_tokens_ceiling,
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrency=row.concurrency,
        networks=tuple(row.networks),
        endpoints=tuple(row.endpoint_names),
        held=row.held,
        max_keys=getattr(settings, "DURE_MAX_KEYS_PER_AWARD", 20),
    )


def agencies_of(*, award_ids: Collection[UUID]) -> set[UUID | None]:
    """Whose money these awards are; None stands for programmes without an agency."""
    return set(Entitlement.objects.filter(pk__in=award_ids).values_list("agency_id", flat=True))


def agency_by_award(*, award_ids: Collection[UUID]) -> dict[UUID, UUID | None]:
    """As `agencies_of`, one by one."""
    return dict(Entitlement.objects.filter(pk__in=award_ids).values_list("pk", "agency_id"))


def may_issue(*, actor: Actor, award_id: UUID) -> bool:
    """Whether to offer the button; the service decides again."""
    row = _visible(actor, award_id)
    return rules.may_issue(actor, row.organisation_id) and row.closed_at is None


def may_limit(*, actor: Actor, award_id: UUID) -> bool:
    """Whether to offer changing the award's limits; the service decides again."""
    row = _visible(actor, award_id)
    return rules.may_limit(actor, row.agency_id, row.programme_id) and row.closed_at is None


def may_revoke(*, actor: Actor, award_id: UUID) -> bool:
    row = _visible(actor, award_id)
    return rules.may_revoke(actor, row.organisation_id, row.agency_id, row.programme_id)


def working_keys(*, actor: Actor, award_ids: Collection[UUID], at: datetime | None = None) -> list[KeyView]:
    """The keys of several awards that open the gateway now, newest first; others' awards are left out."""
    now = at or clock.now()
    successor = ApiKey.objects.filter(replaces_id=OuterRef("pk")).values("pk")[:1]
    rows = (
        ApiKey.objects.select_related("entitlement")
        .annotate(successor_id=Subquery(successor))
        .filter(entitlement_id__in=award_ids, revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .order_by("-created_at", "-pk")
    )
    found = [
        row
        for row in rows
        if rules.may_see(
            actor, row.entitlement.organisation_id, row.entitlement.agency_id, row.entitlement.programme_id
        )
    ]
    return [key_view(row, now=now, replaced_by_id=row.successor_id) for row in found]


def names_of_keys(*, key_ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
    """Name and prefix by id, for lists whose rows the caller may already see."""
    rows = ApiKey.objects.filter(pk__in=key_ids).values_list("pk", "name", "prefix")
    return {key_id: (name, prefix) for key_id, name, prefix in rows}


def working_key_counts(*, award_ids: Collection[UUID], at: datetime | None = None) -> dict[UUID, int]:
    """How many keys of each award open the gateway now; awards without one are absent."""
    now = at or clock.now()
    rows = (
        ApiKey.objects.filter(entitlement_id__in=award_ids, revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .values_list("entitlement_id")
        .annotate(count=Count("pk"))
    )
    return dict(rows)


def key_ids_for_secrets(*, secrets: Collection[str]) -> dict[str, UUID]:
    """Which key a secret belongs to, for those who hold the secret; unknown ones are absent."""
    digests = {digest(text): text for text in secrets}
    rows = ApiKey.objects.filter(digest__in=digests).values_list("digest", "pk")
    return {digests[hashed]: key_id for hashed, key_id in rows}


@once_a_page
def _visible(actor: Actor, award_id: UUID) -> Entitlement:
    row = Entitlement.objects.filter(pk=award_id).first()
    if row is None or not rules.may_see(actor, row.organisation_id, row.agency_id, row.programme_id):
        raise NotFound
    return row
