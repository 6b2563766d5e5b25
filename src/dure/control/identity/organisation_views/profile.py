"""Founding an organisation, its page and its profile."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import facts, rules, selectors, services
from dure.control.identity.guards import requires, signed_in
from dure.control.identity.middleware import SESSION_KEY
from dure.control.identity.organisation_forms import FoundForm, ProfileForm, ReasonForm, tell
from dure.control.identity.organisation_views.common import confirm, whose


@signed_in
@require_http_methods(["GET", "POST"])
def found(request: Request) -> HttpResponse:
    """Found an organisation and act for it from the next page on."""
    form = FoundForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            profile = services.found_organisation(actor=request.actor, **form.values())
        except DureError as error:
            if error.code == "email_not_verified":
                form.add_error(None, str(error))
            else:
                tell(form, error)
        else:
            request.session[SESSION_KEY] = str(profile.id)
            messages.success(request, gettext("Your organisation is registered. You are its administrator."))
            return redirect("identity:organisation", profile.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/organisation_found.html", {"form": form}, status=status)


@signed_in
def own(request: Request) -> HttpResponse:
    """The page of the organisation one acts for; who acts for none is led to found one."""
    actor = request.actor
    if actor.organisation_id is None:
        return redirect("identity:organisation_found")
    return redirect("identity:organisation", selectors.organisation(actor.organisation_id).slug)


def _step(profile: selectors.OrganisationProfile, documents: list[selectors.DocumentView]) -> dict[str, Any]:
    """The one next step, in words, with the address where it is done."""
    step = selectors.next_step(profile, documents)
    lacking = selectors.missing_facts(profile)
    texts = {
        "profile": (
            _("Complete the profile"),
            ngettext(
                "%(n)d fact is missing: %(fields)s.", "%(n)d facts are missing: %(fields)s.", len(lacking)
            )
            % {"n": len(lacking), "fields": ", ".join(str(fact.title) for fact in lacking)},
            reverse("identity:organisation_edit", args=[profile.slug]),
        ),
        "certificate": (
            _("Hand in the business registration certificate"),
            gettext("An officer compares it with the profile."),
            reverse("identity:document_add", args=[profile.slug]) + "?kind=business_registration",
        ),
        "ask": (
            _("Ask to be verified"),
            gettext("Everything is there. An officer looks at it next."),
            reverse("identity:verification_ask", args=[profile.slug]),
        ),
        "repair": (
            _("Ask again"),
            gettext("Put right what the officer says, then ask again."),
            reverse("identity:verification_ask", args=[profile.slug]),
        ),
        "wait": (
            "",
            gettext("An officer looks at it. You will be told; there is nothing to do until then."),
            "",
        ),
        "done": ("", "", ""),
    }
    action, text, url = texts[step]
    return {"name": step, "action": action, "text": text, "url": url}


@signed_in
@never_cache
def organisation(request: Request, organisation: str) -> HttpResponse:
    """Its facts, how its verification stands, and what happened."""
    context = whose(request, organisation)
    profile = context["organisation"]
    documents = selectors.documents(profile.id)
    context |= {
        "tab": "overview",
        "step": _step(profile, documents),
        "facts": _facts(profile),
        "documents": documents,
        "certificates": [one for one in documents if one.kind == facts.DocumentKind.BUSINESS_REGISTRATION],
        "timeline": selectors.timeline(profile.id, limit=30),
    }
    return render(request, "identity/organisation.html", context)


def _facts(profile: selectors.OrganisationProfile) -> list[tuple[str, Any]]:
    from dure.control.foundation.templatetags.dure_format import seoul_date
    from dure.control.identity.models import OrganisationKind

    shown = {
        "registration_number": profile.number,
        "kind": OrganisationKind(profile.kind).label,
        "size_class": profile.size_name,
        "founded_on": seoul_date(profile.founded_on) if profile.founded_on else "",
        "region": profile.region_name,
        "employees": "" if profile.employees is None else f"{profile.employees:,}",
        "website": profile.website,
        "name_ko": profile.name_ko,
        "name_en": profile.name_en,
    }
    return [(name, facts.FIELD_TITLES[name], shown[name]) for name in shown]  # type: ignore[misc]


@signed_in
@require_http_methods(["GET", "POST"])
def edit(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    if not context["may"]["manage"]:
        raise NotFound
    fixed = profile.kind not in rules.FOUNDABLE_KINDS
    standing = {name: getattr(profile, name) for name in ProfileForm.base_fields} | {
        "registration_number": profile.number
    }
    form = ProfileForm(request.POST or None, initial=standing, fixed_kind=fixed)
    if fixed:
        form.fields["registration_number"].required = False
    if request.method == "POST" and form.is_valid():
        values = form.values()
        if fixed and not values["registration_number"]:
            del values["registration_number"]
        try:
            changed = services.change_profile(actor=request.actor, organisation_id=profile.id, **values)
        except DureError as error:
            tell(form, error)
        else:
            put_back = profile.verified and not changed.verified
            messages.success(
                request,
                gettext("The profile is saved. Because a verified fact changed, an officer verifies it anew.")
                if put_back
                else gettext("The profile is saved."),
            )
            return redirect("identity:organisation", profile.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/organisation_edit.html", {**context, "form": form}, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def ask_verification(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    if not context["may"]["manage"]:
        raise NotFound
    return confirm(
        request,
        context,
        title=_("Ask to be verified"),
        text=_(
            "An officer compares the profile with the business registration certificate. You will be told."
        ),
        action=_("Ask"),
        done=_("An officer has been asked. You will be told."),
        back=reverse("identity:organisation", args=[profile.slug]),
        run=lambda _given: services.ask_verification(actor=request.actor, organisation_id=profile.id),
    )


@requires("officer")
@require_http_methods(["GET", "POST"])
def decide_verification(request: Request, organisation: str, decision: str) -> HttpResponse:
    """An officer verifies, or refuses with a reason that the administrators read."""
    context = whose(request, organisation)
    profile = context["organisation"]
    back = reverse("identity:organisation", args=[profile.slug])
    if decision == "accept":
        return confirm(
            request,
            context,
            title=_("Verify the organisation"),
            text=_(
                "Its administrators are told, and it can apply to calls that ask for a verified organisation. A"
                " business registration certificate that waits is accepted with it."
            ),
            action=_("Verify"),
            done=_("The organisation is verified."),
            back=back,
            run=lambda given: services.verify_organisation(
                actor=request.actor, organisation_id=profile.id, reason=given["reason"]
            ),
            form=ReasonForm(request.POST or None, optional=True),
        )
    if decision == "refuse":
        return confirm(
            request,
            context,
            title=_("Refuse the verification"),
            text=_("Its administrators are told the reason, and may put it right and ask again."),
            action=_("Refuse"),
            done=_("The verification is refused."),
            back=back,
            run=lambda given: services.refuse_verification(
                actor=request.actor, organisation_id=profile.id, reason=given["reason"]
            ),
            form=ReasonForm(request.POST or None),
        )
    raise NotFound
