from django.urls import path

from dure.control.programmes import programme_views, views

app_name = "programmes"
urlpatterns = [
    path("programmes/", programme_views.programmes, name="programmes"),
    path("programmes/new/", programme_views.found_programme, name="found_programme"),
    path("programmes/<slug:slug>/", programme_views.programme, name="programme"),
    path("programmes/<slug:slug>/appropriate/", programme_views.appropriate, name="appropriate"),
    path("programmes/<slug:slug>/pass-on/", programme_views.pass_on, name="pass_on"),
    path("programmes/<slug:slug>/lines/new/", programme_views.budget_line, name="add_line"),
    path("programmes/<slug:slug>/lines/<slug:key>/", programme_views.budget_line, name="change_line"),
    path(
        "programmes/<slug:slug>/own-contribution/", programme_views.own_contribution, name="own_contribution"
    ),
    path("programmes/<slug:slug>/use/", programme_views.eligible_use, name="eligible_use"),
    path("programmes/<slug:slug>/grant/", programme_views.grant, name="grant"),
    path("sources/", programme_views.sources, name="sources"),
    path("sources/new/", programme_views.add_source, name="add_source"),
    path("sources/<slug:slug>/", programme_views.source, name="source"),
    path("awards/", views.awards, name="awards"),
    path("awards/<uuid:award_id>/", views.award, name="award"),
    path("awards/<uuid:award_id>/live/<str:part>/", views.award_live, name="award_live"),
    path("awards/<uuid:award_id>/calls.csv", views.award_csv, name="award_csv"),
    path("awards/<uuid:award_id>/end/", programme_views.end_award, name="end_award"),
    path(
        "awards/<uuid:award_id>/own-contribution/",
        programme_views.confirm_own_contribution,
        name="confirm_own_contribution",
    ),
    path(
        "awards/<uuid:award_id>/own-contribution/repaid/",
        programme_views.repaid_own_contribution,
        name="repaid_own_contribution",
    ),
    path("awards/<uuid:award_id>/limits/", views.award_limits, name="award_limits"),
    path("awards/<uuid:award_id>/keys/<uuid:key_id>/limits/", views.key_limits, name="key_limits"),
    path("awards/<uuid:award_id>/keys/issue/", views.issue_key, name="issue_key"),
    path("awards/<uuid:award_id>/keys/<uuid:key_id>/revoke/", views.revoke_key, name="revoke_key"),
    path("awards/<uuid:award_id>/keys/<uuid:key_id>/replace/", views.rotate_key, name="rotate_key"),
]
