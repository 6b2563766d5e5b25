"""Proving who one is with a password outside the sign-in page: for REST calls and for what cannot be undone.

allauth does it, so attempts count for the same limits and appear in the same history as those of the page.
"""

from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.utils import is_mfa_enabled
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors
from dure.control.identity.models import Person
from dure.control.identity.selectors import PersonView


def check(request: Request, *, email: str, password: str, code: str | None = None) -> PersonView:
    """The person with this address and password; raises `password_wrong` (401) and `too_many_attempts` (429)."""
    given = {"email": email.strip().lower(), "password": password}
    try:
        user = get_adapter().authenticate(request, **given)
    except ValidationError:
        raise too_many() from None
    if user is None or not user.is_active:
        raise DureError(
            "password_wrong",
            _("The e-mail address or the password is not right."),
            status=401,
            field="password",
            remedy=_("Write both as you registered them, or set a new password in the portal."),
        )
    _check_code(user, code)
    return selectors.person_view(user)


def _check_code(user: Person, code: str | None) -> None:
    """Where the person has a second factor, a password alone is not enough."""
    if not is_mfa_enabled(user):
        return
    if not code:
        raise DureError(
            "code_needed",
            _("This account needs a code as well."),
            status=401,
            field="code",
            remedy=_("Send the code of the authenticator app, or a recovery code."),
        )
    form = AuthenticateForm(user=user, data={"code": code})
    if not form.is_valid():
        if any(error.code == "too_many_login_attempts" for error in form.errors.as_data().get("code", [])):
            raise too_many()
        raise DureError("code_wrong", _("This code is not right."), status=401, field="code")
    form.authenticator.record_usage()


def too_many() -> DureError:
    return DureError(
        "too_many_attempts",
        _("Too many attempts. Nothing was changed."),
        status=429,
        remedy=_("Wait five minutes."),
    )


def unverified() -> DureError:
    return Forbidden(
        _("The address is not confirmed yet."),
        code="email_unverified",
        remedy=_("Open the mailed link, or confirm its key with POST /api/v1/registrations/confirm."),
    )


def own_organisation(person_id: UUID, slug: str) -> UUID:
    for membership in selectors.memberships_of(person_id):
        if slug == membership.organisation.slug:
            return membership.organisation.id
    raise NotFound(code="organisation_not_found", field="organisation")
