"""Error pages: what happened, that nothing was lost, what to do next. No page ever shows a traceback.

Below /api/ the same is said as JSON in the shape of `config.api`, for what never gets that far: unknown
addresses, methods and requests that Django refuses.
"""

import logging
from collections.abc import Callable

from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.translation import get_language, gettext

from dure.control.foundation.errors import DureError
from dure.control.identity.middleware import API

logger = logging.getLogger(__name__)


def error_page(
    request: HttpRequest,
    *,
    status: int,
    code: str,
    heading: str,
    text: str,
    remedy: str = "",
    back: str = "",
) -> HttpResponse:
    """The page, or for REST and partial updates the same without one."""
    if request.path.startswith(API):
        return _json(status, code, text, remedy)
    actor = getattr(request, "actor", None)
    signed_in = actor is not None and actor.kind == "person"
    context = {
        "heading": heading,
        "text": text,
        "remedy": remedy,
        "back": back,
        "kicker": gettext("Error %(status)s") % {"status": status},
        "offer_sign_in": status in {401, 403, 404} and not signed_in,
    }
    if getattr(request, "htmx", False):
        return HttpResponse(
            f"{text} {remedy}".strip(), status=status, content_type="text/plain; charset=utf-8"
        )
    return HttpResponse(render_to_string("portal/error.html", context, request=request), status=status)


def _json(status: int, code: str, message: str, remedy: str = "") -> HttpResponse:
    body = {"code": code, "message": message, "field": None, "remedy": remedy}
    return JsonResponse({"error": body}, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        status=400,
        code="request_invalid",
        heading=gettext("This request cannot be read"),
        text=gettext("The address or the form was damaged on its way. Nothing was changed."),
        remedy=gettext("Go back and try once more."),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        status=403,
        code="forbidden",
        heading=gettext("Your role does not allow this"),
        text=gettext("The page exists, but not for the role you act in. Nothing was changed."),
        remedy=gettext(
            "If you belong to several organisations, act for the right one; else ask its administrator."
        ),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        status=404,
        code="not_found",
        heading=gettext("There is nothing here"),
        text=gettext("The address may be mistyped, or what was here is not yours to see."),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Stands on nothing that may be broken: no database, no session, no other template."""
    korean = (get_language() or "ko").startswith("ko")
    title = "잠시 문제가 생겼습니다" if korean else "Something went wrong on our side"
    text = (
        "요청을 처리하지 못했고, 바뀐 것은 없습니다. 잠시 뒤 다시 시도해 주세요. 호출과 지원금 정산은 이 화면과 따로 계속됩니다."
        if korean
        else "Your request was not carried out and nothing was changed. Please try again shortly."
        " Calls and their accounting go on independently of this page."
    )
    if request.path.startswith(API):
        return _json(500, "internal_error", f"{title}. {text}")
    home = "첫 화면으로" if korean else "Go to the first page"
    language = "ko" if korean else "en"
    try:
        styles = "".join(
            f'<link rel="stylesheet" href="{static(name)}">'
            for name in ("fonts/pretendard-gov.css", "dure.css")
        )
    except ValueError:
        styles = ""
    return HttpResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>{styles}</head>'
        f'<body><main><div class="inner"><div class="page-head"><div><h1>{title}</h1>'
        f'<p class="lead">{text}</p></div></div><p><a class="text-link" href="/">{home}</a></p></div></main></body>'
        f"</html>",
        status=500,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_page(
        request,
        status=403,
        code="csrf_failed",
        heading=gettext("This form has expired"),
        text=gettext("For your safety a form is valid for one visit only. Nothing was changed."),
        remedy=gettext("Load the page again and send the form once more; your browser must accept cookies."),
        back=request.path,
    )


def _not_allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Words for Django's and ninja's bare answer to a method that an address does not take."""
    answer = error_page(
        request,
        status=405,
        code="method_not_allowed",
        heading=gettext("This address does not work that way"),
        text=gettext("%(method)s is not possible here. Nothing was changed.") % {"method": request.method},
        remedy=gettext("Possible is: %(methods)s.") % {"methods": response["Allow"]},
    )
    answer["Allow"] = response["Allow"]
    return answer


class DureErrorMiddleware:
    """The pages' one handler of `DureError`: a rule said no, and its own words say why."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        return _not_allowed(request, response) if response.status_code == 405 else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, DataError):
            # No value for PostgreSQL, though it passed every check of ours: a NUL, a number beyond its columns.
            return bad_request(request)
        if isinstance(exception, OperationalError):
            logger.warning("the database is away: %s", str(exception).partition("\n")[0])
            answer = server_error(request)
            answer.status_code = 503
            answer["Retry-After"] = "5"
            return answer
        if not isinstance(exception, DureError):
            return None
        if exception.code == "forbidden":
            # The rule had nothing to say but no: the page says it once, and what to do.
            return forbidden(request, exception)
        if exception.status == 404:
            heading = gettext("There is nothing here")
        elif exception.status == 403:
            heading = gettext("Your role does not allow this")
        else:
            heading = gettext("This could not be done")
        return error_page(
            request,
            status=exception.status,
            code=exception.code,
            heading=heading,
            text=str(exception.message),
            remedy=str(exception.remedy),
            back=request.path if request.method == "POST" else "",
        )
