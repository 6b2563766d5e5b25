"""The officers' lists: every organisation, and what waits for a decision."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from dure.control.foundation import exports
from dure.control.foundation.http import Request, whole_number
from dure.control.identity import facts, selectors
from dure.control.identity.guards import requires
from dure.control.identity.models import OrganisationKind
from dure.control.identity.organisation_lists import SORTS

_LAST_PAGE = 100_000
_COLUMNS = (
    exports.Column("slug", _("Short name")),
    exports.Column("name_ko", facts.FIELD_TITLES["name_ko"]),
    exports.Column("name_en", facts.FIELD_TITLES["name_en"]),
    exports.Column("registration_number", facts.FIELD_TITLES["registration_number"]),
    exports.Column("kind", facts.FIELD_TITLES["kind"], words=dict(OrganisationKind.choices)),
    exports.Column("size_class", facts.FIELD_TITLES["size_class"], words=dict(facts.SizeClass.choices)),
    exports.Column("founded_on", facts.FIELD_TITLES["founded_on"], "date"),
    exports.Column("region", facts.FIELD_TITLES["region"], words=dict(facts.Region.choices)),
    exports.Column("employees", facts.FIELD_TITLES["employees"], "number"),
    exports.Column("website", facts.FIELD_TITLES["website"]),
    exports.Column("verification_state", _("Verification"), words=dict(facts.VerificationState.choices)),
    exports.Column("verified_at", _("Verified at"), "moment"),
)


def _filters(request: Request) -> selectors.Filters:
    def chosen(name: str, known: object) -> str:
        value = request.GET.get(name, "")
        return value if value in known else ""  # type: ignore[operator]

    return selectors.Filters(
        search=request.GET.get("q", "").strip()[:100],
        kind=chosen("kind", OrganisationKind.values),
        state=chosen("state", facts.VerificationState.values),
        region=chosen("region", facts.Region.values),
        sort=chosen("sort", SORTS) or "name",
    )


def _page(request: Request) -> int:
    return whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1


@requires("officer", "operator", "auditor")
@never_cache
def organisations(request: Request) -> HttpResponse:
    filters = _filters(request)
    if kind := exports.asked(request):
        rows = selectors.every_organisation(filters)
        return exports.table(kind=kind, name=gettext("Organisations"), columns=_COLUMNS, rows=rows)
    context = {
        "page": selectors.organisation_page(filters, page=_page(request)),
        "filters": filters,
        "kinds": OrganisationKind.choices,
        "states": facts.VerificationState.choices,
        "regions": facts.Region.choices,
        "waiting": selectors.waiting(),
        "may_decide": request.actor.has("officer", "auditor"),
    }
    return render(request, "identity/organisations.html", context)


@requires("officer", "auditor")
@never_cache
def verifications(request: Request) -> HttpResponse:
    """What waits for an officer, who has waited longest first."""
    context = {
        "page": selectors.verification_queue(page=_page(request)),
        "documents": selectors.waiting_documents(),
        "links": selectors.waiting_links(),
        "waiting": selectors.waiting(),
    }
    return render(request, "identity/verifications.html", context)
