"""A start-up finds its support and applies, through REST and the mails alone: from a registration to a call of a model.

The tests are the chapters of one story: they share one `dure up` and run in their order. Nothing in it is replaced by
something simpler. Only time is helped along once, where weeks would pass until a round closes.
"""

import email
import email.policy
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import psycopg
import pytest
from tests.e2e.running import Instance, dure, until

pytestmark = pytest.mark.xdist_group("dure_up")

MODEL = "smollm2-135m-instruct"
NUMBER = "131-86-12347"
PASSWORD = "maru-norae-saebyeok-4821"
PRIVACY_NOTICE = "2026-11-25"
PDF = b"%PDF-1.7\n\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"
WON = 1_000_000

FIRST_PLAN = "\n".join(
    ["상담원이 하루에 같은 질문을 수백 번 받습니다.", "", "모델이 답의 초안을 쓰고 사람이 확인합니다.", "",
     "처음에는 작은 모델로 시작합니다.", "", *(f"{n}단계에서는 상담 기록 가운데 일부를 골라 답의 품질을 잽니다." for n in range(1, 9))]
)  # fmt: skip


@dataclass
class Person:
    """Somebody with an address, a language, and later a token."""

    address: str
    name: str
    language: str
    portal: str
    token: str = ""

    def call(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.request(
            method, f"{self.portal}/api/v1{path}", headers={**headers, "Accept-Language": self.language},
            timeout=60, trust_env=False, **given,
        )  # fmt: skip

    def get(self, path: str) -> Any:
        return _good(self.call("GET", path))

    def post(self, path: str, body: Any = None, **given: Any) -> Any:
        if not given:
            given["json"] = body if body is not None else {}
        return _good(self.call("POST", path, **given))

    def patch(self, path: str, body: Any) -> Any:
        return _good(self.call("PATCH", path, json=body))

    def sign_in(self, *, password: str = PASSWORD, organisation: str | None = None) -> None:
        """A token of their own, for the organisation they act for."""
        self.token = ""
        made = self.post(
            "/tokens/with-password",
            {"name": "story", "email": self.address, "password": password, "organisation": organisation},
        )
        self.token = made["secret"]


def _good(answer: httpx.Response) -> Any:
    assert answer.is_success, (
        f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    )
    return answer.json() if answer.content else None


@dataclass
class Story:
    """The people, and what came of what they did."""

    instance: Instance
    mina: Person
    james: Person
    officer: Person
    organisation: str = ""
    rounds: dict[str, str] = field(default_factory=dict)
    application: str = ""
    small_award: str = ""
    asked_at: float = 0.0

    def mails(self, person: Person) -> list[str]:
        """What was mailed to them, as text, subject first."""
        found = []
        for path in sorted((self.instance.folder / "mail").glob("*.log")):
            for part in re.split(rb"\n-{79}\n", path.read_bytes()):
                message = email.message_from_bytes(part.strip(), policy=email.policy.default)
                body = message.get_body(("plain",)) if message["To"] == person.address else None
                if body is not None:
                    found.append(f"{message['Subject']}\n{body.get_content()}")
        return found

    def mailed(self, person: Person, pattern: str) -> str:
        """The first group of what was mailed, once it was."""

        def look() -> str:
            found = [re.search(pattern, text) for text in self.mails(person)]
            return next((one[1] for one in found if one), "")

        return until(look, what=f"{pattern} in a mail to {person.address}", seconds=60)

    def applied(self, by: Person | None = None) -> dict[str, Any]:
        return (by or self.mina).get(f"/applications/{self.application}")

    def weeks_pass(self) -> None:
        """The round's closing is now. Nobody can do that, not even its officers: triggers refuse it, and so they are left
        out for this one change of the test's own database."""
        address = json.loads((self.instance.folder / "instance.json").read_text())["database_url"]
        with psycopg.connect(address) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            moved = connection.execute(
                "UPDATE calls_round SET closes_at = date_trunc('second', now()) - interval '1 second' WHERE id = %s",
                [self.rounds["api-support-demo"]],
            )
            assert moved.rowcount == 1


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    instance = Instance(tmp_path_factory.mktemp("story") / "data")
    try:
        instance.up()
        portal = instance.ready["portal_url"]
        passwords = {one["email"]: one["password"] for one in instance.ready["demo_users"]}
        told = Story(
            instance,
            mina=Person("mina@norae.example", "노미나", "ko", portal),
            james=Person("james@norae.example", "James Oh", "en", portal),
            officer=Person("officer@demo.example", "김사업", "ko", portal),
        )
        told.officer.sign_in(password=passwords[told.officer.address])
        yield told
    finally:
        instance.end()


def test_two_people_register_and_confirm_with_what_was_mailed_to_them(story: Story) -> None:
    for person in (story.mina, story.james):
        body = {
            "email": person.address,
            "name": person.name,
            "password": PASSWORD,
            "language": person.language,
        }
        person.post("/registrations", {**body, "privacy_version": PRIVACY_NOTICE})
        early = person.call(
            "POST",
            "/tokens/with-password",
            json={"name": "early", "email": person.address, "password": PASSWORD},
        )
        assert (early.status_code, early.json()["error"]["code"]) == (403, "email_unverified")
        key = story.mailed(person, r"https?://\S+/confirm-email/([^/\s]+)/")
        person.post("/registrations/confirm", {"key": key, "email": person.address, "password": PASSWORD})
        person.sign_in()
        assert person.get("/me")["memberships"] == []


def test_one_founds_an_organisation_and_asks_for_its_verification(story: Story) -> None:
    founded = {"name_ko": "노래연구소", "name_en": "Norae Labs", "kind": "startup", "size_class": "micro",
               "founded_on": "2025-02-03", "region": "KR-11", "employees": 4}  # fmt: skip
    wrong = story.mina.call(
        "POST", "/me/organisations", json={**founded, "registration_number": "131-86-12346"}
    )
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "registration_number_check_digit")
    story.organisation = story.mina.post("/me/organisations", {**founded, "registration_number": NUMBER})[
        "slug"
    ]
    story.mina.sign_in(organisation=story.organisation)
    for kind in ("business_registration", "tax_clearance", "social_insurance_clearance"):
        story.mina.post(
            f"/organisations/{story.organisation}/documents",
            data={"kind": kind, "valid_until": "2027-11-01"},
            files={"file": (f"{kind}.pdf", PDF, "application/pdf")},
        )
    asked = story.mina.post(f"/organisations/{story.organisation}/verification")
    assert asked["verification_state"] == "asked"


