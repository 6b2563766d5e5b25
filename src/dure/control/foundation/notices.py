"""Telling people: a notice in the portal and a mail, each in their language, with the link that does the next thing.

    notices.tell(
        to=identity.people_to_notify(organisation_id, roles=["administrator"]),
        title=_("A document is missing"),
        text=_("The officer asks for the tax clearance certificate."),
        path=reverse("applications:application", args=[application_id]),
        action=_("Add the document"),
        dedupe_key=f"completion-{request_id}",
    )

A duty (somebody waits for you) always comes by mail; of the other categories each person chooses.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args
from uuid import UUID

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, outbox, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, Invalid, NotFound, Text
from dure.control.foundation.models import Notice, NoticePreference

Category = Literal["duty", "outcome", "reminder"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
TITLES: Mapping[str, Promise] = {
    "duty": _("What waits for you"),
    "outcome": _("What became of your business"),
    "reminder": _("Dates that draw near"),
}
PAGE_SIZE = 20
MOST_COUNTED = 100
KEPT_AFTER_READING, KEPT_UNREAD = timedelta(days=180), timedelta(days=540)
SETTINGS_PATH = "/notices/settings/"


class Recipient(Protocol):
    """Whom a notice goes to; identity's `PersonView` is one."""

    @property
    def id(self) -> UUID: ...
    @property
    def email(self) -> str: ...
    @property
    def language(self) -> str: ...


@dataclass(frozen=True, slots=True)
class NoticeView:
    id: UUID
    category: str
    title: str
    text: str
    path: str
    action: str
    created_at: datetime
    read_at: datetime | None


def tell(
    *,
    to: Iterable[Recipient],
    title: Text,
    text: Text,
    path: str,
    action: Text,
    dedupe_key: str,
    category: Category = "duty",
) -> None:
    """Tell each person once; must run in the transaction of what it tells of.

    `path` is the portal's address of the next step and `action` its name, a verb. Texts are lazy (`wording`), and so
    are said in the recipient's language. The same `dedupe_key` is told to the same person once, however often it is
    asked for.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a notice belongs to the transaction of its cause")
    if not is_address(path) or category not in CATEGORIES:
        raise ValueError(f"no address in the portal, or no category: {path!r}, {category!r}")
    for given in (title, text, action):
        if not isinstance(given, Promise):
            raise TypeError(f"already said, in the language of whoever acts: {given!r}; see `wording`")
    key = _short(dedupe_key)
    people = {person.id: person for person in to}
    told = Notice.objects.filter(dedupe_key=key, person_id__in=people).values_list("person_id", flat=True)
    fresh = [person for person_id, person in people.items() if person_id not in set(told)]
    muted = _muted(category, [person.id for person in fresh])
    now, rows = clock.now(), []
    for person in fresh:
        with translation.override(person.language):
            row = Notice(
                person_id=person.id,
                category=category,
                title=" ".join(str(title).split())[:300],
                text=str(text),
                path=path,
                action=str(action)[:100],
                dedupe_key=key,
                created_at=now,
            )
            rows.append(row)
            if person.id not in muted:
                outbox.send_mail_later(
                    to=person.email,
                    subject=row.title,
                    body=_mail(row),
                    language=person.language,
                    dedupe_key=_short(f"notice-{person.id}-{dedupe_key}"),
                )
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


def is_address(path: str) -> bool:
    """Whether it leads into the portal, and nowhere else whatever a browser makes of it."""
    return (
        path.startswith("/")
        and not path.startswith(("//", "/\\"))
        and path.isprintable()
        and len(path) <= 500
    )


def _short(key: str) -> str:
    """The key itself, or its digest where the column is too narrow for it."""
    return key if len(key) <= 200 else hashlib.sha256(key.encode()).hexdigest()


def _muted(category: str, people: list[UUID]) -> set[UUID]:
    if category == "duty":
        return set()
    rows = NoticePreference.objects.filter(category=category, by_mail=False, person_id__in=people)
    return set(rows.values_list("person_id", flat=True))


def _mail(notice: Notice) -> str:
    reasons = {
        "duty": gettext("You receive this mail because the next step is yours."),
        "outcome": gettext("You receive this mail because it is about your own business."),
        "reminder": gettext("You receive this mail because a date of yours draws near."),
    }
    site = settings.DURE_PORTAL_URL.rstrip("/")
    lines = [
        *(notice.text, "", f"{notice.action}:", site + notice.path, "", "-- "),
        reasons[notice.category],
        gettext("Which mails you receive: %(address)s") % {"address": site + SETTINGS_PATH},
        "",
    ]
    return "\n".join(lines)


# Reading


def unread_count(person_id: UUID) -> int:
    """How many notices wait, counted up to a hundred: what the bell says on every page."""
    return Notice.objects.filter(person_id=person_id, read_at=None)[:MOST_COUNTED].count()


def notices(
    *, actor: Actor, unread: bool = False, page: int = 1, person_id: UUID | None = None
) -> Page[NoticeView]:
    """A page of one's notices, unread first, then the latest; the software may look for a person."""
    rows = Notice.objects.filter(person_id=_whose(actor, person_id))
    if unread:
        rows = rows.filter(read_at=None)
    rows = rows.order_by(ExpressionWrapper(Q(read_at=None), BooleanField()).desc(), "-created_at", "-id")
    found: Page[Notice] = Paginator(rows, PAGE_SIZE).get_page(page)
    found.object_list = [_view(row) for row in found.object_list]  # type: ignore[misc]
    return found  # type: ignore[return-value]


