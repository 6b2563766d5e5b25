"""The REST API, `/api/v1`: every room's router behind one door, one error shape, one OpenAPI document.

A caller is a person: by a personal access token (`Authorization: Bearer dure-pat-…`) or by the
portal's session, which then needs the CSRF token as pages do.
"""

import json
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.utils import check_csrf

from dure import __version__
from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request
from dure.control.foundation.rest import check_audience, check_scope

#: Rooms with a router, in the order their operations are documented.
ROOMS = (
    *("identity", "catalogue", "programmes", "calls", "applications", "access", "settlement", "ledger"),
    *("foundation", "portal"),
)


def caller(request: Request) -> bool:
    """Every caller passes here, for each operation declares its own audience; a session needs its CSRF token.

    Who calls was found by `identity.middleware`: a token's person, else the session's.
    """
    if "Authorization" in request.headers:
        check_audience(request.actor, ("signed_in",), token_given=True)
        check_scope(request.actor, request.method or "")
    elif request.method not in {"GET", "HEAD"} and request.user.is_authenticated and check_csrf(request):
        raise DureError("csrf_failed", gettext("The form's protection token is missing or old."), status=403)
    return True


class StrictParser(Parser):
    """JSON as RFC 8259 has it: UTF-8, no NaN, and no half of a surrogate pair, which is no text to store."""

    def parse_body(self, request: HttpRequest) -> Any:
        text = request.body.decode()
        found = json.loads(text, parse_constant=_no_number)
        if "\\ud" in text.lower():
            json.dumps(found, ensure_ascii=False).encode()
        return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


api = NinjaAPI(
    title="Dure",
    version=__version__,
    description="From a decision at the table to a token on the wire, one ledger.",
    auth=caller,
    parser=StrictParser(),
    urls_namespace="api",
)


@api.exception_handler(DureError)
def _rule(request: Request, error: DureError) -> HttpResponse:
    return api.create_response(request, {"error": error.as_dict()}, status=error.status)


@api.exception_handler(ValidationError)
def _input(request: Request, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or None
    body = {
        "code": "input_invalid",
        "message": f"{field}: {first['msg']}" if field else first["msg"],
        "field": field,
        "remedy": gettext("Compare what you sent with the API's document at /api/v1/docs."),
        "data": {
            "errors": [{"field": ".".join(map(str, e["loc"][1:])), "message": e["msg"]} for e in error.errors]
        },
    }
    return api.create_response(request, {"error": body}, status=422)


@api.exception_handler(HttpError)
def _http(request: Request, error: HttpError) -> HttpResponse:
    unread = error.__cause__ is not None  # by the parser, whose own words are for programmers of ninja
    body = {
        "code": "request_invalid",
        "message": gettext("The body cannot be read as JSON in UTF-8. Nothing was changed.")
        if unread
        else str(error),
        "field": None,
        "remedy": gettext("Compare what you sent with the API's document at /api/v1/docs.") if unread else "",
    }
    return api.create_response(request, {"error": body}, status=error.status_code)


@api.exception_handler(DataError)
def _unstorable(request: Request, error: DataError) -> HttpResponse:
    """No value for PostgreSQL, though it passed every check of ours: a NUL, a number beyond its columns."""
    body = {
        "code": "input_invalid",
        "message": gettext("A value holds signs or numbers that cannot be stored. Nothing was changed."),
        "field": None,
        "remedy": gettext("Compare what you sent with the API's document at /api/v1/docs."),
    }
    return api.create_response(request, {"error": body}, status=422)


@api.exception_handler(OperationalError)
def _away(request: Request, error: OperationalError) -> HttpResponse:
    body = {
        "code": "database_away",
        "message": gettext("The database cannot be reached just now. Nothing was changed."),
        "field": None,
        "remedy": gettext("Try again in a few seconds."),
    }
    response = api.create_response(request, {"error": body}, status=503)
    response["Retry-After"] = "5"
    return response


for _room in ROOMS:
    for _part in ("api", "account_api", "organisation_api", "member_api", "terms_api"):
        _module = f"dure.control.{_room}.{_part}"
        if find_spec(_module):
            api.add_router("", import_module(_module).router)