def test_before_that_nothing_can_be_applied_for_and_it_is_said_why(story: Story) -> None:
    story.rounds = {one["slug"]: one["round_id"] for one in story.mina.get("/calls?state=open")["items"]}
    fit = story.mina.get(f"/rounds/{story.rounds['api-support-demo']}/fit")
    states = {one["key"]: one["state"] for one in fit["findings"]}
    assert states["verified"] != "met"
    assert fit["summary"] != "met"


def test_an_officer_verifies_it(story: Story) -> None:
    waiting = story.officer.get("/verifications")["items"]
    assert story.organisation in [one["slug"] for one in waiting]
    at = f"/organisations/{story.organisation}"
    story.officer.post(f"{at}/verification/accept", {"reason": "Certificate seen."})
    for document in story.officer.get(f"{at}/documents"):
        if document["state"] == "asked":
            story.officer.post(f"{at}/documents/{document['id']}/accept")
    assert story.mina.get(f"{at}/profile")["verification_state"] == "verified"
    story.mailed(story.mina, r"(노래연구소)")


def test_the_other_is_invited_and_accepts(story: Story) -> None:
    story.mina.post(
        f"/organisations/{story.organisation}/invitations",
        {"email": story.james.address, "roles": ["developer"], "language": "en"},
    )
    story.mailed(story.james, r"(Norae Labs)")
    [invitation] = story.james.get("/me/invitations")
    story.james.post(f"/me/invitations/{invitation['id']}/accept")
    story.james.sign_in(organisation=story.organisation)
    assert [one["organisation"]["slug"] for one in story.james.get("/me")["memberships"]] == [
        story.organisation
    ]


