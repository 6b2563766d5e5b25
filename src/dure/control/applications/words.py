"""What pages and files say of applications: states, events and moments in a reader's words."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from dure.control.foundation.errors import Text

STATE_NAMES: Mapping[str, Text] = {
    "draft": pgettext_lazy("application", "being written"),
    "submitted": pgettext_lazy("application", "submitted"),
    "incomplete": pgettext_lazy("application", "to be completed"),
    "accepted": pgettext_lazy("application", "accepted"),
    "rejected": pgettext_lazy("application", "not accepted"),
    "awarded": pgettext_lazy("application", "awarded"),
    "withdrawn": pgettext_lazy("application", "withdrawn"),
    "lapsed": pgettext_lazy("application", "not submitted in time"),
}
STATE_STYLES: Mapping[str, str] = {
    "draft": "bg-light-warning",
    "submitted": "bg-light-primary",
    "incomplete": "bg-light-danger",
    "accepted": "bg-light-success",
    "awarded": "bg-light-success",
}
#: What happened, in the timeline.
EVENTS: Mapping[str, Text] = {
    "application.started": _("Begun"),
    "application.writer_added": _("A co-writer was added"),
    "application.writer_removed": _("A co-writer was removed"),
    "application.lead_named": _("The lead was handed over"),
    "application.submitted": _("Submitted"),
    "application.withdrawn": _("Withdrawn"),
    "application.lapsed": _("Not submitted in time"),
    "application.advanced": _("Went on to the next step"),
    "application.completion_asked": _("Something missing was asked for"),
    "application.completion_expired": _("The time for completing it ended"),
    "application.extended": _("More time was given"),
    "application.accepted": _("Accepted"),
    "application.rejected": _("Not accepted"),
    "application.awarded": _("Awarded"),
    "application.objected": _("An objection was raised"),
    "application.left_to_officer": _("Left to a person"),
}
#: What `who_did` of the portal shows for the software's own deeds in this room.
SYSTEM_NAMES: Mapping[str, Text] = {
    "deadlines of calls": _("the deadline"),
    "automatic approval": _("the published rule"),
}
