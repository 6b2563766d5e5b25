from django.urls import path

from dure.control.settlement import views

app_name = "settlement"
urlpatterns = [
    path("earnings/", views.earnings, name="earnings"),
    path("earnings/live/", views.earnings_live, name="earnings_live"),
    path("earnings.csv", views.earnings_csv, name="earnings_csv"),
]
