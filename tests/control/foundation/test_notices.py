"""Notices: told once, in each person's language, by mail as far as they want it, with the next step's address."""

from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from django.core import mail
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.foundation import clock, notices, outbox, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, Invalid, NotFound
from dure.control.foundation.models import AuditEvent, Notice, NoticePreference, OutboxMail

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


@dataclass(frozen=True)
class Someone:
    email: str
    language: str = "ko"
    id: UUID = field(default_factory=uuid7)

    @property
    def actor(self) -> Actor:
        return Actor(kind="person", name=self.email, person_id=self.id)


KIM, LEE = Someone("kim@example.kr"), Someone("lee@example.kr", "en")


def tell(*people: Someone, key: str = "first", **options) -> None:
    texts = {"title": _("Notices"), "text": "둘\n줄", "action": _("Mark as read")}
    given = {"path": "/awards/7/", **texts, **options}
    for name in texts:
        given[name] = wording.verbatim(given[name]) if isinstance(given[name], str) else given[name]
    notices.tell(to=people, dedupe_key=key, **given)


def told(person: Someone, **options) -> list[notices.NoticeView]:
    return list(notices.notices(actor=person.actor, **options).object_list)


def test_each_is_told_in_their_language() -> None:
    tell(KIM, LEE)
    assert [(one.title, one.action, one.text, one.path) for one in told(KIM)] == [
        ("알림", "읽음으로 표시", "둘\n줄", "/awards/7/")
    ]
    assert [one.title for one in told(LEE)] == ["Notices"]


def test_a_text_that_was_said_already_is_refused() -> None:
    """It would be in the language of whoever acts, not of who reads it."""
    with pytest.raises(TypeError, match="already said"):
        notices.tell(
            to=[KIM], title=_("%(n)s notices") % {"n": 1}, text=wording.verbatim(""), path="/awards/7/",
            action=_("Mark as read"), dedupe_key="said",
        )  # fmt: skip


def test_the_same_is_told_once_to_each() -> None:
    tell(KIM, KIM)
    tell(KIM, LEE)
    assert (len(told(KIM)), len(told(LEE)), OutboxMail.objects.count()) == (1, 1, 2)
    tell(KIM, key="second")
    assert len(told(KIM)) == 2


def test_a_key_may_be_longer_than_its_column() -> None:
    tell(KIM, key="k" * 500)
    tell(KIM, key="k" * 500)
    tell(KIM, key="k" * 501)
    assert (len(told(KIM)), OutboxMail.objects.count()) == (2, 2)


def test_many_are_told_with_few_questions(django_assert_max_num_queries) -> None:
    people = [Someone(f"p{n}@example.kr") for n in range(5)]
    with django_assert_max_num_queries(3 + len(people)):
        tell(*people)


