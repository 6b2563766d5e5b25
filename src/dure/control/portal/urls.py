from django.urls import path

from dure.control.portal import (
    calendars,
    notices,
    operations,
    processes,
    programme_roles,
    receipts,
    tasks,
    views,
)

app_name = "portal"
urlpatterns = [
    path("", views.home, name="home"),
    path("home/live/", views.home_live, name="home_live"),
    path("tasks/", tasks.tasks, name="tasks"),
    path("tasks/count/", tasks.count, name="task_count"),
    path("about/", views.about, name="about"),
    path("about/figures/", views.public_figures, name="public_figures"),
    path("language/", views.language, name="language"),
    path("display/", views.display, name="display"),
    path("act-for/", views.act_for, name="act_for"),
    path("notices/", notices.notices, name="notices"),
    path("notices/read/", notices.read_notices, name="read_notices"),
    path("notices/calendar/", calendars.make_calendar, name="make_calendar"),
    path("notices/calendar/end/", calendars.end_calendar, name="end_calendar"),
    path("calendar/calls.ics", calendars.public_calendar, name="public_calendar"),
    path("calendar/<str:calendar_token>.ics", calendars.calendar, name="calendar"),
    path("verify/", receipts.verify, name="verify"),
    path("notices/settings/", notices.notice_settings, name="notice_settings"),
    path("notices/<uuid:notice_id>/", notices.open_notice, name="open_notice"),
    path("notices/<uuid:notice_id>/read/", notices.read_notice, name="read_notice"),
    path("programmes/<str:slug>/people/", programme_roles.programme_people, name="programme_people"),
    path(
        "programmes/<str:slug>/people/<uuid:programme_role_id>/take/",
        programme_roles.take_programme_role,
        name="take_programme_role",
    ),
    path("operations/", operations.operations, name="operations"),
    path("operations/live/", operations.operations_live, name="operations_live"),
    path("operations/gateways/<uuid:process_id>/", processes.gateway_process, name="gateway_process"),
    path("operations/gateways/<uuid:process_id>/loss/<str:step>/", processes.decide_loss, name="decide_loss"),
]
