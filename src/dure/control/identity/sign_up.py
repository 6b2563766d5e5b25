"""The pages of registration: the form, the mailed link, and a new link.

allauth's own views and flows carry it; what is decided is decided by `services.registration`.
"""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import SignupForm
from allauth.account.internal.flows.email_verification import verify_email
from allauth.account.internal.flows.login import perform_password_login
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.account.models import EmailConfirmationHMAC, Login
from allauth.account.views import SignupView
from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request
from dure.control.identity import privacy, services
from dure.control.identity.guards import public
from dure.control.identity.models import Person
from dure.control.identity.sign_in import remember_language


class PersonFields(forms.Form):
    """What a new person says besides an address and a password, however they come."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("As your organisation knows you."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=(("ko", "한국어"), ("en", "English")),
        help_text=gettext_lazy("Pages and notices come in this language."),
    )
    consent = forms.BooleanField(
        label=gettext_lazy("I have read the privacy notice and agree to it."),
        error_messages={"required": gettext_lazy("An account needs your consent to the privacy notice.")},
    )


class SignUpForm(SignupForm):
    """Name, address, password, language, consent."""

    field_order = ("name", "email", "password1", "language", "consent")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        extra = PersonFields().fields
        self.fields.update(extra)
        self.order_fields(self.field_order)
        self.fields["email"].label = _("E-mail address")
        self.fields["email"].widget.attrs.pop("placeholder", None)
        self.fields["email"].help_text = _("We send a link there, and later what concerns you.")
        self.fields["password1"].widget.attrs.pop("placeholder", None)
        self.fields["password1"].help_text = _(
            "10 signs or more. A sentence is easier to remember than signs."
        )
        self.fields["language"].initial = "ko" if (get_language() or "ko").startswith("ko") else "en"

    def validate_unique_email(self, value: str) -> str:
        """Whether the address is taken is found by the service, which never says."""
        return value

    def try_save(self, request: HttpRequest) -> tuple[Person | None, HttpResponse | None]:
        given = self.cleaned_data
        view = services.register(
            actor=request.actor,  # type: ignore[attr-defined]
            email=given["email"],
            name=given["name"],
            password=given["password1"],
            language=given["language"],
            privacy_version=privacy.NOTICE_VERSION,
        )
        if view is None:
            return None, prevent_enumeration(request, email=given["email"])
        return Person.objects.get(pk=view.id), None


class SignUpView(SignupView):
    def form_valid(self, form: SignUpForm) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except DureError as error:
            field = {"password": "password1"}.get(error.field or "", error.field)
            form.add_error(field if field in form.fields else None, str(error))
            return self.form_invalid(form)
        remember_language(response, form.cleaned_data["language"])
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"privacy_version": privacy.NOTICE_VERSION}


sign_up = public(SignUpView.as_view())


class ConfirmForm(forms.Form):
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text=gettext_lazy("The one you chose when you registered."),
    )


@public
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def confirm_email(request: Request, key: str) -> HttpResponse:
    """The mailed link: with the password it confirms a registration; signed in, it confirms a new address."""
    found = EmailConfirmationHMAC.from_key(key)
    if found is None or not found.email_address.can_set_verified():
        return render(request, "account/email_confirm_failed.html", status=404)
    person: Person = found.email_address.user
    if person.email_verified_at is not None:
        return _confirm_new_address(request, found, person)
    form = ConfirmForm(request.POST or None)
    context = {"form": form, "email": found.email_address.email}
    if request.method == "GET" or not form.is_valid():
        return render(
            request, "account/email_confirm.html", context, status=200 if request.method == "GET" else 422
        )
    given = {"email": person.email, "password": form.cleaned_data["password"]}
    try:
        user = get_adapter().authenticate(request, **given)
    except ValidationError as error:
        form.add_error(None, error)
        return render(request, "account/email_confirm.html", context, status=429)
    if user is None or user.pk != person.pk:
        form.add_error("password", _("This is not the password of the latest registration of this address."))
        return render(request, "account/email_confirm.html", context, status=422)
    services.confirm_registration(key=key, person_id=person.pk)
    messages.success(request, _("Your address is confirmed. Welcome."))
    return perform_password_login(request, given, Login(user=user, email=person.email))


def _confirm_new_address(request: Request, found: EmailConfirmationHMAC, person: Person) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if request.user.pk != person.pk:
        return render(request, "account/email_confirm_failed.html", status=404)
    if request.method == "GET":
        return render(request, "account/email_confirm_new.html", {"email": found.email_address.email})
    verify_email(request, found.email_address)
    return redirect("identity:profile")


class AddressForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


@public
@never_cache
@require_http_methods(["GET", "POST"])
def resend(request: Request) -> HttpResponse:
    """A new link for a registration that waits; the answer is the same whether one does."""
    form = AddressForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        status = 200 if request.method == "GET" else 422
        return render(request, "account/email_resend.html", {"form": form}, status=status)
    if ratelimit.consume(request, action="signup", key=form.cleaned_data["email"].lower()):
        services.send_confirmation(email=form.cleaned_data["email"])
    return HttpResponseRedirect(_sent_page())


def _sent_page() -> str:
    from django.urls import reverse

    return reverse("account_email_verification_sent")


@public
def privacy_notice(request: Request) -> HttpResponse:
    """What is kept about people, why, how long, and what they may ask (PIPA art. 30)."""
    return render(request, "identity/privacy.html", privacy_facts())


def privacy_facts() -> dict[str, Any]:
    from django.conf import settings

    return {
        "version": privacy.NOTICE_VERSION,
        "contact": settings.DURE_PRIVACY_CONTACT,
        "grace_days": privacy.ERASURE_GRACE.days,
        "sign_in_days": privacy.SIGN_INS_KEPT.days,
        "mail_days": privacy.MAIL_KEPT.days,
        "unconfirmed_days": privacy.UNCONFIRMED_KEPT.days,
    }
