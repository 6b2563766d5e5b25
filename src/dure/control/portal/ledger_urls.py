"""The ledger's pages stand in the portal: they name organisations and awards, of which the ledger knows nothing."""

from django.urls import path

from dure.control.portal import ledger

app_name = "ledger"
urlpatterns = [
    path("ledger/", ledger.books, name="books"),
    path("ledger/<uuid:book_id>/", ledger.book, name="book"),
    path("ledger/<uuid:book_id>/transfers.csv", ledger.book_csv, name="book_csv"),
    path("ledger/<uuid:book_id>/<int:sequence>/", ledger.transfer, name="transfer"),
]
