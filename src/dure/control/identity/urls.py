"""Pages about oneself."""

from django.urls import path

from dure.control.identity import views

app_name = "identity"

urlpatterns = [
    path("account/", views.profile, name="profile"),
    path("account/tokens/", views.issue_token, name="issue_token"),
    path("account/tokens/<uuid:token_id>/revoke/", views.revoke_token, name="revoke_token"),
]
