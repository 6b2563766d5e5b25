from django.urls import path

from dure.control.portal import notices, operations, processes, views

app_name = "portal"
urlpatterns = [
    path("", views.home, name="home"),
    path("home/live/", views.home_live, name="home_live"),
    path("about/", views.about, name="about"),
    path("about/figures/", views.public_figures, name="public_figures"),
    path("language/", views.language, name="language"),
    path("display/", views.display, name="display"),
    path("act-for/", views.act_for, name="act_for"),
    path("notices/", notices.notices, name="notices"),
    path("notices/read/", notices.read_notices, name="read_notices"),
    path("notices/settings/", notices.notice_settings, name="notice_settings"),
    path("notices/<uuid:notice_id>/", notices.open_notice, name="open_notice"),
    path("notices/<uuid:notice_id>/read/", notices.read_notice, name="read_notice"),
    path("operations/", operations.operations, name="operations"),
    path("operations/live/", operations.operations_live, name="operations_live"),
    path("operations/gateways/<uuid:process_id>/", processes.gateway_process, name="gateway_process"),
    path("operations/gateways/<uuid:process_id>/loss/<str:step>/", processes.decide_loss, name="decide_loss"),
]
