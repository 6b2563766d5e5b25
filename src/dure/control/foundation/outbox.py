"""Mail is written in the transaction of its cause and sent afterwards, so none is lost and none is false.

A notice that cannot be sent is tried again, ever less often, for a week; it never holds up another.
"""

from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F

from dure.control.foundation import clock
from dure.control.foundation.models import OutboxMail

GIVE_UP_AFTER = timedelta(days=7)
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)


def send_mail_later(
    *, to: str, subject: str, body: str, language: str, dedupe_key: str | None = None
) -> None:
    """Queue a notice. The same `dedupe_key` is sent once, however often it is asked for."""
    now = clock.now()
    mail = OutboxMail(
        created_at=now,
        next_attempt_at=now,
        to=to,
        subject=" ".join(subject.split())[:300],
        body=body,
        language=language,
        dedupe_key=dedupe_key,
    )
    OutboxMail.objects.bulk_create([mail], ignore_conflicts=True)


def unsent_older_than(age: timedelta) -> int:
    """How many notices have waited this long: the operator's sign that the worker or the mail server is away."""
    return OutboxMail.objects.filter(sent_at__isnull=True, created_at__lt=clock.now() - age).count()


def forget(*, to: str) -> int:
    """Remove every mail to an address, sent or not (PIPA art. 36); returns how many there were."""
    return OutboxMail.objects.filter(to__iexact=to).delete()[0]


def forget_sent(*, before: datetime, key_prefix: str = "") -> int:
    """Remove mail that was sent before then, of all kinds or of those whose dedupe key begins so."""
    rows = OutboxMail.objects.filter(sent_at__lt=before)
    return (rows.filter(dedupe_key__startswith=key_prefix) if key_prefix else rows).delete()[0]


def deliver(*, limit: int = 100) -> int:
    """Send what waits, oldest first; returns how many went out. Two workers never send the same one."""
    sent = 0
    now = clock.now()
    for _ in range(limit):
        with transaction.atomic():
            mail = (
                OutboxMail.objects.select_for_update(skip_locked=True)
                .filter(sent_at__isnull=True, next_attempt_at__lte=now, created_at__gt=now - GIVE_UP_AFTER)
                .order_by("next_attempt_at")
                .first()
            )
            if mail is None:
                break
            try:
                # RFC 3834: no vacation notice answers what a machine sent.
                headers = {"Auto-Submitted": "auto-generated", "Content-Language": mail.language}
                EmailMessage(mail.subject, mail.body, None, [mail.to], headers=headers).send()
            except Exception as error:  # noqa: BLE001 - an address or text no mail server takes fails in many ways
                pause = min(FIRST_PAUSE * 2 ** min(mail.attempts, 12), LONGEST_PAUSE)
                OutboxMail.objects.filter(pk=mail.pk).update(
                    attempts=F("attempts") + 1,
                    next_attempt_at=clock.now() + pause,
                    last_error=f"{type(error).__name__}: {error}"[:500],
                )
            else:
                OutboxMail.objects.filter(pk=mail.pk).update(attempts=F("attempts") + 1, sent_at=clock.now())
                sent += 1
    return sent
