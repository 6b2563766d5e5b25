"""Who acts for an organisation: members and their roles, invitations, roles lent."""

from datetime import date, timedelta
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

from dure.control.foundation import clock
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import rules, selectors, services
from dure.control.identity.guards import signed_in
from dure.control.identity.organisation_forms import (
    DelegationForm,
    InvitationForm,
    MemberForm,
    ReasonForm,
    end_of_day,
    tell,
)
from dure.control.identity.organisation_views.common import confirm, whose


def _grantable(request: Request, kind: str) -> frozenset[str]:
    return frozenset(
        role for role in rules.roles_allowed(kind) if rules.may_grant_roles(request.actor, frozenset({role}))
    )


@signed_in
@never_cache
def members(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    person_id = request.actor.person_id
    context |= {
        "tab": "members",
        "members": selectors.members_of(profile.id),
        "invitations": selectors.invitations_of(profile.id) if context["may"]["members"] else [],
        "delegations": selectors.delegations_of(profile.id),
        "person_id": person_id,
        "may_lend": bool(_lendable(request, profile.id)) if context["may"]["own"] else False,
    }
    return render(request, "identity/organisation_members.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def member(request: Request, organisation: str, person_id: UUID) -> HttpResponse:
    """Change a member's roles and last day."""
    context, found = _member(request, organisation, person_id)
    profile = context["organisation"]
    form = MemberForm(
        request.POST or None,
        roles=_grantable(request, profile.kind) | frozenset(found.roles),
        initial={"roles": list(found.roles), "valid_until": _last_day(found)},
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.add_membership(
                actor=request.actor,
                person_id=person_id,
                organisation_id=profile.id,
                roles=form.cleaned_data["roles"],
                valid_until=end_of_day(form.cleaned_data["valid_until"]),
            )
        except DureError as error:
            tell(form, error)
        else:
            messages.success(
                request, gettext("The roles of %(name)s are changed.") % {"name": found.person.name}
            )
            return redirect("identity:organisation_members", profile.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/member.html", {**context, "member": found, "form": form}, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def end_membership(request: Request, organisation: str, person_id: UUID) -> HttpResponse:
    context, found = _member(request, organisation, person_id)
    profile = context["organisation"]
    return confirm(
        request,
        context,
        title=_("End the membership"),
        text=gettext(
            "%(name)s no longer acts for %(organisation)s, from now on; their tokens for it stop working. They are told."
        )
        % {"name": found.person.name, "organisation": profile.name},
        action=_("End it"),
        done=gettext("%(name)s no longer acts for the organisation.") % {"name": found.person.name},
        back=reverse("identity:organisation_members", args=[profile.slug]),
        run=lambda given: services.end_membership(
            actor=request.actor, person_id=person_id, organisation_id=profile.id, reason=given["reason"]
        ),
        form=ReasonForm(request.POST or None, optional=True),
    )


def _member(
    request: Request, organisation: str, person_id: UUID
) -> tuple[dict[str, Any], selectors.MembershipView]:
    context = whose(request, organisation)
    if not context["may"]["members"]:
        raise NotFound(code="membership_not_found")
    return context, selectors.member(context["organisation"].id, person_id)


def _last_day(found: selectors.MembershipView) -> date | None:
    if found.valid_until is None:
        return None
    return (found.valid_until - timedelta(microseconds=1)).astimezone(clock.SEOUL).date()


# Invitations


@signed_in
@require_http_methods(["GET", "POST"])
def invite(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    if not context["may"]["members"]:
        raise NotFound
    form = InvitationForm(
        request.POST or None, roles=_grantable(request, profile.kind), initial={"language": "ko"}
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        given["membership_until"] = end_of_day(given["membership_until"])
        try:
            invitation = services.invite(actor=request.actor, organisation_id=profile.id, **given)
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("%(email)s has been invited.") % {"email": invitation.email})
            return redirect("identity:organisation_members", profile.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/invite.html", {**context, "form": form}, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def change_invitation(
    request: Request, organisation: str, invitation_id: UUID, decision: str
) -> HttpResponse:
    """Send it again, or revoke it."""
    context = whose(request, organisation)
    profile = context["organisation"]
    if not context["may"]["members"]:
        raise NotFound
    invitation = selectors.invitation_of(profile.id, invitation_id)
    about, back = {"email": invitation.email}, reverse("identity:organisation_members", args=[profile.slug])
    if decision == "resend":
        return confirm(
            request,
            context,
            title=_("Send the invitation again"),
            text=gettext("%(email)s gets a new link that works for 14 days. The link before stops working.")
            % about,
            action=_("Send it again"),
            done=_("The invitation is sent again."),
            back=back,
            run=lambda _given: services.resend_invitation(actor=request.actor, invitation_id=invitation_id),
        )
    if decision == "revoke":
        return confirm(
            request,
            context,
            title=_("Revoke the invitation"),
            text=gettext("The link that %(email)s has stops working.") % about,
            action=pgettext_lazy("invitation", "Revoke it"),
            done=_("The invitation is revoked."),
            back=back,
            run=lambda _given: services.revoke_invitation(actor=request.actor, invitation_id=invitation_id),
        )
    raise NotFound


# Roles lent


def _lendable(request: Request, organisation_id: UUID) -> frozenset[str]:
    """What one holds oneself there and may lend."""
    own = next(
        (one for one in selectors.members_of(organisation_id) if one.person.id == request.actor.person_id),
        None,
    )
    return frozenset(own.roles) - rules.BOUND_ROLES if own else frozenset()


@signed_in
@require_http_methods(["GET", "POST"])
def lend(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    roles = _lendable(request, profile.id) if context["may"]["own"] else frozenset()
    if not roles:
        raise NotFound
    others = [
        (str(one.person.id), f"{one.person.name} ({', '.join(one.role_names)})")
        for one in selectors.members_of(profile.id)
        if one.person.id != request.actor.person_id and one.person.active
    ]
    form = DelegationForm(request.POST or None, roles=roles, people=others)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        valid_until = end_of_day(given["valid_until"])
        assert valid_until is not None
        try:
            services.delegate(
                actor=request.actor,
                organisation_id=profile.id,
                delegate_id=UUID(given["delegate"]),
                roles=given["roles"],
                valid_until=valid_until,
                reason=given["reason"],
            )
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("The roles are lent. They come back by themselves."))
            return redirect("identity:organisation_members", profile.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/lend.html", {**context, "form": form, "others": others}, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def revoke_delegation(request: Request, organisation: str, delegation_id: UUID) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    delegation = selectors.delegation_of(profile.id, delegation_id)
    return confirm(
        request,
        context,
        title=_("End the delegation"),
        text=gettext("%(delegate)s no longer stands in for %(giver)s, from now on.")
        % {"delegate": delegation.delegate_name, "giver": delegation.giver_name},
        action=_("End it"),
        done=_("The delegation has ended."),
        back=reverse("identity:organisation_members", args=[profile.slug]),
        run=lambda _given: services.revoke_delegation(actor=request.actor, delegation_id=delegation_id),
    )
