"""A key's life: issued and shown once, listed, rotated, expired, revoked; and who may do each."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.control.programmes.conftest import SYSTEM, World, acting_for, make_world

from dure.contracts.directory import DECODERS, KeyEntry
from dure.contracts.ids import uuid7
from dure.control.access import secret, selectors, services
from dure.control.access.models import ApiKey
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.models import DirectoryEntry
from dure.control.programmes import selectors as programmes
from dure.control.programmes.selectors import AwardView

DAY = timedelta(days=1)


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def award(world: World) -> AwardView:
    return world.grant()


@pytest.fixture
def developer(world: World) -> Actor:
    return acting_for(world.haneul, "developer")


def row_of(key: selectors.KeyView) -> tuple[int, KeyEntry | None]:
    row = DirectoryEntry.objects.get(kind="key", entry_id=str(key.id))
    return row.version, DECODERS["key"].decode(row.payload) if row.payload else None  # type: ignore[return-value]


def code_of(deed: Callable[[], object]) -> str:
    with pytest.raises(DureError) as caught:
        deed()
    return caught.value.code


def test_a_key_is_shown_once_and_only_its_hash_is_kept(award: AwardView, developer: Actor) -> None:
    issued = services.issue_key(actor=developer, award_id=award.id, name="  laptop ")
    assert secret.FORM.fullmatch(issued.secret)
    assert issued.secret.startswith(f"{issued.key.prefix}-")
    assert (issued.key.name, issued.key.state, issued.key.created_by_name) == (
        "laptop",
        "active",
        developer.name,
    )
    (row,) = ApiKey.objects.values()
    assert issued.secret not in str(row)
    assert issued.secret not in repr(issued)
    _, entry = row_of(issued.key)
    assert entry == KeyEntry(
        id=str(issued.key.id),
        digest=secret.digest(issued.secret),
        award=str(award.id),
        prefix=issued.key.prefix,
        name="laptop",
    )
    assert selectors.key_ids_for_secrets(secrets=[issued.secret, "dure-x"]) == {issued.secret: issued.key.id}


def test_revoking_is_for_good_and_saying_so_again_changes_nothing(award: AwardView, developer: Actor) -> None:
    key = services.issue_key(actor=developer, award_id=award.id).key
    first_version, _ = row_of(key)
    revoked, changed = services.revoke_key(actor=developer, key_id=key.id, reason="유출")
    version, entry = row_of(key)
    assert (changed, revoked.state, entry) == (True, "revoked", None)
    assert version > first_version
    again, changed = services.revoke_key(actor=developer, key_id=key.id, reason="?")
    assert (changed, again.revoke_reason, row_of(key)[0]) == (False, "유출", version)


def test_a_rotated_key_works_on_for_the_overlap(award: AwardView, developer: Actor) -> None:
    now = clock.now()
    old = services.issue_key(actor=developer, award_id=award.id, name="server", at=now)
    new = services.rotate_key(actor=developer, key_id=old.key.id, overlap=DAY, at=now)
    assert new.secret != old.secret
    assert (new.key.name, new.key.replaces_id, new.key.expires_at) == ("server", old.key.id, None)
    assert row_of(old.key)[1].expires_at == clock.to_unix_us(now + DAY)
    assert row_of(new.key)[1].expires_at is None

    def states(at) -> list[str]:
        return [key.state for key in selectors.keys(actor=developer, award_id=award.id, at=at)]

    assert states(now) == ["active", "replaced"]
    assert states(now + DAY) == ["active", "expired"]
    assert (
        code_of(lambda: services.rotate_key(actor=developer, key_id=old.key.id, at=now)) == "key_not_active"
    )


def test_rotation_without_overlap_stops_the_old_key_at_once(award: AwardView, developer: Actor) -> None:
    old = services.issue_key(actor=developer, award_id=award.id)
    services.rotate_key(actor=developer, key_id=old.key.id, overlap=timedelta(0))
    assert row_of(old.key)[1] is None
    assert selectors.key(actor=developer, key_id=old.key.id).state == "revoked"


def test_rotation_never_makes_a_key_live_longer(award: AwardView, developer: Actor) -> None:
    now = clock.now()
    old = services.issue_key(actor=developer, award_id=award.id, expires_at=now + timedelta(hours=1), at=now)
    new = services.rotate_key(actor=developer, key_id=old.key.id, overlap=DAY, at=now)
    assert selectors.key(actor=developer, key_id=old.key.id).expires_at == now + timedelta(hours=1)
    assert new.key.expires_at == now + timedelta(hours=1)


def test_an_expired_key_leaves_the_directory(award: AwardView, developer: Actor) -> None:
    now = clock.now()
    key = services.issue_key(actor=developer, award_id=award.id, expires_at=now + DAY, at=now).key
    assert services.sweep_expired_keys(at=now) == 0
    assert services.sweep_expired_keys(at=now + DAY) == 1
    assert row_of(key)[1] is None
    assert selectors.key(actor=developer, key_id=key.id, at=now + DAY).state == "expired"


def test_an_award_has_so_many_active_keys(award: AwardView, developer: Actor, settings) -> None:
    settings.DURE_MAX_KEYS_PER_AWARD = 2
    first = services.issue_key(actor=developer, award_id=award.id).key
    services.issue_key(actor=developer, award_id=award.id)
    assert code_of(lambda: services.issue_key(actor=developer, award_id=award.id)) == "too_many_keys"
    services.rotate_key(actor=developer, key_id=first.id)
    services.revoke_key(actor=developer, key_id=first.id)
    assert code_of(lambda: services.issue_key(actor=developer, award_id=award.id)) == "too_many_keys"
    assert selectors.working_key_counts(award_ids=[award.id]) == {award.id: 2}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "x" * 81}, "key_name_invalid"),
        ({"name": "a\x07b"}, "key_name_invalid"),
        ({"expires_at": clock.now() - DAY}, "expiry_in_past"),
        ({"expires_at": clock.now() + timedelta(days=40_000)}, "expiry_too_far"),
        ({"award_id": uuid7()}, "award_not_found"),
    ],
)
def test_a_wrong_request_makes_no_key(award: AwardView, developer: Actor, change: dict, code: str) -> None:
    assert (
        code_of(lambda: services.issue_key(**({"actor": developer, "award_id": award.id} | change))) == code
    )
    assert ApiKey.objects.count() == 0
    assert not DirectoryEntry.objects.filter(kind="key").exists()


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=31)])
def test_an_overlap_out_of_range_rotates_nothing(
    award: AwardView, developer: Actor, overlap: timedelta
) -> None:
    key = services.issue_key(actor=developer, award_id=award.id).key
    assert (
        code_of(lambda: services.rotate_key(actor=developer, key_id=key.id, overlap=overlap))
        == "overlap_out_of_range"
    )
    assert ApiKey.objects.count() == 1


def test_who_may_issue_see_and_revoke(world: World, award: AwardView) -> None:
    from dure.control.identity import services as identity

    other = identity.add_organisation(actor=SYSTEM, slug="other", kind="agency", name_ko="다른 기관")
    key = services.issue_key(actor=SYSTEM, award_id=award.id).key

    def may(actor: Actor) -> str:
        """What an actor may do, as letters: s(ee), i(ssue), r(evoke); - for forbidden, nothing for not there."""
        letters = ""
        for letter, deed in (
            ("s", lambda: selectors.keys(actor=actor, award_id=award.id)),
            ("i", lambda: services.issue_key(actor=actor, award_id=award.id)),
            ("r", lambda: services.revoke_key(actor=actor, key_id=key.id)),
        ):
            try:
                deed()
                letters += letter
            except Forbidden:
                letters += "-"
            except NotFound:
                pass
        return letters

    assert may(Actor.anonymous()) == ""
    assert may(acting_for(world.nuri, "provider_manager", "administrator")) == ""
    assert may(acting_for(world.garam, "administrator", "developer")) == ""
    assert may(acting_for(world.haneul, "viewer")) == "s--"
    assert may(acting_for(world.ministry, "auditor")) == "s--"
    assert may(acting_for(other, "officer")) == "s--"
    assert may(acting_for(world.ministry, "officer")) == "s-r"
    assert may(acting_for(world.ministry, "operator")) == "s-r"
    assert may(acting_for(world.haneul, "developer")) == "sir"
    assert may(acting_for(world.haneul, "administrator")) == "sir"
    assert may(SYSTEM) == "sir"


def test_a_key_that_is_not_yours_is_not_there(world: World, award: AwardView) -> None:
    key = services.issue_key(actor=SYSTEM, award_id=award.id).key
    stranger = acting_for(world.garam, "administrator")
    for absent in (key.id, uuid7()):
        assert (
            code_of(lambda absent=absent: services.rotate_key(actor=stranger, key_id=absent))
            == "key_not_found"
        )
        assert (
            code_of(lambda absent=absent: services.revoke_key(actor=stranger, key_id=absent))
            == "key_not_found"
        )
    assert code_of(lambda: services.issue_key(actor=stranger, award_id=award.id)) == "award_not_found"


def test_keys_are_listed_with_their_use(award: AwardView, developer: Actor) -> None:
    first = services.issue_key(actor=developer, award_id=award.id, name="a").key
    second = services.issue_key(actor=developer, award_id=award.id, name="b").key
    listed = programmes.keys_with_use(actor=developer, award_id=award.id)
    assert [(use.key.id, use.last_used_at, use.calls) for use in listed] == [
        (second.id, None, 0),
        (first.id, None, 0),
    ]
    assert selectors.names_of_keys(key_ids=[first.id]) == {first.id: ("a", first.prefix)}
