"""Pages of an application: its list, where it is written, handed in, and what becomes of it."""

from django.urls import path

from dure.control.applications import desk_views, judging_views
from dure.control.applications.pages import handing_in, lists, standing, writers, writing

app_name = "applications"
ONE = "applications/<uuid:application_id>/"
urlpatterns = [
    path("applications/", lists.applications, name="applications"),
    path("applications/start/<uuid:round_id>/", lists.start, name="start"),
    path(ONE, standing.application, name="application"),
    path(ONE + "write/", writing.write, name="write"),
    path(ONE + "answers/", writing.save, name="save"),
    path(ONE + "pulse/", writing.pulse, name="pulse"),
    path(ONE + "fields/", writing.fields, name="fields"),
    path(ONE + "fields/<str:field>/", writing.history, name="history"),
    path(ONE + "files/", writing.attach, name="attach"),
    path(ONE + "files/<uuid:attachment_id>/", standing.download, name="attachment"),
    path(ONE + "writers/", writers.writers, name="writers"),
    path(ONE + "check/", handing_in.check, name="check"),
    path(ONE + "receipt/", handing_in.receipt, name="receipt"),
    path(ONE + "receipt.json", handing_in.receipt_file, name="receipt_file"),
    path(ONE + "content.json", handing_in.content_file, name="content_file"),
    path(ONE + "withdraw/", handing_in.withdraw, name="withdraw"),
    path(ONE + "discard/", handing_in.discard, name="discard"),
    path(ONE + "objection/", standing.objection, name="objection"),
    path(ONE + "pdf/", standing.pdf, name="pdf"),
    path("desk/", desk_views.rounds, name="desk"),
    path("desk/applications/<uuid:application_id>/", judging_views.application, name="desk_application"),
    path("desk/applications/<uuid:application_id>/<str:deed>/", judging_views.act, name="desk_act"),
    path("desk/<uuid:round_id>/", desk_views.board, name="desk_board"),
    path("desk/<uuid:round_id>/bulk/", desk_views.bulk, name="desk_bulk"),
    path("desk/<uuid:round_id>/extend/", desk_views.extend_by_number, name="desk_extend"),
]
