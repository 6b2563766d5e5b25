from django.urls import path

from dure.control.calls.views import building, editors, questions, reading, rounds

app_name = "calls"
BUILD = "calls/<slug:slug>/build/"
ROUND = BUILD + "rounds/<uuid:round_id>/"
urlpatterns = [
    path("calls/", reading.calls, name="calls"),
    path("calls/new/", building.new, name="new"),
    path("calls/new/<str:template>/", building.begin, name="begin"),
    path("calls/questions/", questions.questions, name="questions"),
    path("calls/questions/<uuid:question_id>/", questions.answer, name="answer"),
    path("calls/files/<uuid:file_id>/", reading.attachment, name="attachment"),
    path("calls/<slug:slug>/", reading.call, name="call"),
    path("calls/<slug:slug>/form/", reading.form, name="form"),
    path("calls/<slug:slug>/ask/", reading.ask, name="ask"),
    path("calls/<slug:slug>/calendar.ics", reading.calendar, name="calendar"),
    path(BUILD, building.build, name="build"),
    path(BUILD + "details/", building.details, name="details"),
    path(BUILD + "files/", building.files, name="files"),
    path(BUILD + "copy/", building.copy, name="copy"),
    path(BUILD + "cancel/", building.cancel, name="cancel"),
    path(BUILD + "discard/", building.discard, name="discard"),
    path(BUILD + "steps/", editors.steps_page, name="steps"),
    path(BUILD + "form/", editors.fields, name="fields"),
    path(BUILD + "form/sections/<str:key>/", editors.section, name="section"),
    path(BUILD + "form/fields/<str:key>/", editors.field, name="field"),
    path(BUILD + "form/preview/", editors.preview, name="preview"),
    path(BUILD + "versions/", editors.versions, name="versions"),
    path(BUILD + "rules/", editors.rules, name="rules"),
    path(BUILD + "matching/", editors.matching, name="matching"),
    path(BUILD + "rules/<str:key>/", editors.requirement, name="requirement"),
    path(BUILD + "rules/<str:key>/check/", editors.rules_check, name="rules_check"),
    path(BUILD + "rounds/", rounds.add_round, name="add_round"),
    path(ROUND, rounds.round_page, name="round"),
    path(ROUND + "publish/", rounds.publish, name="publish"),
    path(ROUND + "extend/", rounds.extend, name="extend"),
    path(ROUND + "close/", rounds.close, name="close"),
    path(ROUND + "discard/", rounds.discard_round, name="discard_round"),
    path(ROUND + "settle/", building.settle_step, name="settle_step"),
]
