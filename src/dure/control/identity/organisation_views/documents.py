"""Documents of an organisation: the list, handing one in, reading it, deciding on it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dure.control.foundation import files
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors, services
from dure.control.identity.guards import requires, signed_in
from dure.control.identity.organisation_forms import DocumentForm, ReasonForm, tell
from dure.control.identity.organisation_views.common import confirm, whose


@signed_in
@never_cache
def documents(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    found = selectors.documents(context["organisation"].id)
    return render(
        request, "identity/organisation_documents.html", {**context, "tab": "documents", "documents": found}
    )


@signed_in
@require_http_methods(["GET", "POST"])
def add_document(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    if not context["may"]["manage"]:
        raise NotFound
    form = DocumentForm(
        request.POST or None, request.FILES or None, initial={"kind": request.GET.get("kind", "")}
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        upload = given.pop("file")
        try:
            services.add_document(
                actor=request.actor, organisation_id=profile.id, stream=upload.file, name=upload.name, **given
            )
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("The document is handed in. An officer looks at it."))
            # With the certificate the organisation can ask to be verified, which is done on its first page.
            ready = selectors.next_step(profile, selectors.documents(profile.id)) == "ask"
            return redirect(
                "identity:organisation" if ready else "identity:organisation_documents", profile.slug
            )
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/document_add.html", {**context, "form": form}, status=status)


@signed_in
@never_cache
def document_file(request: Request, organisation: str, document_id: UUID) -> Any:
    """The file itself, as a download."""
    profile = whose(request, organisation)["organisation"]
    found = selectors.document(profile.id, document_id)
    return files.response(found.file, found.name)


@signed_in
@require_http_methods(["GET", "POST"])
def withdraw_document(request: Request, organisation: str, document_id: UUID) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    found = selectors.document(profile.id, document_id)
    if not context["may"]["manage"]:
        raise NotFound
    return confirm(
        request,
        context,
        title=_("Withdraw the document"),
        text=gettext("“%(name)s” is removed before an officer decides on it.") % {"name": found.name},
        action=_("Withdraw it"),
        done=_("The document is withdrawn."),
        back=reverse("identity:organisation_documents", args=[profile.slug]),
        run=lambda _given: services.withdraw_document(actor=request.actor, document_id=document_id),
    )


@requires("officer")
@require_http_methods(["GET", "POST"])
def decide_document(request: Request, organisation: str, document_id: UUID, decision: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    found = selectors.document(profile.id, document_id)
    about = {"kind": found.kind_name, "organisation": profile.name, "name": found.name}
    back = reverse("identity:organisation_documents", args=[profile.slug])
    if decision == "accept":
        return confirm(
            request,
            context,
            title=_("Accept the document"),
            text=gettext("%(kind)s of %(organisation)s: %(name)s. The administrators are told.") % about,
            action=pgettext_lazy("document", "Accept"),
            done=_("The document is accepted."),
            back=back,
            run=lambda _given: services.accept_document(actor=request.actor, document_id=document_id),
        )
    if decision == "refuse":
        return confirm(
            request,
            context,
            title=_("Refuse the document"),
            text=gettext("%(kind)s of %(organisation)s: %(name)s. The administrators are told the reason.")
            % about,
            action=_("Refuse"),
            done=_("The document is refused."),
            back=back,
            run=lambda given: services.refuse_document(
                actor=request.actor, document_id=document_id, reason=given["reason"]
            ),
            form=ReasonForm(request.POST or None),
        )
    raise NotFound
