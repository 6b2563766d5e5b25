"""Pages about oneself, and of organisations."""

from django.urls import path

from dure.control.identity import data_views, organisation_urls, security_views, views

app_name = "identity"

urlpatterns = [
    path("account/", views.profile, name="profile"),
    path("account/tokens/", views.tokens, name="tokens"),
    path("account/tokens/<uuid:token_id>/revoke/", views.revoke_token, name="revoke_token"),
    path("account/security/", security_views.security, name="security"),
    path("account/security/sessions/end/", security_views.end_other_sessions, name="end_other_sessions"),
    path("account/security/sessions/<uuid:session_id>/end/", security_views.end_session, name="end_session"),
    path("account/data/", data_views.data, name="data"),
    path("account/data/export/", data_views.export, name="export"),
    path("account/data/erase/", data_views.ask_erasure, name="ask_erasure"),
    path("account/data/keep/", data_views.withdraw_erasure, name="withdraw_erasure"),
    path("account/leave/<str:slug>/", data_views.leave, name="leave"),
    *organisation_urls.urlpatterns,
]