def notice(*, actor: Actor, notice_id: UUID) -> NoticeView:
    """One of one's own; raises `NotFound`."""
    return _view(_own(actor, notice_id))


def mail_preferences(*, actor: Actor, person_id: UUID | None = None) -> dict[str, bool]:
    """Category → whether it comes by mail as well; `duty` always does."""
    rows = NoticePreference.objects.filter(person_id=_whose(actor, person_id))
    chosen = dict(rows.values_list("category", "by_mail"))
    return {category: category == "duty" or chosen.get(category, True) for category in CATEGORIES}


# Verbs


@transaction.atomic
def announce(
    *,
    actor: Actor,
    to: Collection[Recipient],
    title: str,
    text: str,
    path: str,
    action: str,
    dedupe_key: str,
    category: Category = "outcome",
) -> None:
    """What no event of a room causes: an operator's word to people. It stands in the audit trail."""
    if not actor.has("operator"):
        raise Forbidden
    if not is_address(path):
        raise Invalid(
            "path_invalid",
            _("A notice leads to a page of the portal."),
            field="path",
            remedy=_("Give its address from the first slash on, like /awards/."),
        )
    if not title.strip() or not action.strip():
        raise Invalid("text_missing", _("A notice needs a title and a name for its link."), field="title")
    audit.record(
        actor=actor,
        action="notice.announced",
        subject_kind="notice",
        subject_id=_short(dedupe_key)[:80],
        after={"to": [str(person.id) for person in to], "title": title, "path": path},
    )
    tell(
        to=to,
        title=wording.verbatim(title),
        text=wording.verbatim(text),
        path=path,
        action=wording.verbatim(action),
        dedupe_key=dedupe_key,
        category=category,
    )


def mark_read(*, actor: Actor, notice_id: UUID, person_id: UUID | None = None) -> NoticeView:
    """Doing so again changes nothing, nor does it say that it was read later."""
    row = _own(actor, notice_id, person_id)
    if row.read_at is None:
        row.read_at = clock.now()
        Notice.objects.filter(pk=row.pk, read_at=None).update(read_at=row.read_at)
    return _view(row)


def mark_all_read(*, actor: Actor, person_id: UUID | None = None) -> int:
    """How many were unread until now."""
    rows = Notice.objects.filter(person_id=_whose(actor, person_id), read_at=None)
    return rows.update(read_at=clock.now())


@transaction.atomic
def choose_mail(
    *, actor: Actor, by_mail: Mapping[str, bool], person_id: UUID | None = None
) -> dict[str, bool]:
    """Say of each category whether it is to come by mail; those not named stay as they are."""
    whose = _whose(actor, person_id)
    if by_mail.get("duty") is False:
        raise Invalid(
            "duties_always_come",
            _("Mail about what waits for you cannot be turned off."),
            field="duty",
            remedy=_("Turn off the other kinds, or leave the role that the duties come with."),
        )
    if unknown := sorted(set(by_mail) - set(CATEGORIES)):
        raise Invalid(
            "category_unknown",
            _("There is no kind of notice called “%(name)s”.") % {"name": unknown[0]},
            field=unknown[0],
            remedy=", ".join(CATEGORIES),
        )
    for category, wanted in by_mail.items():
        if category != "duty":
            NoticePreference.objects.update_or_create(
                person_id=whose, category=category, defaults={"by_mail": wanted}
            )
    return mail_preferences(actor=actor, person_id=person_id)


def remove_old(*, now: datetime | None = None) -> int:
    """Forget what was read half a year ago, and what nobody read in a year and a half; returns how many."""
    now = now or clock.now()
    read, _each = Notice.objects.filter(read_at__lt=now - KEPT_AFTER_READING).delete()
    unread, _each = Notice.objects.filter(read_at=None, created_at__lt=now - KEPT_UNREAD).delete()
    return read + unread


def forget(*, person_id: UUID) -> int:
    """Erase a person's notices and preferences (PIPA art. 36); returns how many notices there were."""
    NoticePreference.objects.filter(person_id=person_id).delete()
    count, _each = Notice.objects.filter(person_id=person_id).delete()
    return count


def _whose(actor: Actor, person_id: UUID | None) -> UUID:
    if person_id is not None and (actor.is_system or actor.person_id == person_id):
        return person_id
    if person_id is not None or actor.person_id is None:
        raise Forbidden
    return actor.person_id


def _own(actor: Actor, notice_id: UUID, person_id: UUID | None = None) -> Notice:
    row = Notice.objects.filter(pk=notice_id, person_id=_whose(actor, person_id)).first()
    if row is None:
        raise NotFound(code="notice_not_found")
    return row


def _view(row: Notice) -> NoticeView:
    return NoticeView(
        id=row.pk,
        category=row.category,
        title=row.title,
        text=row.text,
        path=row.path,
        action=row.action,
        created_at=row.created_at,
        read_at=row.read_at,
    )
