"""REST: what one is told, one's calendar, and what this installation signs with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from ninja import Query, Router, Schema, Status

from dure.control.foundation import calendars, notices, receipts, signing
from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience

router = Router(tags=["notices"])


class NoticeOut(Schema):
    """`path` is the portal's address of the next step."""

    id: UUID
    category: str
    title: str
    text: str
    path: str
    action: str
    created_at: datetime
    read_at: datetime | None


class NoticesOut(Schema):
    items: list[NoticeOut]
    page: int
    pages: int
    total: int


class ReadOut(Schema):
    marked: int


class MailOut(Schema):
    """Which notices come by e-mail as well; duties always do."""

    duty: bool
    outcome: bool
    reminder: bool


class MailIn(Schema):
    """What is left out stays as it is."""

    duty: bool | None = None
    outcome: bool | None = None
    reminder: bool | None = None


@router.get("/notices", response={200: NoticesOut, **ERRORS})
@audience("signed_in")
def list_notices(request: Request, unread: bool = False, page: int = Query(1, ge=1, le=1_000_000)) -> object:
    """One's notices, unread first, then the latest, 20 a page."""
    found = notices.notices(actor=actor_of(request), unread=unread, page=page)
    return {
        "items": list(found.object_list),
        "page": found.number,
        "pages": found.paginator.num_pages,
        "total": found.paginator.count,
    }


@router.post("/notices/read", response={200: ReadOut, **ERRORS})
@audience("signed_in")
def mark_all_notices_read(request: Request) -> object:
    """Mark every notice as read."""
    return {"marked": notices.mark_all_read(actor=actor_of(request))}


@router.get("/notices/mail", response={200: MailOut, **ERRORS})
@audience("signed_in")
def show_notice_mail(request: Request) -> object:
    """Which notices come by e-mail."""
    return notices.mail_preferences(actor=actor_of(request))


@router.patch("/notices/mail", response={200: MailOut, **ERRORS})
@audience("signed_in")
def choose_notice_mail(request: Request, body: MailIn) -> object:
    """Choose which notices come by e-mail."""
    chosen = {name: value for name, value in body.dict().items() if value is not None}
    return notices.choose_mail(actor=actor_of(request), by_mail=chosen)


@router.get("/notices/{notice_id}", response={200: NoticeOut, **ERRORS})
@audience("signed_in")
def show_notice(request: Request, notice_id: UUID) -> object:
    """One notice; others' are not there."""
    return notices.notice(actor=actor_of(request), notice_id=notice_id)


@router.post("/notices/{notice_id}/read", response={200: NoticeOut, **ERRORS})
@audience("signed_in")
def mark_notice_read(request: Request, notice_id: UUID) -> object:
    """Mark a notice as read; doing so again changes nothing."""
    return notices.mark_read(actor=actor_of(request), notice_id=notice_id)


class CalendarOut(Schema):
    """When the secret address was made, and when a calendar program last read it."""

    created_at: datetime
    last_read_at: datetime | None


class NewCalendarOut(Schema):
    """`url` is shown this once."""

    url: str


class CalendarEndedOut(Schema):
    ended: bool


class SigningKeyOut(Schema):
    """An Ed25519 public key (RFC 8032), 64 hexadecimal digits; `key_id` is the first half of its SHA-256."""

    key_id: str
    value_hex: str
    current: bool


class ReceiptIn(Schema):
    """A receipt as it was received."""

    content: dict[str, Any]
    key_id: str
    signature: str


class ReceiptVerificationOut(Schema):
    """`key` is current, earlier or unknown."""

    genuine: bool
    key: str
    key_id: str


@router.get("/calendar", response={200: CalendarOut, **ERRORS})
@audience("signed_in")
def show_calendar(request: Request) -> object:
    """Whether one has a calendar address; 404 if not."""
    found = calendars.feed_of(actor=actor_of(request))
    if found is None:
        raise NotFound(code="calendar_not_found")
    return found


@router.post("/calendar", response={201: NewCalendarOut, **ERRORS})
@audience("signed_in")
def make_calendar(request: Request) -> object:
    """A new secret address for one's calendar; the old one ends."""
    token = calendars.make_feed(actor=actor_of(request))
    address = settings.DURE_PORTAL_URL.rstrip("/") + reverse("portal:calendar", args=[token])
    return Status(201, {"url": address})


@router.delete("/calendar", response={200: CalendarEndedOut, **ERRORS})
@audience("signed_in")
def end_calendar(request: Request) -> object:
    """End one's calendar address."""
    return {"ended": calendars.end_feed(actor=actor_of(request))}


@router.get("/signing-keys", response={200: list[SigningKeyOut], **ERRORS}, tags=["receipts"])
@audience("public")
def list_signing_keys(request: Request) -> object:
    """The public keys that this installation signs with and has signed with, the present one first."""
    return signing.public_keys()


@router.post("/receipts/verify", response={200: ReceiptVerificationOut, **ERRORS}, tags=["receipts"])
@audience("public")
def verify_receipt(request: Request, body: ReceiptIn) -> object:
    """Whether a receipt is genuine: signed here, and not changed since."""
    return receipts.verify(request.body)
