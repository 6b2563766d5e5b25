"""Notices: written with their cause, sent once, tried again when the mail server is away."""

from unittest.mock import patch

import pytest
from django.core import mail
from django.core.mail import EmailMessage

from dure.control.foundation import outbox
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
    OutboxMail.objects.update(attempts=0)
    assert outbox.deliver() == 1
