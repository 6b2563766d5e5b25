"""Applying documents: what changes, what never does, who may, and what the gateways are told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from django.db import IntegrityError, transaction
from django.utils import translation
from tests.control.catalogue.conftest import DOCUMENT, NOW, SYSTEM, acting_for, add_organisation

from dure.contracts.directory import DECODERS, DeploymentEntry, ModelEntry
from dure.control.catalogue import selectors, services
from dure.control.catalogue.models import Price
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.models import DirectoryEntry
from dure.control.identity.selectors import OrganisationView

FIRST = [
    "+ model nuri-7b (nuri, chat.completions)",
    "+ price nuri-7b input 120, output 480 from 2026-01-01",
    "+ deployment nuri-7b/seoul https://models.nuri.example",
]


@pytest.fixture(autouse=True)
def in_english(nuri: OrganisationView):
    with translation.override("en"):
        yield


def apply(
    document: str = DOCUMENT, *, at: datetime = NOW, dry_run: bool = False, actor: Actor = SYSTEM
) -> list[str]:
    return services.apply(actor=actor, document=document, at=at, dry_run=dry_run).lines()


def refused(document: str, *, at: datetime = NOW, actor: Actor = SYSTEM) -> list[str]:
    with pytest.raises(DureError) as caught:
        apply(document, at=at, actor=actor)
    assert caught.value.code == "catalogue_invalid"
    return [
        " ".join(f"{one['line']}:{one['column']} {one['field']}: {one['message']} {one['remedy']}".split())
        for one in caught.value.data["problems"]
    ]


def entries(kind: str) -> list:
    rows = DirectoryEntry.objects.filter(kind=kind).exclude(payload=None).order_by("version")
    return [DECODERS[kind].decode(row.payload) for row in rows]  # type: ignore[index]


def the_model() -> ModelEntry:
    (entry,) = entries("model")
    assert isinstance(entry, ModelEntry)
    return entry


def versions() -> list[int]:
    return list(DirectoryEntry.objects.order_by("version").values_list("version", flat=True))


def test_the_first_time_everything_is_new() -> None:
    assert apply() == FIRST


def test_the_second_time_nothing_changes_not_even_a_version() -> None:
    apply()
    before = versions(), audit.first_difference()
    assert apply() == []
    assert (versions(), audit.first_difference()) == before


def test_a_dry_run_says_the_same_and_does_nothing() -> None:
    assert apply(dry_run=True) == FIRST
    assert selectors.models(actor=SYSTEM) == []
    assert entries("model") == []


def test_what_the_gateways_are_told(nuri: OrganisationView) -> None:
    apply(DOCUMENT.replace("base_url:", "credential: env:NURI_KEY\n        base_url:"))
    model = the_model()
    assert (model.name, model.provider, model.owned_by) == ("nuri-7b", str(nuri.id), "nuri")
    assert (model.context_length, model.max_output_tokens) == (8192, 2048)
    assert [price.meters for price in model.prices] == [{"input": 120_000_000, "output": 480_000_000}]
    (deployment,) = entries("deployment")
    assert isinstance(deployment, DeploymentEntry)
    assert deployment.model == model.id
    assert deployment.upstream_model == "nuri-7b"
    assert deployment.credential == "env:NURI_KEY"


def test_queues_and_health_checks_are_told_to_the_gateways() -> None:
    apply()
    (deployment,) = entries("deployment")
    assert (deployment.queue_limit, deployment.queue_timeout_ms, deployment.health_path) == (256, 10_000, "")
    changed = (
        DOCUMENT + "        queue_limit: 0\n        queue_timeout_ms: 500\n        health_path: /health\n"
    )
    assert apply(changed) == [
        "~ deployment nuri-7b/seoul queue_limit 256 → 0",
        "~ deployment nuri-7b/seoul queue_timeout_ms 10000 → 500",
        "~ deployment nuri-7b/seoul health_path – → /health",
    ]
    (deployment,) = entries("deployment")
    assert (deployment.queue_limit, deployment.queue_timeout_ms, deployment.health_path) == (
        0,
        500,
        "/health",
    )


def test_a_field_is_changed() -> None:
    apply()
    assert apply(DOCUMENT.replace("8192", "16384")) == ["~ model nuri-7b context_length 8192 → 16384"]
    assert the_model().context_length == 16384


def test_a_price_announced_is_published_beside_the_one_in_force() -> None:
    apply()
    coming = DOCUMENT.replace(
        "output: 480\n", "output: 480\n      - {effective_from: 2027-01-01, input: 100, output: 480}\n"
    )
    assert apply(coming) == ["~ price nuri-7b input 120 → 100 from 2027-01-01"]
    assert [price.meters["input"] for price in the_model().prices] == [120_000_000, 100_000_000]
    assert the_model().prices[1].effective_from == clock.to_unix_us(datetime(2026, 12, 31, 15, tzinfo=UTC))


def test_a_price_announced_can_be_changed_and_withdrawn_until_it_takes_effect() -> None:
    apply()
    coming = DOCUMENT.replace(
        "output: 480\n", "output: 480\n      - {effective_from: 2027-01-01, input: 100, output: 480}\n"
    )
    apply(coming)
    assert apply(coming.replace("input: 100", "input: 90")) == [
        "~ price nuri-7b input 100 → 90 from 2027-01-01"
    ]
    assert apply() == ["- price nuri-7b input 90, output 480 from 2027-01-01"]
    assert len(the_model().prices) == 1
    apply(coming)
    later = datetime(2027, 2, 1, tzinfo=UTC)
    assert apply(at=later) == []
    assert [
        price.state
        for price in selectors.model(actor=SYSTEM, name="nuri-7b", at=later).price_history
        if price.state != "withdrawn"
    ] == ["in_force", "past"]


def test_a_price_without_a_date_starts_now_and_only_if_it_differs() -> None:
    undated = DOCUMENT.replace("effective_from: 2026-01-01\n        input: 120", "input: 120")
    assert apply(undated)[1] == "+ price nuri-7b input 120, output 480 from now"
    assert apply(undated, at=NOW + timedelta(days=1)) == []
    assert apply(undated.replace("120", "130"), at=NOW + timedelta(days=2)) == [
        "~ price nuri-7b input 120 → 130 from now"
    ]
    assert [price.effective_from for price in the_model().prices] == [
        clock.to_unix_us(NOW + timedelta(days=2))
    ]


def test_the_past_is_not_rewritten() -> None:
    apply()
    assert refused(DOCUMENT.replace("input: 120", "input: 1")) == [
        (
            "9:9 models[0].prices[0].effective_from: The price from 2026-01-01 was input 120, output 480; prices "
            "in force or past never change. Add a price with a moment still ahead, or leave effective_from "
            "away for now."
        )
    ]
    assert refused(DOCUMENT.replace("2026-01-01", "2026-02-01")) == [
        (
            "9:9 models[0].prices[0].effective_from: A price cannot start in the past (2026-02-01): calls were "
            "charged by the one in force. Add a price with a moment still ahead, or leave effective_from away "
            "for now."
        )
    ]
    assert apply() == []


def test_not_even_the_database_rewrites_it() -> None:
    apply()
    for forbidden in (
        lambda: Price.objects.update(meters={"input": 1}),
        lambda: Price.objects.all().delete(),
        lambda: Price.objects.update(withdrawn_at=NOW),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            forbidden()


def test_a_deployment_left_out_is_retired_and_may_return() -> None:
    apply()
    assert apply(DOCUMENT.replace("name: seoul", "name: busan")) == [
        "+ deployment nuri-7b/busan https://models.nuri.example",
        "- deployment nuri-7b/seoul",
    ]
    assert len(entries("deployment")) == 1
    assert apply() == ["~ deployment nuri-7b/seoul state retired → active", "- deployment nuri-7b/busan"]


def test_a_model_retires_and_no_call_is_taken_any_more() -> None:
    apply()
    retired = DOCUMENT.replace("    provider: nuri", "    provider: nuri\n    state: retired")
    assert apply(retired) == ["- model nuri-7b"]
    assert (entries("model"), entries("deployment")) == ([], [])
    assert selectors.models(actor=SYSTEM) == []
    assert [view.why_not for view in selectors.models(actor=SYSTEM, include_retired=True)] == ["retired"]
    assert apply() == ["~ model nuri-7b state retired → active"]
    assert len(entries("deployment")) == 1


def test_models_the_document_does_not_speak_of_stay() -> None:
    apply()
    assert len(apply(DOCUMENT.replace("nuri-7b", "nuri-70b"))) == 3
    assert [view.name for view in selectors.models(actor=SYSTEM)] == ["nuri-70b", "nuri-7b"]


def test_one_wrong_model_keeps_the_others_out_too() -> None:
    both = DOCUMENT + DOCUMENT.split("models:\n")[1].replace("nuri-7b", "other").replace(
        "provider: nuri", "provider: nobody"
    )
    assert refused(both) == [
        (
            "16:15 models[1].provider: There is no organisation “nobody”. "
            "Add it with: dure organisations add nobody --kind provider --name NAME"
        )
    ]
    assert selectors.models(actor=SYSTEM) == []


def test_only_a_provider_offers_models(db: None) -> None:
    add_organisation("cafe", "startup")
    assert refused(DOCUMENT.replace("provider: nuri", "provider: cafe")) == [
        "4:15 models[0].provider: The organisation “cafe” is not a provider. Name an organisation of the kind provider."
    ]


def test_a_name_never_changes_hands(rival: OrganisationView) -> None:
    apply()
    assert refused(DOCUMENT.replace("provider: nuri", "provider: rival")) == [
        (
            "4:15 models[0].provider: The name “nuri-7b” belongs to another provider's model. Choose another name: "
            "a model never changes hands, as its calls are paid to one provider."
        )
    ]


def test_who_may_apply(nuri: OrganisationView, rival: OrganisationView) -> None:
    ministry = add_organisation("ministry", "ministry")
    startup = add_organisation("cafe", "startup")
    for actor in (
        Actor.anonymous(),
        acting_for(startup, "administrator", "developer"),
        acting_for(ministry, "officer"),
        acting_for(ministry, "auditor"),
        acting_for(nuri, "developer"),
    ):
        with pytest.raises(Forbidden):
            apply(actor=actor)
    assert refused(DOCUMENT, actor=acting_for(rival, "provider_manager")) == [
        (
            "4:15 models[0].provider: “nuri” is not your organisation. "
            "You may describe the models and deployments of your own organisation only."
        )
    ]
    assert apply(actor=acting_for(nuri, "provider_manager")) == FIRST
    assert apply(DOCUMENT.replace("8192", "9000"), actor=acting_for(ministry, "operator")) != []


def test_a_rival_sees_neither_coming_prices_nor_addresses(
    nuri: OrganisationView, rival: OrganisationView
) -> None:
    startup = add_organisation("cafe", "startup")
    coming = DOCUMENT.replace(
        "output: 480\n", "output: 480\n      - {effective_from: 2027-01-01, input: 99, output: 480}\n"
    )
    apply(coming.replace("base_url:", "credential: env:NURI_KEY\n        base_url:"))

    def seen(actor: Actor) -> tuple[int, str]:
        view = selectors.model(actor=actor, name="nuri-7b", at=NOW)
        assert view.price is not None
        assert view.price.meters["input"] == 120_000_000
        (deployment,) = view.deployments
        return len(view.coming_prices), deployment.base_url + deployment.credential

    everything = "https://models.nuri.exampleenv:NURI_KEY"
    assert seen(acting_for(nuri, "provider_manager")) == (1, everything)
    assert seen(SYSTEM) == (1, everything)
    assert seen(acting_for(startup, "developer")) == (1, "")
    assert seen(acting_for(rival, "provider_manager")) == (0, "")
    assert seen(Actor.anonymous()) == (0, "")
    seen_by_rival = selectors.model(actor=acting_for(rival, "provider_manager"), name="nuri-7b", at=NOW)
    assert [price.state for price in seen_by_rival.price_history] == ["in_force"]


def test_an_unreachable_deployment_is_offered_but_takes_no_calls_until_it_has_an_address(
    nuri: OrganisationView, rival: OrganisationView
) -> None:
    apply(DOCUMENT.replace("base_url: https://models.nuri.example", "state: unreachable"))
    assert entries("deployment") == []
    assert selectors.model(actor=SYSTEM, name="nuri-7b").why_not == "unreachable"

    def point(base_url: str, actor: Actor = SYSTEM) -> bool:
        return services.set_deployment_address(
            actor=actor, model="nuri-7b", deployment="seoul", base_url=base_url
        )

    with pytest.raises(NotFound):
        point("http://evil.example", acting_for(rival, "provider_manager"))
    with pytest.raises(DureError, match="must start with http"):
        point("models.nuri.example")
    assert point("http://127.0.0.1:9000/", acting_for(nuri, "provider_manager")) is True
    assert point("http://127.0.0.1:9000") is False
    assert [entry.base_url for entry in entries("deployment")] == ["http://127.0.0.1:9000"]
    assert selectors.model(actor=SYSTEM, name="nuri-7b").callable
    assert point("") is True
    assert entries("deployment") == []


def test_a_model_whose_price_lies_ahead_is_not_callable_yet() -> None:
    apply(DOCUMENT.replace("2026-01-01", "2026-12-01"))
    assert selectors.model(actor=SYSTEM, name="nuri-7b", at=NOW).why_not == "no_price"
    assert selectors.model(actor=SYSTEM, name="nuri-7b", at=NOW + timedelta(days=365)).callable
    assert msgspec.json.encode(the_model())


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_asks_four_questions_however_long_it_is(count: int, django_assert_num_queries) -> None:
    models = "".join(
        DOCUMENT.split("models:\n")[1].replace("nuri-7b", f"nuri-{number}") for number in range(count)
    )
    apply(f"version: 1\nmodels:\n{models}")
    with django_assert_num_queries(4):
        assert len(selectors.models(actor=SYSTEM)) == count


def test_the_example_in_the_documentation_is_right() -> None:
    page = (Path(__file__).parents[3] / "docs" / "catalogue-format.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert apply(example) == [
        "+ model nuri-7b-instruct (nuri, chat.completions, completions)",
        "+ price nuri-7b-instruct input 120, output 480, cached_input 30 from 2026-01-01",
        (
            "~ price nuri-7b-instruct input 120 → 100, output 480 → 400.5, cached_input 30 → 25 "
            "from 2027-01-01T09:00:00+09:00"
        ),
        "+ deployment nuri-7b-instruct/seoul https://models.nuri.example",
        "+ deployment nuri-7b-instruct/busan https://busan.nuri.example",
    ]
    assert apply(example) == []