def test_they_see_which_call_fits_and_why_another_does_not(story: Story) -> None:
    does_not = story.james.get(f"/rounds/{story.rounds['rnd-demo']}/fit")
    assert does_not["summary"] == "not_met"
    [young] = [one for one in does_not["findings"] if one["key"] == "established"]
    assert (young["state"], bool(young["reason"])) == ("not_met", True)
    for slug in ("api-support-demo", "small-requests-demo"):
        fit = story.james.get(f"/rounds/{story.rounds[slug]}/fit")
        assert fit["summary"] == "met", fit
        assert {one["state"] for one in fit["findings"]} == {"met"}


def test_both_write_the_same_text_at_once_and_nothing_is_lost(story: Story) -> None:
    started = story.mina.post("/applications", {"round_id": story.rounds["api-support-demo"]})
    story.application = started["id"]
    story.mina.post(f"/applications/{story.application}/writers", {"email": story.james.address})
    at = f"/applications/{story.application}/answers"
    [first] = story.mina.patch(at, {"answers": {"plan": {"value": FIRST_PLAN, "base_version": 0}}})
    changed = {
        "mina": FIRST_PLAN.replace("수백 번", "천 번 넘게"),
        "james": FIRST_PLAN.replace("작은 모델", "가장 작은 모델"),
    }
    with ThreadPoolExecutor(2) as both:
        for saved in [
            both.submit(
                who.patch, at, {"answers": {"plan": {"value": text, "base_version": first["version"]}}}
            )
            for who, text in ((story.mina, changed["mina"]), (story.james, changed["james"]))
        ]:
            assert saved.result()[0]["conflict"] is False
    both_changes = changed["mina"].replace("작은 모델", "가장 작은 모델")
    assert {one["field"]: one["value"] for one in story.applied()["answers"]}["plan"] == both_changes
    revisions = story.james.get(f"{at}/plan/revisions")
    assert [one["version"] for one in revisions] == [3, 2, 1]


def test_both_fill_in_different_fields_at_once(story: Story) -> None:
    at = f"/applications/{story.application}/answers"
    minas = {
        "contact_name": "노미나", "contact_phone": "02-1234-5678", "contact_email": story.mina.address,
        "consent_privacy": True, "consent_truth": True, "personal_data": False,
    }  # fmt: skip
    jamess = {
        "service_name": "Norae Desk", "service_state": "prototype", "service_url": "https://norae.example/",
        "team": [{"name": "James Oh", "role": "developer", "share": 50}],
        "budget": [{"line": "api_usage", "text": "Calls and their evaluation", "won": 5_000_000}],
    }  # fmt: skip

    def fill(person: Person, values: dict[str, Any]) -> None:
        for name, value in values.items():
            person.patch(at, {"answers": {name: {"value": value, "base_version": 0}}})

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(fill, story.mina, minas), both.submit(fill, story.james, jamess)]:
            done.result()
    answers = {one["field"]: one["value"] for one in story.applied()["answers"]}
    assert {**minas, **jamess}.keys() <= answers.keys()
    assert (answers["contact_name"], answers["service_name"]) == ("노미나", "Norae Desk")
    attached = story.james.post(
        f"/applications/{story.application}/attachments",
        data={"field": "quote"},
        files={"file": ("quote.pdf", PDF, "application/pdf")},
    )
    assert attached["size"] == len(PDF)


def test_they_submit_and_the_receipt_is_genuine(story: Story) -> None:
    made = story.mina.post(f"/applications/{story.application}/submit")
    assert made["application_state"] == "submitted"
    receipt = story.james.get(f"/applications/{story.application}/receipt")
    genuine = story.mina.post("/receipts/verify", receipt)
    assert (genuine["genuine"], genuine["key"]) == (True, "current")
    forged = {**receipt, "content": {**receipt["content"], "number": "D-0000"}}
    assert story.mina.post("/receipts/verify", forged)["genuine"] is False
    story.mailed(story.mina, rf"({re.escape(story.applied()['number'])})")


