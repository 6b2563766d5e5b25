from django.urls import path

from dure.control.catalogue import views

app_name = "catalogue"
urlpatterns = [
    path("models/", views.models, name="models"),
    path("models/<path:name>/", views.model, name="model"),
]
