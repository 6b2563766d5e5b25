"""Anybody may ask whether a receipt is genuine."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from dure.control.foundation import receipts, signing
from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request
from dure.control.identity.guards import public

#: What a receipt's own names mean; others are shown as they are.
WORDS = {
    "kind": _("Kind"),
    "application": _("Application"),
    "submission": _("Submission"),
    "call": _("Call for applications"),
    "round": _("Round"),
    "organisation": _("Organisation"),
    "submitted_at": _("Submitted at"),
    "content_sha256": _("SHA-256 of the content"),
    "files_sha256": _("SHA-256 of the files"),
}


@public
@require_http_methods(["GET", "POST"])
def verify(request: Request) -> HttpResponse:
    context: dict[str, Any] = {"keys": signing.public_keys(), "text": "", "problem": None, "found": None}
    if request.method == "POST":
        upload = request.FILES.get("file")
        context["text"] = request.POST.get("receipt", "")[: receipts.LARGEST]
        given = upload.read(receipts.LARGEST + 1) if upload else context["text"]
        try:
            found = receipts.verify(given)
            context |= {"found": found, "lines": _lines(found.content)}
        except DureError as error:
            context["problem"] = error
    status = context["problem"].status if context["problem"] else 200
    return render(request, "portal/verify.html", context, status=status)


def _lines(content: dict[str, Any]) -> list[tuple[Any, str]]:
    """What was signed, a line for each name, as far as a page can show it."""
    return [(WORDS.get(name, name), _shown(value)) for name, value in list(content.items())[:100]]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_shown(one) for one in value[:100]) or "–"
    text = value if isinstance(value, str) else receipts.canonical({"": value})[4:-1]
    return text[:2_000] or "–"
