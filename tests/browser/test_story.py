"""A start-up finds its support and applies: two people in two browsers, one at a desk in Korean, one on a telephone in
English, and an officer in a third.

The tests are the chapters of one story: they share one `dure up` and run in their order. People find their way by what
they can read and by what was mailed to them; an address is typed only where somebody would type one.
"""

import email
import email.policy
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.running import Instance, dure, until

from browser.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("dure_up")

AXE = (REPOSITORY / "node_modules" / "axe-core" / "axe.min.js").read_text()
_RUN_AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    (found) => `${found.id}: ${found.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(" | ")}`)"""

PASSWORD = "maru-norae-saebyeok-4821"
PDF = b"%PDF-1.7\n\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"
MINA, JAMES = "mina@norae.example", "james@norae.example"
PATIENCE = 20_000

PLAN = "상담원이 하루에 같은 질문을 수백 번 받습니다.\n\n" + "모델이 답의 초안을 쓰고 사람이 확인합니다. " * 8
TITLE, ENDING = "노래연구소의 상담 도우미.\n", "\n\nWe start with the smallest model."


@dataclass
class Story:
    """Three people at their browsers, and what they came by."""

    instance: Instance
    mina: Page
    james: Page
    officer: Page
    complaints: list[str] = field(default_factory=list)
    application: str = ""
    award: str = ""
    asked_at: float = 0.0

    @property
    def people(self) -> tuple[Page, Page, Page]:
        return self.mina, self.james, self.officer

    def mailed(self, address: str, pattern: str) -> str:
        """What the pattern finds in the latest of their mails that has it, once one has."""

        def look() -> str:
            found = [re.search(pattern, text) for text in self._mails(address)]
            return next((one[0] for one in reversed(found) if one), "")

        return until(look, what=f"{pattern} in a mail to {address}", seconds=60)

    def _mails(self, address: str) -> list[str]:
        found = []
        for path in sorted((self.instance.folder / "mail").glob("*.log")):
            for part in re.split(rb"\n-{79}\n", path.read_bytes()):
                message = email.message_from_bytes(part.strip(), policy=email.policy.default)
                body = message.get_body(("plain",)) if message["To"] == address else None
                if body is not None:
                    found.append(f"{message['Subject']}\n{body.get_content()}")
        return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Story]:
    instance = Instance(tmp_path_factory.mktemp("story") / "data")
    try:
        instance.up()
        pages = []
        complaints: list[str] = []
        for locale, width in (("ko-KR", 1440), ("en-US", 390), ("ko-KR", 1440)):
            context = browser.new_context(
                base_url=instance.ready["portal_url"], locale=locale, viewport={"width": width, "height": 900}
            )
            context.set_default_timeout(PATIENCE)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda message: (
                    complaints.append(message.text) if "Security Policy" in message.text else None
                ),
            )
            pages.append(page)
        yield Story(instance, *pages, complaints=complaints)
        for page in pages:
            page.context.close()
    finally:
        instance.end()


def sound(page: Page) -> None:
    """What is on the screen fits it, has a heading, and gives axe nothing to find."""
    page.evaluate(AXE)
    assert page.evaluate(_RUN_AXE) == [], page.url
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider == 0, f"{page.url} is wider than its screen by {wider}"
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


def go(page: Page, name: str) -> None:
    """Follow a link."""
    page.get_by_role("link", name=name, exact=True).first.click()
    page.wait_for_load_state()


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).first.click()
    page.wait_for_load_state()


def tick(page: Page, name: str) -> None:
    """KRDS draws the box; what people click is its label."""
    page.get_by_text(name, exact=True).first.click()


def hand_in(page: Page, kind: str, valid_until: str = "") -> None:
    page.get_by_label("서류 종류").select_option(label=kind)
    if valid_until:
        page.get_by_label("유효 기한", exact=True).fill(valid_until)
    page.set_input_files(
        "input[type=file]", {"name": f"{kind}.pdf", "mimeType": "application/pdf", "buffer": PDF}
    )
    press(page, "제출")


def test_two_people_register_and_confirm_with_what_was_mailed_to_them(story: Story) -> None:
    mina, james = story.mina, story.james
    mina.goto("/")
    go(mina, "회원가입하고 시작하기")
    mina.get_by_label("이름", exact=True).fill("노미나")
    mina.get_by_label("이메일 주소").fill(MINA)
    mina.get_by_label("비밀번호", exact=True).fill(PASSWORD)
    tick(mina, "개인정보 처리방침을 읽었으며 동의합니다.")
    sound(mina)
    press(mina, "회원가입")
    james.goto("/account/signup/")
    james.get_by_label("Name", exact=True).fill("James Oh")
    james.get_by_label("E-mail address").fill(JAMES)
    james.get_by_label("Password", exact=True).fill(PASSWORD)
    tick(james, "I have read the privacy notice and agree to it.")
    sound(james)
    press(james, "Register")
    for page, address, password, button in (
        (mina, MINA, "비밀번호", "확인하고 로그인"),
        (james, JAMES, "Password", "Confirm and sign in"),
    ):
        sound(page)
        page.goto(story.mailed(address, r"http://\S+/confirm-email/\S+"))
        sound(page)
        page.get_by_label(password, exact=True).fill(PASSWORD)
        press(page, button)
        expect(page.get_by_role("status").first).to_be_visible()
        sound(page)
    expect(mina.get_by_role("heading", level=1)).to_have_text("노미나 님, 환영합니다")
    expect(james.get_by_role("heading", level=1)).to_have_text("Welcome, James Oh")


def test_one_founds_an_organisation_and_asks_for_its_verification(story: Story) -> None:
    mina = story.mina
    go(mina, "기관 등록")
    for name, value in (("사업자등록번호", "131-86-12346"), ("한국어 이름", "노래연구소"),
                        ("영어 이름", "Norae Labs"), ("설립일", "2025-02-03"), ("직원 수", "4")):  # fmt: skip
        mina.get_by_label(name, exact=True).fill(value)
    mina.get_by_label("기업 규모").select_option(label="소상공인")
    mina.get_by_label("지역", exact=True).select_option(label="서울")
    press(mina, "등록")
    expect(mina.get_by_role("alert")).to_contain_text("마지막 검증 숫자가 맞지 않습니다")
    expect(mina.get_by_label("한국어 이름", exact=True)).to_have_value("노래연구소")
    sound(mina)
    mina.get_by_label("사업자등록번호", exact=True).fill("131-86-12347")
    press(mina, "등록")
    sound(mina)
    go(mina, "사업자등록증 제출하기")
    hand_in(mina, "사업자등록증")
    go(mina, "기관 확인 요청하기")
    press(mina, "요청")
    expect(mina.get_by_role("heading", name="기관 확인이 진행 중입니다")).to_be_visible()
    for kind in ("납세증명서", "4대 사회보험료 완납증명서"):
        go(mina, "서류")
        go(mina, "서류 제출")
        hand_in(mina, kind, "2027-11-01")
    sound(mina)


def test_until_then_the_call_says_what_is_missing(story: Story) -> None:
    story.mina.goto("/calls/")
    go(story.mina, "초거대 AI API 활용지원 공고 (시연)")
    main = story.mina.get_by_role("main")
    expect(main).to_contain_text("기관 확인을 마친 기관")
    expect(main).to_contain_text("기관 확인 완료: 아니요")
    expect(main).to_contain_text("납세증명서: 제출되어 확인 중입니다")
    sound(story.mina)


def test_an_officer_verifies_it(story: Story) -> None:
    officer = story.officer
    officer.goto("/account/login/")
    officer.get_by_role("button", name="김사업").click()
    go(officer, "할 일")
    go(officer, "확인할 기관")
    sound(officer)
    go(officer, "노래연구소")
    go(officer, "확인")
    officer.get_by_label("사유").fill("사업자등록증과 일치합니다.")
    press(officer, "확인")
    go(officer, "서류")
    for kind in ("납세증명서", "4대 사회보험료 완납증명서"):
        go(officer, f"인정 {kind}")
        press(officer, "인정")
    sound(officer)
    go(officer, "할 일")
    expect(officer.get_by_role("main")).not_to_contain_text("확인할 기관")
    story.mailed(MINA, "노래연구소")


def test_the_other_is_invited_and_accepts_from_the_mail(story: Story) -> None:
    mina, james = story.mina, story.james
    go(mina, "기관")
    go(mina, "구성원")
    go(mina, "구성원 초대")
    mina.get_by_label("이메일 주소").fill(JAMES)
    tick(mina, "개발자")
    sound(mina)
    press(mina, "초대 보내기")
    expect(mina.get_by_role("main")).to_contain_text("응답 대기")
    james.goto(story.mailed(JAMES, r"http://\S+/invitations/\S+"))
    sound(james)
    press(james, "Accept")
    expect(james.get_by_role("status").first).to_have_text("You act for Norae Labs from now on.")
    sound(james)


def test_they_see_which_call_fits_and_why_another_does_not(story: Story) -> None:
    james = story.james
    expect(james.get_by_role("article")).to_have_count(2)  # the calls that fit, on the first page
    go(james, "All calls")
    james.get_by_role("searchbox").fill("research")
    press(james, "Show")
    go(james, "Joint Research on Hyperscale Models (demo)")
    rule = james.get_by_role("listitem").filter(has_text="At least seven years old")
    expect(rule).to_contain_text("not met")
    expect(rule).to_contain_text("asked for: at least 7 years")
    sound(james)
    go(story.mina, "공고")
    story.mina.get_by_role("searchbox").fill("API")
    press(story.mina, "보기")
    go(story.mina, "초거대 AI API 활용지원 공고 (시연)")
    go(story.mina, "신청하기")
    expect(story.mina.get_by_role("main")).to_contain_text("예, 모든 자격을 충족합니다.")
    sound(story.mina)


def test_both_write_the_same_text_at_once_and_nothing_is_lost(story: Story) -> None:
    mina, james = story.mina, story.james
    press(mina, "신청서 작성 시작")
    sound(mina)
    story.application = mina.url.split("/applications/")[1].split("/")[0]
    go(mina, "작성자 1명")
    mina.get_by_label("동료의 이메일").fill(JAMES)
    press(mina, "추가")
    sound(mina)
    james.goto(story.mailed(JAMES, rf"http://\S+/applications/{story.application}/"))
    assert "asks you to write" in story.mailed(
        JAMES, r"노미나 asks you to write the application \S+ together"
    )
    for page, section, question in (
        (mina, "서비스", "AI를 어디에"),
        (james, "Your service", "What will you use AI for?"),
    ):
        if page is mina:
            go(mina, "작성으로 돌아가기")
        page.get_by_role("link", name=section).first.click()
        expect(page.get_by_label(question)).to_be_visible()
    hers, his = mina.get_by_label("AI를 어디에"), james.get_by_label("What will you use AI for?")
    hers.fill(PLAN)
    expect(his).to_have_value(PLAN, timeout=PATIENCE)
    his.press("Control+End")
    his.press_sequentially(ENDING)
    hers.press("Control+Home")
    hers.press_sequentially(TITLE)
    for field_ in (hers, his):
        expect(field_).to_have_value(TITLE + PLAN + ENDING, timeout=PATIENCE)


def test_each_fills_in_what_they_know(story: Story) -> None:
    mina, james = story.mina, story.james
    james.get_by_label("Name of the service").fill("Norae Desk")
    tick(mina, "시제품")
    mina.get_by_role("group", name=re.compile("개인정보")).get_by_text("아니요", exact=True).click()
    press(james, "Save and go on")
    james.get_by_label("Name 1").fill("James Oh")
    james.get_by_label("Role 1").select_option(label="Development")
    james.get_by_label("Share of working time (%) 1").fill("50")
    press(james, "Save and go on")
    james.get_by_label("Budget line 1").select_option(label="API charges")
    james.get_by_label("What for 1").fill("Calls")
    james.get_by_label("Amount (won) 1").fill("1000000")
    expect(james.get_by_role("main")).to_contain_text("₩1,000,000")
    sound(james)
    press(james, "Save and go on")
    mina.get_by_role("link", name="담당자").first.click()
    mina.get_by_label("이름").fill("노미나")
    mina.get_by_label("전화번호").fill("02-1234-5678")
    mina.get_by_label("이메일").fill(MINA)
    press(mina, "저장하고 다음으로")
    mina.get_by_role("link", name="동의와 확인").first.click()
    for number in (0, 1):
        mina.get_by_text("내용을 읽었으며 동의합니다.").nth(number).click()
    sound(mina)
    press(mina, "저장하고 확인")


def test_what_is_wrong_is_said_before_it_is_submitted(story: Story) -> None:
    mina, james = story.mina, story.james
    expect(mina.get_by_role("button", name="제출", exact=True)).to_be_disabled()
    sound(mina)
    james.get_by_role("link", name="Check and submit").first.click()
    expect(james.get_by_role("main")).to_contain_text("Ask for ₩3,000,000 at least.")
    sound(james)
    james.get_by_role("link", name="What you ask for").first.click()
    james.get_by_label("Amount (won) 1").fill("5000000")
    press(james, "Save and go on")


def test_they_submit_and_get_a_receipt(story: Story) -> None:
    mina = story.mina
    mina.reload()
    press(mina, "제출")
    expect(mina.get_by_role("main")).to_contain_text("신청서를 접수했습니다.")
    sound(mina)
    with mina.expect_download() as coming:
        mina.get_by_role("link", name="접수증(JSON)").click()
    receipt = coming.value.path()
    verified = dure("receipts", "verify", receipt, "--data", story.instance.folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    story.mailed(MINA, r"http://\S+/receipt/")


def test_a_small_request_is_granted_at_once(story: Story) -> None:
    james = story.james
    story.asked_at = time.monotonic()
    james.goto("/calls/")
    james.get_by_label("Kind").select_option(label="small request")
    press(james, "Show")
    go(james, "Small Requests, Approved by Rule (demo)")
    go(james, "Apply")
    sound(james)
    press(james, "Begin the application")
    james.get_by_label("What will you use it for?").fill("Drafts of answers for the help desk")
    james.get_by_label("Budget line 1").select_option(label="API charges")
    james.get_by_label("What for 1").fill("Calls")
    james.get_by_label("Amount (won) 1").fill("500000")
    tick(james, "I have read this and agree.")
    sound(james)
    press(james, "Save and check")
    sound(james)
    press(james, "Submit")
    expect(james.get_by_role("heading", level=1)).to_have_text("Granted at once")
    expect(james.get_by_role("main")).to_contain_text(
        "Granted by the call's published rule for small requests."
    )
    sound(james)


def test_its_key_makes_the_call_that_the_page_shows(story: Story) -> None:
    james = story.james
    go(james, "Issue a key and make the first call")
    sound(james)
    story.award = james.url.split("/awards/")[1].split("/")[0]
    press(james, "Issue a key now")
    sound(james)
    james.get_by_role("button", name="Copy – Shell (curl)").click()
    expect(james.get_by_role("status").filter(has_text="Copied.").first).to_be_attached()
    typed = james.evaluate("navigator.clipboard.readText()")
    answered = subprocess.run(
        ["bash", "-c", typed], capture_output=True, text=True, timeout=60, check=False
    )  # what a terminal does with what was copied
    assert '"completion_tokens"' in answered.stdout, answered.stdout + answered.stderr
    assert time.monotonic() - story.asked_at < 60
    go(james, "I have kept it; to the award")
    calls = james.get_by_role("table", name=re.compile("^Calls of this award"))
    expect(calls.get_by_role("row")).to_have_count(2, timeout=PATIENCE)  # its head and the call
    sound(james)


def test_the_officer_finds_it_at_the_desk_and_the_books_agree(story: Story) -> None:
    officer = story.officer
    go(officer, "심사 업무")
    sound(officer)
    go(officer, "초거대 AI API 활용지원 공고 (시연)")
    sound(officer)
    go(officer, "Norae Desk")
    expect(officer.get_by_role("heading", level=1)).to_have_text("Norae Desk")
    expect(officer.get_by_role("main")).to_contain_text("노래연구소")
    sound(officer)
    verified = dure("ledger", "verify", "--data", story.instance.folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert story.complaints == []
