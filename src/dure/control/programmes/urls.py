from django.urls import path

from dure.control.programmes import views

app_name = "programmes"
urlpatterns = [
    path("awards/", views.awards, name="awards"),
    path("awards/<uuid:award_id>/", views.award, name="award"),
    path("awards/<uuid:award_id>/live/<str:part>/", views.award_live, name="award_live"),
    path("awards/<uuid:award_id>/calls.csv", views.award_csv, name="award_csv"),
    path("awards/<uuid:award_id>/limits/", views.award_limits, name="award_limits"),
    path("awards/<uuid:award_id>/keys/<uuid:key_id>/limits/", views.key_limits, name="key_limits"),
    path("awards/<uuid:award_id>/keys/issue/", views.issue_key, name="issue_key"),
    path("awards/<uuid:award_id>/keys/<uuid:key_id>/revoke/", views.revoke_key, name="revoke_key"),
    path("awards/<uuid:award_id>/keys/<uuid:key_id>/replace/", views.rotate_key, name="rotate_key"),
]
