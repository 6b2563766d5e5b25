"""All routes of the portal and the REST API, room by room."""

from django.urls import URLPattern, URLResolver, include, path

from dure.control.config.api import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", api.urls),
    path("account/", include("dure.control.identity.sign_in_urls")),
    path("", include("dure.control.identity.urls")),
    path("", include("dure.control.calls.urls")),
    path("", include("dure.control.programmes.urls")),
    path("", include("dure.control.applications.urls")),
    path("", include("dure.control.catalogue.urls")),
    path("", include("dure.control.portal.ledger_urls")),
    path("", include("dure.control.settlement.urls")),
    path("", include("dure.control.portal.urls")),
]

handler400 = "dure.control.portal.errors.bad_request"
handler403 = "dure.control.portal.errors.forbidden"
handler404 = "dure.control.portal.errors.not_found"
handler500 = "dure.control.portal.errors.server_error"