@pytest.mark.parametrize(
    "path", ["awards/", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb"]
)
def test_a_notice_leads_into_the_portal(path: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        tell(KIM, path=path)


def test_nobody_to_tell_is_no_failure() -> None:
    tell()
    assert Notice.objects.count() == 0


def test_the_mail_is_well_formed(settings) -> None:
    settings.DURE_PORTAL_URL = "https://dure.example.kr/"
    tell(KIM, title="지원금\n확정", text="3,000원이 지원됩니다.", action="지원금 보기", category="outcome")
    assert outbox.deliver() == 1
    (sent,) = mail.outbox
    read = message_from_bytes(sent.message().as_bytes(), policy=policy.default)
    assert (read["Subject"], read["To"], read["Content-Language"]) == ("지원금 확정", "kim@example.kr", "ko")
    assert (read["Auto-Submitted"], read.get_content_type()) == ("auto-generated", "text/plain")
    assert read["Message-ID"]
    assert read["Date"]
    assert read.get_content().splitlines() == [
        "3,000원이 지원됩니다.",
        "",
        "지원금 보기:",
        "https://dure.example.kr/awards/7/",
        "",
        "-- ",
        "귀하의 업무에 관한 소식이어서 보내 드리는 메일입니다.",
        "메일 수신 설정: https://dure.example.kr/notices/settings/",
    ]


def test_mail_is_ones_own_choice_except_for_duties() -> None:
    assert notices.mail_preferences(actor=KIM.actor) == {"duty": True, "outcome": True, "reminder": True}
    notices.choose_mail(actor=KIM.actor, by_mail={"outcome": False})
    notices.choose_mail(actor=KIM.actor, by_mail={"reminder": False})
    assert notices.mail_preferences(actor=KIM.actor) == {"duty": True, "outcome": False, "reminder": False}
    tell(KIM, LEE, category="outcome")
    tell(KIM, key="second")
    assert sorted(OutboxMail.objects.values_list("to", flat=True)) == ["kim@example.kr", "lee@example.kr"]
    assert len(told(KIM)) == 2
    with pytest.raises(Invalid) as refused:
        notices.choose_mail(actor=KIM.actor, by_mail={"duty": False})
    assert refused.value.code == "duties_always_come"
    with pytest.raises(Invalid) as refused:
        notices.choose_mail(actor=KIM.actor, by_mail={"gossip": True})
    assert refused.value.code == "category_unknown"


def test_what_is_unread_comes_first_then_the_latest() -> None:
    for key in ("a", "b", "c"):
        tell(KIM, key=key, title=key)
    latest, middle, _oldest = told(KIM)
    assert (latest.title, middle.title) == ("c", "b")
    notices.mark_read(actor=KIM.actor, notice_id=latest.id)
    assert [one.title for one in told(KIM)] == ["b", "a", "c"]
    assert [one.title for one in told(KIM, unread=True)] == ["b", "a"]
    assert notices.unread_count(KIM.id) == 2


def test_reading_twice_keeps_the_first_time() -> None:
    tell(KIM)
    (one,) = told(KIM)
    first = notices.mark_read(actor=KIM.actor, notice_id=one.id)
    assert notices.mark_read(actor=KIM.actor, notice_id=one.id) == first
    assert notices.mark_all_read(actor=KIM.actor) == 0


def test_others_notices_are_not_there() -> None:
    tell(KIM)
    (one,) = told(KIM)
    for question in (notices.notice, notices.mark_read):
        with pytest.raises(NotFound):
            question(actor=LEE.actor, notice_id=one.id)
    for person in (LEE.actor, Actor.anonymous()):
        with pytest.raises(Forbidden):
            notices.notices(actor=person, person_id=KIM.id)
    assert notices.mark_all_read(actor=LEE.actor) == 0
    assert len(told(KIM, unread=True)) == 1
    assert len(notices.notices(actor=SYSTEM, person_id=KIM.id).object_list) == 1


def test_the_bell_stops_counting_at_a_hundred(django_assert_num_queries) -> None:
    tell(KIM, title="x")
    row = Notice.objects.get()
    Notice.objects.bulk_create(
        [
            Notice(
                **{
                    name: getattr(row, name)
                    for name in ("person_id", "category", "title", "text", "path", "action", "created_at")
                },
                dedupe_key=str(n),
            )
            for n in range(150)
        ]
    )
    with django_assert_num_queries(1):
        assert notices.unread_count(KIM.id) == 100


def test_old_notices_are_forgotten() -> None:
    for key in ("read long ago", "unread long ago", "unread lately"):
        tell(KIM, key=key, title=key)
    now = clock.now()
    Notice.objects.filter(title="read long ago").update(read_at=now - timedelta(days=181))
    Notice.objects.filter(title="unread long ago").update(created_at=now - timedelta(days=541))
    assert notices.remove_old() == 2
    assert [one.title for one in told(KIM)] == ["unread lately"]


def test_who_leaves_is_forgotten() -> None:
    tell(KIM, LEE)
    notices.choose_mail(actor=KIM.actor, by_mail={"outcome": False})
    assert notices.forget(person_id=KIM.id) == 1
    assert (Notice.objects.count(), NoticePreference.objects.count()) == (1, 0)


def test_an_operators_word_stands_in_the_audit_trail() -> None:
    said = {
        "title": "점검",
        "text": "밤 10시부터",
        "path": "/",
        "action": "열기",
        "dedupe_key": "maintenance",
    }
    with pytest.raises(Forbidden):
        notices.announce(actor=KIM.actor, to=[LEE], **said)
    with pytest.raises(Invalid):
        notices.announce(actor=SYSTEM, to=[LEE], **{**said, "path": "https://elsewhere.example"})
    notices.announce(actor=SYSTEM, to=[LEE], **said)
    assert AuditEvent.objects.get(action="notice.announced").after["to"] == [str(LEE.id)]
    assert [one.title for one in told(LEE)] == ["점검"]


@pytest.mark.django_db(transaction=True)
def test_a_notice_belongs_to_the_transaction_of_its_cause() -> None:
    with pytest.raises(RuntimeError):
        tell(KIM)
    with transaction.atomic():
        tell(KIM)
        transaction.set_rollback(True)
    assert (Notice.objects.count(), OutboxMail.objects.count()) == (0, 0)