def test_meanwhile_a_small_request_is_granted_at_once(story: Story) -> None:
    story.asked_at = time.monotonic()
    started = story.james.post("/applications", {"round_id": story.rounds["small-requests-demo"]})
    answers = {
        "purpose": "Drafts of answers for the help desk",
        "budget": [{"line": "api_usage", "text": "Calls", "won": 500_000}],
        "consent_truth": True,
    }
    story.james.patch(
        f"/applications/{started['id']}/answers",
        {"answers": {name: {"value": value, "base_version": 0} for name, value in answers.items()}},
    )
    submitted = story.james.post(f"/applications/{started['id']}/submit")
    assert submitted["application_state"] == "awarded"
    story.small_award = submitted["award_id"]
    [decision] = story.james.get(f"/applications/{started['id']}")["decisions"]
    assert (decision["automatic"], decision["granted_micro_won"]) == (True, 500_000 * WON)
    assert decision["grounds"]


def test_its_key_calls_the_model_within_a_minute_of_asking(story: Story) -> None:
    key = story.james.post(f"/awards/{story.small_award}/keys", {"name": "help desk"})["secret"]
    with openai.OpenAI(
        base_url=f"{story.instance.ready['gateway_url']}/v1", api_key=key, max_retries=3
    ) as client:
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Say hello."}], max_tokens=12
        )
    seconds = time.monotonic() - story.asked_at
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0
    assert seconds < 60


def test_an_officer_carries_the_application_to_an_award(story: Story) -> None:
    too_early = story.officer.call(
        "POST", f"/applications/{story.application}/advance", json={"outcome": "submitted"}
    )
    assert (too_early.status_code, too_early.json()["error"]["code"]) == (409, "deadline_not_reached")
    story.weeks_pass()
    # Closing and checking the requirements is the worker's, and needs nobody.
    until(lambda: story.applied(story.officer)["step"] == "completeness", what="the closing", seconds=60)
    at = f"/applications/{story.application}"
    story.officer.post(f"{at}/advance", {"outcome": "complete"})
    story.officer.post(f"{at}/advance", {"outcome": "passed"})
    story.officer.post(f"{at}/decision", {"outcome": "accepted", "krw": 4_500_000, "reason": "A clear plan."})
    awarded = story.officer.post(f"{at}/award")
    assert (awarded["state"], awarded["step"]) == ("awarded", "report")
    again = story.officer.post(f"{at}/award")
    assert again["award_id"] == awarded["award_id"]
    award = story.mina.get(f"/awards/{awarded['award_id']}")
    assert (award["organisation"], award["granted_micro_won"]) == (story.organisation, 4_500_000 * WON)
    done = [one["action"] for one in story.mina.get(f"{at}/timeline")]
    assert {"application.started", "application.submitted", "application.awarded"} <= set(done)


def test_the_ledger_is_right_to_the_token(story: Story) -> None:
    def charged() -> list[str]:
        printed = dure(
            "usage", "list", "--award", story.small_award, "--json", "--data", story.instance.folder
        )
        assert printed.returncode == 0, printed.stderr
        return printed.stdout.splitlines()

    [call] = [json.loads(line) for line in until(charged, what="the call in the usage")]
    assert call["cost_micro_won"] > 0
    verified = dure("ledger", "verify", "--data", story.instance.folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_others_see_nothing_of_it(story: Story) -> None:
    passwords = {one["email"]: one["password"] for one in story.instance.ready["demo_users"]}
    stranger = Person("dallae@demo.example", "한달래", "ko", story.mina.portal)
    stranger.sign_in(password=passwords[stranger.address])
    for path in (f"/applications/{story.application}", f"/applications/{story.application}/receipt",
                 f"/awards/{story.small_award}", f"/awards/{story.small_award}/keys"):  # fmt: skip
        assert stranger.call("GET", path).status_code == 404
