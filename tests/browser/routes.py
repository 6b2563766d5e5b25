"""Every address of the portal that answers GET, with who reads it: those of `sites.py`, those that have no picture of their
own, and what stands apart. A route that is in none of the three is missing, which tests and the bench of pages say."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from browser import sites

#: Not pages: files to take away, what leads on to another address, and what is only there on the way through a sign-in.
APART = {
    "account_confirm_email": "needs a signed address",
    "account_reset_password_from_key": "needs a signed address",
    "account_reset_password_from_key_done": "static, on the way through a sign-in",
    "account_set_password": "leads on",
    "mfa_index": "leads on",
    "mfa_list_webauthn": "leads on",
    "mfa_authenticate": "on the way through a sign-in",
    "mfa_reauthenticate": "on the way through a sign-in",
    "mfa_reauthenticate_webauthn": "on the way through a sign-in",
    "mfa_login_webauthn": "on the way through a sign-in",
    "mfa_deactivate_totp": "after proof of who asks",
    "mfa_view_recovery_codes": "after proof of who asks",
    "mfa_generate_recovery_codes": "after proof of who asks",
    "mfa_download_recovery_codes": "a file",
    "mfa_remove_webauthn": "after proof of who asks",
    "openid_connect_login": "leads to the sign-in service",
    "openid_connect_callback": "comes from the sign-in service",
    "socialaccount_signup": "comes from the sign-in service",
    "account_logout": "ends the session",
    "own_organisation": "leads on",
    "matching": "a count over every organisation, fetched after the page that shows it",
    "open_notice": "leads on",
    **dict.fromkeys(
        (
            "revoke_token",
            "verification_ask",
            "invitation_change",
            "delegation_revoke",
            "repaid_own_contribution",
            "discard",
            "objection",
            "decide_loss",
            "desk_act",
            "desk_bulk",
            "take_programme_role",
        ),
        "takes a form, and leads back where it was not sent",
    ),
}
FILES = (".csv", ".ics", ".json", "/pdf/", "/export/", "files/<uuid:", "documents/<uuid:document_id>/")


def pages(seed: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, role or "", address), all of them answering GET with a page."""
    award, application = f"/awards/{seed['busy']}/", f"/applications/{seed['draft']}/"
    draft = "/calls/hyperscale-rnd-2027/build/"
    return [
        *sites.pages(seed),
        ("about", "", "/about/"),
        ("about-figures", "", "/about/figures/"),
        ("account-inactive", "", "/account/inactive/"),
        ("password-reset-sent", "", "/account/password/reset/done/"),
        ("account-connections", "startup", "/account/connections/"),
        ("sign-in-cancelled", "", "/account/oidc-cancelled/"),
        ("task-count", "startup", "/tasks/count/"),
        ("task-count-officer", "officer", "/tasks/count/"),
        ("home-live", "startup", "/home/live/"),
        ("home-live-officer", "officer", "/home/live/"),
        ("earnings-live", "provider", "/earnings/live/"),
        ("operations-live", "operator", "/operations/live/"),
        *(
            (f"award-live-{part}", "startup", f"{award}live/{part}/")
            for part in ("summary", "models", "calls", "keys")
        ),
        ("application-pulse", "startup", application + "pulse/"),
        ("application-fields", "startup", application + "fields/?f=plan&f=budget"),
        ("call-rules-check", "officer", draft + "rules/research_unit/check/"),
        ("programme-line-new", "officer", "/programmes/hyperscale-2026/lines/new/"),
    ]


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """The portal's own, without the REST API and Django's."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        whole = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "api":
                yield from routes(pattern.url_patterns, whole)
        elif pattern.name != "set_language":
            yield whole, pattern


def uncovered(rows: list[tuple[str, str, str]]) -> list[tuple[str, URLPattern]]:
    """Routes that no row leads to, apart from files and what stands apart. Some of them answer no GET."""
    covered = set()
    for _name, _role, path in rows:
        try:
            covered.add(resolve(path.split("?")[0]).route)
        except Resolver404:
            continue
    return [
        (route, pattern)
        for route, pattern in routes()
        if route not in covered and pattern.name not in APART and not any(one in route for one in FILES)
    ]


def forgotten(rows: list[tuple[str, str, str]], clients: dict[str, Any]) -> list[str]:
    """Those of them that answer GET with anything but "not by GET"."""
    found = []
    for route, _pattern in uncovered(rows):
        address = "/" + route
        for converter, value in (("uuid", UUID(int=7)), ("str", "x"), ("slug", "x"), ("int", 7)):
            while f"<{converter}:" in address:
                begin = address.index(f"<{converter}:")
                address = address[:begin] + str(value) + address[address.index(">", begin) + 1 :]
        statuses = {client.get(address).status_code for client in clients.values()}
        if 405 not in statuses:
            found.append(f"{route} {sorted(statuses)}")
    return found
