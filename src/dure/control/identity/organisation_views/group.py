"""Who owns whom: the group of an organisation, declaring a link, deciding on it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors, services
from dure.control.identity.guards import signed_in
from dure.control.identity.organisation_forms import LastDayForm, LinkForm, ReasonForm, tell
from dure.control.identity.organisation_selectors import today
from dure.control.identity.organisation_views.common import confirm, whose


@signed_in
@never_cache
def group(request: Request, organisation: str) -> HttpResponse:
    """Its links, and for those who may know, the whole group they make."""
    context = whose(request, organisation)
    profile = context["organisation"]
    members = selectors.ownership_group(profile.id) - {profile.id}
    # Who else is in the group is known from one's own links; farther away it is the officers' business.
    shown = selectors.profiles(members) if request.actor.is_platform else {}
    context |= {
        "tab": "group",
        "links": selectors.links_of(profile.id),
        "group_size": len(members) + 1,
        "group": sorted(shown.values(), key=lambda one: one.name_ko),
        "today": today(),
    }
    return render(request, "identity/organisation_group.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def declare_link(request: Request, organisation: str) -> HttpResponse:
    context = whose(request, organisation)
    profile = context["organisation"]
    if not context["may"]["manage"]:
        raise NotFound
    form = LinkForm(request.POST or None, initial={"valid_from": today()})
    if request.method == "POST" and form.is_valid():
        try:
            services.declare_link(actor=request.actor, organisation_id=profile.id, **form.values())
        except DureError as error:
            tell(form, error)
        else:
            messages.success(
                request,
                gettext(
                    "The connection is declared. It counts once the other side or an officer confirms it."
                ),
            )
            return redirect("identity:organisation_group", profile.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "identity/link_declare.html", {**context, "form": form}, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def decide_link(request: Request, organisation: str, link_id: UUID, decision: str) -> HttpResponse:
    """Confirm, refuse, withdraw, ask for the end, end: whoever may, as the service says."""
    context = whose(request, organisation)
    profile = context["organisation"]
    link = selectors.link(profile.id, link_id)
    words = _DECISIONS.get(decision)
    if words is None:
        raise NotFound
    form = None
    if decision == "refuse":
        form = ReasonForm(request.POST or None)
    elif decision == "end":
        form = LastDayForm(
            request.POST or None, initial={"last_day": link.end_asked_on or today()}, optional=True
        )
    elif decision == "ask-end":
        form = LastDayForm(request.POST or None, initial={"last_day": today()}, optional=True)
        del form.fields["reason"]

    def run(given: dict[str, Any]) -> object:
        return words["run"](actor=request.actor, link_id=link_id, **given)

    return confirm(
        request,
        context,
        title=words["title"],
        text=gettext("%(owner)s as the owner of %(owned)s. %(effect)s")
        % {"owner": link.owner_name, "owned": link.owned_name, "effect": words["text"]},
        action=words["action"],
        done=words["done"],
        back=reverse("identity:organisation_group", args=[profile.slug]),
        run=run,
        form=form,
    )


_DECISIONS: dict[str, dict[str, Any]] = {
    "confirm": {
        "title": _("Confirm the connection"),
        "text": _(
            "From 50% on, and for control, both belong to one group, and support is counted over the group."
        ),
        "action": _("Confirm"),
        "done": _("The connection is confirmed."),
        "run": services.confirm_link,
    },
    "refuse": {
        "title": _("Refuse the connection"),
        "text": _("Both sides are told the reason. An officer can still confirm it."),
        "action": _("Refuse"),
        "done": _("The connection is refused."),
        "run": services.refuse_link,
    },
    "withdraw": {
        "title": _("Withdraw the connection"),
        "text": _("It disappears from both sides."),
        "action": _("Withdraw it"),
        "done": _("The connection is withdrawn."),
        "run": services.withdraw_link,
    },
    "ask-end": {
        "title": _("Report the end of the connection"),
        "text": _("It counts until an officer has set the last day."),
        "action": _("Report it"),
        "done": _("An officer has been asked to end the connection."),
        "run": services.ask_link_end,
    },
    "end": {
        "title": _("End the connection"),
        "text": _("After its last day the two are no longer bound by it. Both sides are told."),
        "action": _("End it"),
        "done": _("The last day is set."),
        "run": services.end_link,
    },
}
