"""Programmes and sources as pages: everybody sees whose money it is; officers move it after it was said back in figures."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from tests.control.programmes.conftest import SYSTEM, Gateway, World, won

from dure.control.foundation import clock
from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes import selectors, services
from dure.control.programmes.own_share import OwnShareRule

type Visitor = Callable[..., Client]


@pytest.fixture
def visitor(world: World) -> Visitor:
    def signed_in(organisation: OrganisationView, *roles: str) -> Client:
        person = identity.add_person(
            actor=SYSTEM, email=f"{'-'.join(roles)}@{organisation.slug}.example", name="누구"
        )
        identity.add_membership(
            actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
        )
        client = Client(headers={"accept-language": "ko"})
        client.force_login(
            Person.objects.get(pk=person.id), "allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    return signed_in


def text_of(response: object) -> str:
    """The page's words, tags and runs of spaces left out."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())  # type: ignore[attr-defined]


def hidden(response: object) -> dict[str, str]:
    """What the page that says it back carries on."""
    found = re.findall(
        r'<input type="hidden" name="([^"]+)" value="([^"]*)">',
        response.content.decode(),  # type: ignore[attr-defined]
    )
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def test_anybody_sees_whose_money_it_is_and_what_it_may_be_used_for(world: World, gateway: Gateway) -> None:
    services.add_source(actor=SYSTEM, slug="ai-fund", name_ko="인공지능 기금", kind="fund")
    services.appropriate(
        actor=SYSTEM, programme_slug="hyperscale", micro_won=won(500_000), source_slug="ai-fund"
    )
    services.set_budget_line(
        actor=SYSTEM, programme_slug="hyperscale", key="api", name_ko="API 사용료", ceiling=won(700_000)
    )
    services.set_own_contribution(
        actor=SYSTEM, programme_slug="hyperscale", rules={"large": OwnShareRule(5_000)}, due="before"
    )
    award = world.grant(3_000, size_class="none")
    gateway.lease(award, 900)
    gateway.spend(award, 300)
    page = text_of(Client(headers={"accept-language": "ko"}).get("/programmes/hyperscale/"))
    for words in (
        "인공지능 기금 50만원 1,000원 100원 49만 9,000원",
        "API 사용료 70만원 3,000원 69만 7,000원",
        "대기업 전체 금액의 50%",
        "첫 호출 전",
    ):
        assert words in page
    assert "예산 배정 " not in page.split("재원")[0]
    source = text_of(Client(headers={"accept-language": "ko"}).get("/sources/ai-fund/"))
    assert "초거대 50만원 1,000원 100원 49만 9,000원" in source


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_asks_as_many_questions_for_thirty_as_for_one(
    world: World, count: int, django_assert_max_num_queries: Callable
) -> None:
    for number in range(count):
        services.add_programme(actor=SYSTEM, slug=f"p-{number}", name_ko="사업", krw_micro_won=won(1))
    with django_assert_max_num_queries(12):
        assert Client().get("/programmes/").status_code == 200
    assert "사업" in Client().get("/programmes/?page=2").content.decode() or count == 1


