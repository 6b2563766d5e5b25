"""Pages about oneself."""

from django.urls import path

from dure.control.identity import security_views, views

app_name = "identity"

urlpatterns = [
    path("account/", views.profile, name="profile"),
    path("account/tokens/", views.tokens, name="tokens"),
    path("account/tokens/<uuid:token_id>/revoke/", views.revoke_token, name="revoke_token"),
    path("account/security/", security_views.security, name="security"),
    path("account/security/sessions/end/", security_views.end_other_sessions, name="end_other_sessions"),
    path("account/security/sessions/<uuid:session_id>/end/", security_views.end_session, name="end_session"),
]
