"""The demonstration ecosystem: built once, completed at each start, and changing nothing that was changed since."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from tests.control.programmes.conftest import SYSTEM

from dure.contracts.directory import DECODERS
from dure.control.access import selectors as access
from dure.control.access import services as keys
from dure.control.catalogue import selectors as catalogue
from dure.control.catalogue import services as catalogue_services
from dure.control.foundation import audit
from dure.control.foundation.models import AuditEvent, DirectoryEntry
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.ledger import services as ledger
from dure.control.programmes import selectors, services
from dure.control.programmes.demo.building import Demo, award_id, build, ecosystem

URL = "http://127.0.0.1:8081"


def start(data: Path, model_url: str = URL) -> Demo:
    return build(data=data, model_url=model_url)


@pytest.mark.django_db
def test_everything_in_it_says_that_it_is_a_demonstration() -> None:
    wanted = ecosystem()
    named = [*wanted["organisations"], *wanted["programmes"], *wanted["awards"]]
    titles = [model["title"] for model in wanted["catalogue"]["models"]]
    for korean in [
        *(one["name_ko"] for one in named),
        *(one["ko"] for one in titles),
        *(one["name"] for one in wanted["people"]),
    ]:
        assert korean.endswith("(시연)")
    for english in [*(one["name_en"] for one in named), *(one["en"] for one in titles)]:
        assert english.endswith("(demo)")


@pytest.mark.django_db
def test_the_sign_in_page_offers_everybody_in_it_at_a_click(tmp_path: Path, settings: Any) -> None:
    demo = start(tmp_path)
    settings.DURE_DEMO, settings.DURE_DATA_DIR = True, tmp_path
    shown = Client().get("/account/login/").content.decode()
    for user in demo.demo_users:
        assert f'value="{user["password"]}"' in shown
        assert f"<b>{user['name']}</b><small>{user['organisation']} · " in shown
    user = demo.demo_users[0]
    answer = Client().post("/account/login/", {"login": user["email"], "password": user["password"]})
    assert answer.status_code == 302


@pytest.mark.django_db
def test_a_fresh_instance_can_make_its_first_call(tmp_path: Path) -> None:
    demo = start(tmp_path)
    assert demo.changed
    assert catalogue.callable_model_names() == [demo.demo_model]
    assert catalogue.model(actor=SYSTEM, name="hanbit-72b-chat").why_not == "unreachable"
    kinds = {row.kind for row in DirectoryEntry.objects.exclude(payload=None)}
    assert kinds == {"key", "award", "model", "deployment"}
    (deployment,) = DirectoryEntry.objects.filter(kind="deployment").exclude(payload=None)
    assert DECODERS["deployment"].decode(deployment.payload).base_url == URL
    assert demo.demo_api_key
    assert selectors.home_totals().open_awards == 4
    assert ledger.verify().ok


@pytest.mark.django_db
def test_the_people_of_every_role_can_sign_in(tmp_path: Path) -> None:
    users = start(tmp_path).demo_users
    assert {user["role"] for user in users} == {
        "officer", "operator", "auditor", "provider_manager", "administrator", "developer", "researcher", "public_body",
    }  # fmt: skip
    for user in users:
        person = authenticate(email=user["email"], password=user["password"])
        assert person is not None
        assert identity.memberships_of(person.pk)[0].organisation.name_ko == user["organisation"]


@pytest.mark.django_db
def test_a_second_start_changes_nothing(tmp_path: Path, django_assert_max_num_queries) -> None:
    first = start(tmp_path)
    before = (
        AuditEvent.objects.count(),
        list(DirectoryEntry.objects.order_by("version").values_list("version")),
    )
    with django_assert_max_num_queries(100):
        second = start(tmp_path)
    assert not second.changed
    assert (second.demo_users, second.demo_api_key) == (first.demo_users, first.demo_api_key)
    after = (
        AuditEvent.objects.count(),
        list(DirectoryEntry.objects.order_by("version").values_list("version")),
    )
    assert after == before


@pytest.mark.django_db
def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    demo = start(tmp_path)
    path = tmp_path / "demo.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["api_key"] == demo.demo_api_key
    assert [file.name for file in tmp_path.iterdir()] == ["demo.json"]
    assert all(demo.demo_api_key not in str(event.after) for event in AuditEvent.objects.all())


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"passwords": 3}', None])
def test_lost_secrets_are_replaced(tmp_path: Path, damage: str | None) -> None:
    first = start(tmp_path)
    if damage is None:
        (tmp_path / "demo.json").unlink()
    else:
        (tmp_path / "demo.json").write_text(damage)
    second = start(tmp_path)
    assert second.demo_api_key != first.demo_api_key
    assert [key.state for key in access.keys(actor=SYSTEM, award_id=award_id("haneul"))] == [
        "active",
        "revoked",
    ]
    user = second.demo_users[0]
    assert authenticate(email=user["email"], password=user["password"]) is not None
    assert not start(tmp_path).changed


@pytest.mark.django_db
def test_the_embedded_model_follows_its_address_and_the_rest_stays_as_people_made_it(tmp_path: Path) -> None:
    start(tmp_path)
    catalogue_services.set_deployment_address(
        actor=SYSTEM, model="hanbit-72b-chat", deployment="seoul", base_url="https://hanbit.example"
    )
    assert start(tmp_path, "http://127.0.0.1:9999").changed
    assert sorted(catalogue.callable_model_names()) == ["hanbit-72b-chat", "smollm2-135m-instruct"]
    start(tmp_path, "")
    assert catalogue.callable_model_names() == ["hanbit-72b-chat"]


@pytest.mark.django_db
def test_an_ended_award_and_a_revoked_key_are_respected(tmp_path: Path) -> None:
    first = start(tmp_path)
    (key,) = access.keys(actor=SYSTEM, award_id=award_id("haneul"))
    keys.revoke_key(actor=SYSTEM, key_id=key.id)
    second = start(tmp_path)
    assert second.demo_api_key not in {None, first.demo_api_key}
    services.end_award(actor=SYSTEM, award_id=award_id("haneul"), reason="끝")
    third = start(tmp_path)
    assert (third.demo_api_key, third.changed) == (None, False)
    assert selectors.award(actor=SYSTEM, award_id=award_id("haneul")).state == "closed"


@pytest.mark.django_db
def test_what_is_not_a_demonstration_is_not_touched(tmp_path: Path) -> None:
    identity_services.add_organisation(actor=SYSTEM, slug="haneul-demo", kind="startup", name_ko="진짜 하늘")
    with pytest.raises(CommandError, match="demo_name_taken"):
        call_command("apply_demo", data=tmp_path)


@pytest.mark.django_db
def test_the_command_prints_what_the_supervisor_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("apply_demo", data=tmp_path, model_url=URL, json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["demo_api_key"].startswith("dure-")
    assert set(said["demo_users"][0]) >= {"role", "email", "password", "name", "organisation"}
    with pytest.raises(CommandError, match="is not a folder"):
        call_command("apply_demo", data=tmp_path / "nowhere")
    assert audit.first_difference() is None


@pytest.mark.django_db
def test_its_money_has_sources_a_line_and_own_contributions(tmp_path: Path) -> None:
    build(data=tmp_path, model_url="")
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale-ai-demo")
    money = selectors.money_of_programme(programme_id=programme.id)
    assert {line.source.slug: line.given for line in money} == {
        "ministry-demo": 1_500_000_000 * 10**6,
        "ai-fund-demo": 500_000_000 * 10**6,
    }
    parts = selectors.spent_by_source(award_id("haneul"))
    assert [part.put_in_micro_won for part in parts] == [7_500_000 * 10**6, 2_500_000 * 10**6]
    (line,) = selectors.budget_lines(programme_id=programme.id)
    assert (line.key, line.committed) == ("api_usage", 18_000_000 * 10**6)
    pilot = selectors.award(actor=SYSTEM, award_id=award_id("saebyeok"))
    assert (pilot.granted_micro_won, pilot.remaining_micro_won) == (20_000_000 * 10**6, 20_000_000 * 10**6)
    assert pilot.own_outstanding_micro_won == 1_052_632 * 10**6
