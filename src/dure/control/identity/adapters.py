"""How allauth behaves here: mail goes through the outbox, and its words are ours, in both languages."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import outbox
from dure.control.identity import notices
from dure.control.identity.proof import proved_lately

#: What a page says after allauth did something; what is not here is not worth a message.
_MESSAGES = {
    "account/messages/email_confirmation_sent.txt": _("We have sent you a link."),
    "account/messages/email_confirmed.txt": _("Your e-mail address is confirmed."),
    "account/messages/email_confirmation_failed.txt": _("This address belongs to another account already."),
    "account/messages/email_deleted.txt": _("The new address is not used. The old one stays."),
    "account/messages/password_changed.txt": _("Your password is changed. All other devices are signed out."),
    "account/messages/password_set.txt": _("Your password is set."),
    "mfa/messages/totp_activated.txt": _("Signing in now needs a code from your authenticator app."),
    "mfa/messages/totp_deactivated.txt": _("The authenticator app is no longer needed."),
    "mfa/messages/recovery_codes_generated.txt": _(
        "You have new recovery codes. The old ones no longer work."
    ),
    "mfa/messages/webauthn_added.txt": _("The passkey is added."),
    "mfa/messages/webauthn_removed.txt": _("The passkey is removed."),
    "socialaccount/messages/account_connected.txt": _("Your account is connected."),
    "socialaccount/messages/account_connected_other.txt": _("That account is connected with another person."),
    "socialaccount/messages/account_disconnected.txt": _("Your account is no longer connected."),
}
#: What a person is told by mail when it happens to their account.
_NOTICES = {
    "account/email/password_changed": _("Your password was changed."),
    "account/email/password_set": _("A password was set for your account."),
    "account/email/password_reset": _("Your password was set anew by a mailed link."),
    "account/email/email_changed": _("The e-mail address of your account was changed."),
    "mfa/email/totp_activated": _("An authenticator app was set up for signing in."),
    "mfa/email/totp_deactivated": _("The authenticator app was removed."),
    "mfa/email/recovery_codes_generated": _("New recovery codes were made."),
    "mfa/email/webauthn_added": _("A passkey was added."),
    "mfa/email/webauthn_removed": _("A passkey was removed."),
    "socialaccount/email/account_connected": _("Your account was connected with another sign-in service."),
    "socialaccount/email/account_disconnected": _("A sign-in service was disconnected from your account."),
}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "account_inactive": _("This account is not active."),
        "duplicate_email": _("This is your address already."),
        "email_password_mismatch": _("The e-mail address or the password is not right."),
        "email_taken": _("This address belongs to another account."),
        "enter_current_password": _("Write your present password."),
        "incorrect_code": _("This code is not right."),
        "incorrect_password": _("This password is not right."),
        "invalid_or_expired_key": _("This link no longer works."),
        "invalid_login": _("Signing in was not possible."),
        "invalid_password_reset": _("This link no longer works."),
        "max_email_addresses": _("You cannot add more than %d e-mail addresses."),
        "rate_limited": _("Too many attempts. Wait a few minutes."),
        "same_as_current": _("This is the present one. Choose another."),
        "too_many_login_attempts": _("Too many failed attempts. Wait five minutes, or set a new password."),
        "unknown_email": _("No account has this address."),
        "unverified_primary_email": _("Confirm your address first."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Anybody may register, unless this deployment says otherwise."""
        return bool(settings.DURE_REGISTRATION)

    def should_send_confirmation_mail(self, request: HttpRequest, email_address: Any, signup: bool) -> bool:
        """At registration the service has mailed the link; when somebody signs in before confirming, it goes again."""
        return not signup

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        notices.confirm_address(emailconfirmation.email_address)

    def send_account_already_exists_mail(self, email: str) -> None:
        """The service has told the owner."""

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        text = message or _MESSAGES.get(message_template or "")
        if text:
            messages.add_message(request, level, str(text), extra_tags=extra_tags)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Queued like every other notice, so that a mail server's bad day never fails a page."""
        subject = render_to_string(f"{template_prefix}_subject.txt", context)
        body = render_to_string(f"{template_prefix}_message.txt", context)
        outbox.send_mail_later(
            to=email, subject=self.format_email_subject(subject), body=body, language=get_language() or "ko"
        )

    def format_email_subject(self, subject: str) -> str:
        return str(subject)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: Any,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        if what := _NOTICES.get(template_prefix):
            notices.account_changed(
                user, what, address=self.get_client_ip(self.request), agent=_agent(self.request), to=email
            )

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Who has just signed in is not asked again."""
        return not proved_lately(self.request or context.request)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("identity:profile")


def _agent(request: HttpRequest) -> str:
    return request.META.get("HTTP_USER_AGENT", "")[:300]
