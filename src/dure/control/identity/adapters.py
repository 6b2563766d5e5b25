"""How allauth behaves here: no self-registration yet, and mail through the outbox."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import get_language

from dure.control.foundation import outbox


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People are added by their organisation or an officer; calls open registration later."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Queued like every other notice, so that a mail server's bad day never fails a page."""
        subject = render_to_string(f"{template_prefix}_subject.txt", context)
        body = render_to_string(f"{template_prefix}_message.txt", context)
        outbox.send_mail_later(
            to=email, subject=self.format_email_subject(subject), body=body, language=get_language() or "ko"
        )
