"""What one is told: the list behind the bell, and which of it comes by mail as well."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dure.control.foundation import calendars
from dure.control.foundation import notices as told
from dure.control.foundation.http import Request, whole_number
from dure.control.identity.guards import signed_in


@signed_in
@never_cache
@require_GET
def notices(request: Request) -> HttpResponse:
    """One's notices, unread first."""
    unread = request.GET.get("unread") == "1"
    page = told.notices(
        actor=request.actor, unread=unread, page=whole_number(request.GET.get("page", "")) or 1
    )
    return render(request, "portal/notices.html", {"page": page, "unread": unread})


@signed_in
@require_GET
def open_notice(request: Request, notice_id: UUID) -> HttpResponse:
    """Take the reader to the next step, and remember that they have read of it."""
    return redirect(told.mark_read(actor=request.actor, notice_id=notice_id).path)


@signed_in
@require_POST
def read_notice(request: Request, notice_id: UUID) -> HttpResponse:
    told.mark_read(actor=request.actor, notice_id=notice_id)
    return redirect("portal:notices")


@signed_in
@require_POST
def read_notices(request: Request) -> HttpResponse:
    count = told.mark_all_read(actor=request.actor)
    messages.success(
        request,
        ngettext("%(n)s notice is marked as read.", "%(n)s notices are marked as read.", count)
        % {"n": count},
    )
    return redirect("portal:notices")


@signed_in
@never_cache
@require_http_methods(["GET", "POST"])
def notice_settings(request: Request) -> HttpResponse:
    """Which notices come by mail; duties always do."""
    if request.method == "POST":
        wanted = set(request.POST.getlist("mail"))
        told.choose_mail(
            actor=request.actor,
            by_mail={category: category in wanted for category in told.CATEGORIES if category != "duty"},
        )
        messages.success(request, gettext("Saved. The next notice follows it."))
        return redirect("portal:notice_settings")
    chosen = told.mail_preferences(actor=request.actor)
    lines = [
        {
            "category": category,
            "title": told.TITLES[category],
            "by_mail": chosen[category],
            "fixed": category == "duty",
        }
        for category in told.CATEGORIES
    ]
    return render(
        request,
        "portal/notice_settings.html",
        {"lines": lines, "feed": calendars.feed_of(actor=request.actor)},
    )
