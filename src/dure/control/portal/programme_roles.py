"""Who is officer or reviewer of one programme alone: identity keeps the roles, programmes know the names."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import facts, organisation_forms
from dure.control.identity import selectors as identity
from dure.control.identity import services as people
from dure.control.identity.guards import requires
from dure.control.programmes import selectors as programmes


class ProgrammeRoleForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"),
        help_text=_(
            "Of someone who is registered. The role of an officer counts while they are a member of the agency."
        ),
        widget=forms.EmailInput(attrs={"class": "input", "autocomplete": "off"}),
    )
    role = forms.ChoiceField(
        label=_("Role"),
        choices=facts.ProgrammeRoleKind.choices,
        widget=forms.Select(attrs={"class": "input"}),
    )
    valid_until = forms.DateField(
        label=_("Until"),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "input"}),
        help_text=_("The last day. Leave it empty if it has no end."),
    )
    reason = forms.CharField(
        label=_("Reason"), required=False, max_length=500, widget=forms.TextInput(attrs={"class": "input"})
    )


@requires("officer", "operator", "auditor")
@never_cache
@require_http_methods(["GET", "POST"])
def programme_people(request: Request, slug: str) -> HttpResponse:
    """The people of one programme, and the form that adds one."""
    programme = programmes.programme(actor=request.actor, slug=slug)
    form = ProgrammeRoleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        person = identity.person_by_email(given["email"])
        if person is None:
            form.add_error("email", gettext("Nobody is registered with this address."))
        else:
            try:
                people.give_programme_role(
                    actor=request.actor,
                    person_id=person.id,
                    programme_id=programme.id,
                    role=given["role"],
                    valid_until=organisation_forms.end_of_day(given["valid_until"]),
                    reason=given["reason"],
                )
            except DureError as error:
                organisation_forms.tell(form, error)
            else:
                messages.success(request, gettext("%(name)s has the role.") % {"name": person.name})
                return redirect("portal:programme_people", slug)
    context = {
        "programme": programme,
        "form": form,
        "roles": identity.people_with_programme_role(programme.id),
        "may_give": identity.may_give_programme_roles(actor=request.actor, programme_id=programme.id),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "portal/programme_people.html", context, status=status)


@requires("officer", "operator")
@require_http_methods(["GET", "POST"])
def take_programme_role(request: Request, slug: str, programme_role_id: UUID) -> HttpResponse:
    """Ask, then end the role."""
    programme = programmes.programme(actor=request.actor, slug=slug)
    held = identity.people_with_programme_role(programme.id)
    found = next((one for one in held if one.id == programme_role_id), None)
    if found is None:
        raise NotFound(code="programme_role_not_found")
    if not identity.may_give_programme_roles(actor=request.actor, programme_id=programme.id):
        raise Forbidden
    if request.method == "POST":
        people.take_programme_role(
            actor=request.actor, programme_role_id=programme_role_id, reason=request.POST.get("reason", "")
        )
        messages.success(request, gettext("%(name)s no longer has the role.") % {"name": found.person_name})
        return redirect("portal:programme_people", slug)
    return render(request, "portal/programme_role_take.html", {"programme": programme, "role": found})
