"""REST: what waits for the caller, from every room, as the page "my tasks" shows it."""

from datetime import datetime

from ninja import Router, Schema

from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.portal.tasks import tasks_of

router = Router(tags=["duties"])


class DutyOut(Schema):
    """`why` says what has to be done with `subject`, `path` where in the portal. `since` is null where it is not known,
    `due_at` where there is no deadline; `count` is how many things one duty stands for."""

    kind: str
    subject: str
    why: str
    detail: str
    path: str
    since: datetime | None
    due_at: datetime | None
    count: int


@router.get("/duties", response={200: list[DutyOut], **ERRORS})
@audience("signed_in")
def list_duties(request: Request) -> object:
    """What waits for the caller in every room: what has a deadline first, then what has waited longest."""
    return tasks_of(actor_of(request))
