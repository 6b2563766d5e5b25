"""allauth's pages that Dure uses, by the names allauth reverses. Each says whom it is for."""

from allauth.account import views
from django.urls import path, re_path

from dure.control.identity import sign_up
from dure.control.identity.guards import public, signed_in
from dure.control.identity.sign_in import sign_in

urlpatterns = [
    path("login/", public(sign_in), name="account_login"),
    path("logout/", public(views.logout), name="account_logout"),
    path("signup/", sign_up.sign_up, name="account_signup"),
    path("confirm-email/", public(views.email_verification_sent), name="account_email_verification_sent"),
    path("confirm-email/again/", sign_up.resend, name="account_resend"),
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", sign_up.confirm_email, name="account_confirm_email"),
    path("privacy/", sign_up.privacy_notice, name="privacy"),
    path("inactive/", public(views.account_inactive), name="account_inactive"),
    path("reauthenticate/", signed_in(views.reauthenticate), name="account_reauthenticate"),
    path("email/", signed_in(views.email), name="account_email"),
    path("password/change/", signed_in(views.password_change), name="account_change_password"),
    path("password/set/", signed_in(views.password_set), name="account_set_password"),
    path("password/reset/", public(views.password_reset), name="account_reset_password"),
    path("password/reset/done/", public(views.password_reset_done), name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        public(views.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        public(views.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
]