def test_the_list_is_a_file_too(world: World) -> None:
    csv = b"".join(Client().get("/programmes/?export=csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert "hyperscale" in csv
    assert b"".join(Client().get("/sources/?export=csv").streaming_content).decode().count("\n") == 2  # type: ignore[attr-defined]


def test_money_is_appropriated_after_it_was_said_back_in_figures(world: World, visitor: Visitor) -> None:
    officer, address = visitor(world.ministry, "officer"), "/programmes/hyperscale/appropriate/"
    typed = {"source": "ministry", "unit": "KRW", "amount": "300,000,000", "memo": "추경"}
    said_back = officer.post(address, typed)
    assert "“초거대” 사업에 300,000,000원을 배정합니다." in text_of(said_back)
    assert "처리 뒤 지원 가능 금액 301,000,000원" in text_of(said_back)
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").appropriated_micro_won == won(1_000_000)

    back = officer.post(address, hidden(said_back) | {"step": "back"})
    assert 'value="300,000,000"' in back.content.decode()
    for _ in range(2):
        done = officer.post(address, hidden(said_back) | {"step": "confirmed"})
        assert done.status_code == 302
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").appropriated_micro_won == won(301_000_000)


def test_what_was_typed_wrong_is_kept_and_named(world: World, visitor: Visitor) -> None:
    officer = visitor(world.ministry, "officer")
    wrong = officer.post(
        "/programmes/hyperscale/appropriate/", {"source": "ministry", "unit": "KRW", "amount": "삼억"}
    )
    assert wrong.status_code == 422
    assert 'value="삼억"' in wrong.content.decode()
    taken = officer.post(
        "/programmes/new/", {"name_ko": "둘째", "slug": "hyperscale", "krw": "5", "step": "confirmed"}
    )
    assert taken.status_code == 422
    assert 'value="둘째"' in taken.content.decode()


def test_an_officer_founds_funds_and_grants(world: World, visitor: Visitor) -> None:
    officer = visitor(world.ministry, "officer")

    def deed(address: str, **typed: str) -> str:
        said_back = officer.post(address, typed)
        assert said_back.status_code == 200, text_of(said_back)
        done = officer.post(address, hidden(said_back) | {"step": "confirmed"})
        assert done.status_code == 302, text_of(done)
        return text_of(said_back)

    assert (
        officer.post("/sources/new/", {"name_ko": "기금", "slug": "fund", "kind": "fund"}).status_code == 302
    )
    deed("/programmes/new/", name_ko="실증 사업", slug="pilots", krw="1,000,000", source="fund")
    deed("/programmes/hyperscale/pass-on/", to="pilots", source="ministry", krw="500,000")
    line = {"name_ko": "API 사용료", "key": "api_use", "krw": "900,000"}
    assert officer.post("/programmes/pilots/lines/new/", line).status_code == 302
    assert 'value="900,000"' in officer.get("/programmes/pilots/lines/api_use/").content.decode()
    own = {
        "due": "before",
        "share_small": "12.5",
        "least_small": "1,000",
        "most_small": "",
        "share_large": "50%",
    }
    assert "대기업 100,000,000원" in deed("/programmes/pilots/own-contribution/", **own)
    use = {"models": "", "endpoints": "chat.completions", "last_day": "2030-01-31"}
    assert officer.post("/programmes/pilots/use/", use).status_code == 302
    said = deed(
        "/programmes/pilots/grant/", organisation="haneul", krw="87,500", size_class="small", line="api_use"
    )
    assert "“haneul”에 87,500원을 지원합니다." in said
    assert "자부담 12,500원" in said
    assert "API 사용료 처리 뒤 812,500원 남음" in said
    (award,) = selectors.awards(actor=SYSTEM).items
    assert award.waits_for_own_contribution
    assert award.valid_until is not None
    assert award.valid_until.astimezone(clock.SEOUL).isoformat() == "2030-02-01T00:00:00+09:00"
    page = text_of(officer.get(f"/awards/{award.id}/"))
    assert "자부담 12,500원 중 12,500원이 아직 들어오지 않았습니다." in page
    deed(f"/awards/{award.id}/own-contribution/", krw="12,500")
    assert selectors.award(actor=SYSTEM, award_id=award.id).remaining_micro_won == won(100_000)
    deed(f"/awards/{award.id}/end/", reason="중복 지원")
    assert "돌려줄 자부담이 12,500원" in text_of(officer.get(f"/awards/{award.id}/"))
    repaid = officer.post(f"/awards/{award.id}/own-contribution/repaid/", {"step": "confirmed"})
    assert repaid.status_code == 302
    assert selectors.own_waiting(award.id) == 0


def test_a_refusal_names_what_is_left(world: World, visitor: Visitor) -> None:
    officer = visitor(world.ministry, "officer")
    refused = officer.post("/programmes/hyperscale/grant/", {"organisation": "haneul", "krw": "1,000,001"})
    assert refused.status_code == 422
    assert "1,000,000원" in text_of(refused)


def test_money_of_another_agency_is_not_moved(world: World, visitor: Visitor) -> None:
    other = identity.add_organisation(actor=SYSTEM, slug="other", kind="ministry", name_ko="다른 부처")
    stranger = visitor(other, "officer")
    for page in ("appropriate", "pass-on", "lines/new", "own-contribution", "use", "grant"):
        assert stranger.get(f"/programmes/hyperscale/{page}/").status_code == 403
    assert stranger.get("/programmes/hyperscale/").status_code == 200
    startup = visitor(world.haneul, "administrator")
    assert startup.get("/programmes/new/").status_code == 403


def test_who_appropriates_another_unit_reads_before_it_that_it_is_not_awarded(
    world: World, visitor: Visitor
) -> None:
    said = "GPU 초는 기록으로만 남습니다. 지원은 원 단위로만 교부할 수 있습니다."
    officer, address = visitor(world.ministry, "officer"), "/programmes/hyperscale/appropriate/"
    assert said in officer.get(address).content.decode()
    assert said not in officer.get("/programmes/hyperscale/").content.decode()
    given = {"source": "ministry", "unit": "GPU_SECOND", "amount": "3600", "memo": "연산"}
    shown = officer.post(address, given).content.decode()
    assert "원 단위로만 교부합니다. 이 수량은 교부되지 않고 기록으로 남습니다" in shown
    services.appropriate(
        actor=SYSTEM, programme_slug="hyperscale", amount=3_600, unit="GPU_SECOND", source_slug="ministry"
    )
    for page in ("/programmes/hyperscale/", "/sources/ministry/"):
        assert said in officer.get(page).content.decode()
