"""Notices: written with their cause, sent once, tried again when the mail server is away."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core import mail
from django.core.mail import EmailMessage

from dure.control.foundation import clock, outbox
from dure.control.foundation.models import OutboxMail

pytestmark = pytest.mark.django_db


def send(key: str | None = None) -> None:
    outbox.send_mail_later(
        to="kim@example.kr", subject="안내\n둘째 줄", body="본문", language="ko", dedupe_key=key
    )


def test_a_notice_goes_out_once() -> None:
    send()
    assert outbox.deliver() == 1
    assert outbox.deliver() == 0
    (message,) = mail.outbox
    assert (message.subject, message.body, message.to) == ("안내 둘째 줄", "본문", ["kim@example.kr"])


def test_the_same_notice_is_queued_once() -> None:
    send("deadline-7")
    send("deadline-7")
    assert OutboxMail.objects.count() == 1


def test_a_mail_server_that_is_away_loses_nothing() -> None:
    send()
    with patch.object(EmailMessage, "send", side_effect=ConnectionRefusedError("no mail server")):
        assert outbox.deliver() == 0
    waiting = OutboxMail.objects.get()
    assert waiting.attempts == 1
    assert "no mail server" in waiting.last_error
    assert outbox.deliver() == 0, "it waits a minute before it tries again"
    OutboxMail.objects.update(next_attempt_at=clock.now())
    assert outbox.deliver() == 1


def test_a_notice_that_no_server_takes_does_not_hold_up_the_others() -> None:
    outbox.send_mail_later(to='"a\x0cb"@example.com', subject="x", body="x", language="ko")
    outbox.send_mail_later(to="a@" + "ß" * 70 + ".kr", subject="x", body="x", language="ko")
    send()
    with patch.object(EmailMessage, "send", lambda message: message.message()):
        assert outbox.deliver() == 1
    assert OutboxMail.objects.filter(sent_at=None, attempts=1).count() == 2


def test_a_notice_waits_longer_after_each_try_and_a_restart_does_not_use_them_up() -> None:
    send()
    with patch.object(EmailMessage, "send", side_effect=ConnectionRefusedError("no mail server")):
        for _ in range(5):
            OutboxMail.objects.update(next_attempt_at=clock.now() - timedelta(hours=1))
            outbox.deliver()
    waiting = OutboxMail.objects.get()
    assert waiting.attempts == 5
    assert waiting.next_attempt_at > clock.now() + timedelta(minutes=10)
