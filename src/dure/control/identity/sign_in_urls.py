"""allauth's pages that Dure uses, by the names allauth reverses. Each says whom it is for."""

from allauth.account import views
from allauth.mfa.base import views as second_factor
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.socialaccount import views as connections
from django.urls import path, re_path

from dure.control.identity import oidc, security_views, sign_up
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
    path("second-factor/", security_views.to_security, name="mfa_index"),
    path("second-factor/check/", public(second_factor.authenticate), name="mfa_authenticate"),
    path("second-factor/again/", signed_in(second_factor.reauthenticate), name="mfa_reauthenticate"),
    path("second-factor/app/add/", signed_in(totp.activate_totp), name="mfa_activate_totp"),
    path("second-factor/app/remove/", signed_in(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("recovery-codes/", signed_in(recovery_codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "recovery-codes/new/",
        signed_in(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "recovery-codes/download/",
        signed_in(recovery_codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path("passkeys/", security_views.to_security, name="mfa_list_webauthn"),
    path("passkeys/add/", signed_in(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("passkeys/again/", signed_in(passkeys.reauthenticate_webauthn), name="mfa_reauthenticate_webauthn"),
    path("passkeys/sign-in/", public(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("passkeys/<int:pk>/remove/", signed_in(passkeys.remove_webauthn), name="mfa_remove_webauthn"),
    path("oidc/<slug:provider_id>/", public(oidc.begin), name="openid_connect_login"),
    path("oidc/<slug:provider_id>/back/", public(oidc.back), name="openid_connect_callback"),
    path("oidc-new/", public(connections.signup), name="socialaccount_signup"),
    path("oidc-cancelled/", public(connections.login_cancelled), name="socialaccount_login_cancelled"),
    path("oidc-failed/", oidc.failed, name="socialaccount_login_error"),
    path("connections/", signed_in(connections.connections), name="socialaccount_connections"),
]
