"""REST: what one is told."""

from datetime import datetime
from uuid import UUID

from ninja import Query, Router, Schema

from dure.control.foundation import notices
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
