"""Databases from before sources had names: their money is their agency's, and nothing of it is lost or changed."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from tests.control.programmes.conftest import SYSTEM, won

from dure.contracts.ids import uuid7
from dure.control.identity import services as identity
from dure.control.ledger import services as ledger
from dure.control.programmes import selectors, services
from dure.control.settlement import services as settlement

pytestmark = pytest.mark.django_db(transaction=True)

_BEFORE = [("programmes", "0002_own_contribution_rules")]


def migrate(targets: list[tuple[str, str]]) -> None:
    MigrationExecutor(connection).migrate(targets)


@pytest.fixture
def before() -> Iterator[None]:
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    migrate(_BEFORE)
    yield
    migrate(latest)


def transfer(transfer_id: UUID, debit: int, credit: int, krw: int, kind: str) -> None:
    ledger.transfer(
        transfer_id=transfer_id, debit_account_id=debit, credit_account_id=credit, amount=won(krw), kind=kind
    )


def old_programme(slug: str, agency_id: UUID | None, organisation_id: UUID) -> tuple[UUID, UUID]:
    """A programme of ₩1,000 with an award of ₩300 of which ₩100 came back, as the tables were then."""
    programme, award, second = uuid7(), uuid7(), uuid7()
    ledger.open_book(book_id=programme, name=slug)
    treasury, appropriation, held = (
        ledger.open_account(book_id=programme, kind=kind, owner_id=owner).id
        for kind, owner in (("treasury", programme), ("appropriation", programme), ("award", award))
    )
    transfer(programme, treasury, appropriation, 600, "appropriation")
    transfer(second, treasury, appropriation, 400, "appropriation")
    transfer(award, appropriation, held, 300, "award")
    transfer(uuid7(), held, appropriation, 100, "award_return")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO programmes_programme (id, slug, name_ko, name_en, agency_id, state, treasury_account_id,"
            " appropriation_account_id, created_at) VALUES (%s, %s, %s, %s, %s, 'open', %s, %s, now())",
            [programme, slug, slug, slug, agency_id, treasury, appropriation],
        )
        for one, amount in ((programme, won(600)), (second, won(400))):
            cursor.execute(
                "INSERT INTO programmes_appropriation (id, programme_id, amount_micro_won, memo, created_at,"
                " created_by_name) VALUES (%s, %s, %s, '', now(), '')",
                [one, programme, amount],
            )
        cursor.execute(
            "INSERT INTO programmes_award (id, programme_id, organisation_id, name_ko, name_en, granted_micro_won,"
            " returned_micro_won, account_id, state, valid_from, created_at, end_reason)"
            " VALUES (%s, %s, %s, 'a', 'a', %s, %s, %s, 'open', now(), now(), '')",
            [award, programme, organisation_id, won(300), won(100), held],
        )
    return programme, award


def test_their_money_is_their_agencys(before: None) -> None:
    ministry = identity.add_organisation(actor=SYSTEM, slug="ministry", kind="ministry", name_ko="부처")
    startup = identity.add_organisation(actor=SYSTEM, slug="startup", kind="startup", name_ko="스타트업")
    one, award = old_programme("first", ministry.id, startup.id)
    other, _ = old_programme("second", ministry.id, startup.id)
    # Named like the ministry, and nobody's.
    nobodys, lone = old_programme("ministry", None, startup.id)

    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    migrate(latest)

    for programme in (one, other):
        (line,) = selectors.money_of_programme(programme_id=programme)
        assert line.source.organisation_id == ministry.id
        assert (line.source.slug, line.unit) == ("ministry", "KRW")
        assert (line.given, line.left, line.granted) == (won(1_000), won(800), won(200))
    (line,) = selectors.money_of_programme(programme_id=nobodys)
    assert line.source.organisation_id is None
    assert line.source.slug.startswith("ministry-")
    assert [one.put_in_micro_won for one in selectors.spent_by_source(lone)] == [won(300)]
    assert {one.source.slug for one in selectors.appropriations(actor=SYSTEM, slug="first")} == {"ministry"}
    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute("UPDATE programmes_appropriation SET memo = 'x'")

    granted = services.grant_award(
        actor=SYSTEM, programme_slug="first", organisation_slug="startup", micro_won=won(800)
    ).award
    assert granted.granted_micro_won == won(800)
    assert selectors.award(actor=SYSTEM, award_id=award).granted_micro_won == won(300)
    assert settlement.verify_everything().difference == ""
