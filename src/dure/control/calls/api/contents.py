"""What a call is made of: form, eligibility rules, steps, and the whole as one document."""

from typing import Any, Literal
from uuid import UUID

from ninja import Status

from dure.control.calls import meaning, selectors, services
from dure.control.calls.api.common import router
from dure.control.calls.api.schemas import (
    CallDocumentIn,
    CallOut,
    ComparisonOut,
    ContentIn,
    MatchingIn,
    MatchingOut,
    VersionOut,
)
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience


@router.get("/calls/{slug}/contents/{part}", response={200: VersionOut, **ERRORS})
@audience(*OFFICERS)
def show_content(request: Request, slug: str, part: Literal["form", "rules", "steps"]) -> object:
    """The newest form, rules or steps of a call, as its officers work on them."""
    draft = selectors.draft(actor=actor_of(request), slug=slug)
    if part == "steps":
        return {"content": draft.steps, "digest": meaning.digest_of(draft.steps)}
    found = draft.form if part == "form" else draft.rules
    return found or {"content": meaning.EMPTY[part], "digest": ""}


@router.put("/calls/{slug}/contents/{part}", response={200: VersionOut, **ERRORS})
@audience(*OFFICERS)
def save_content(
    request: Request,
    slug: str,
    part: Literal["form", "rules", "steps"],
    body: ContentIn,
    round_id: UUID | None = None,
) -> object:
    """Keep a form, rules or steps; rounds that are published go on with theirs. `round_id`: the steps of that draft alone."""
    actor = actor_of(request)
    if part == "steps":
        digest = services.save_steps(
            actor=actor, call_slug=slug, content=body.content, round_id=round_id, base=body.base
        )
        return {"content": body.content, "digest": digest}
    save: Any = services.save_form if part == "form" else services.save_rules
    return save(actor=actor, call_slug=slug, content=body.content, base=body.base)


@router.get("/calls/{slug}/comparisons/{part}", response={200: ComparisonOut, **ERRORS})
@audience(*OFFICERS)
def compare_contents(
    request: Request, slug: str, part: Literal["form", "rules", "steps"], old: str = "", new: str = ""
) -> object:
    """What was added, removed and changed between two versions, in words; without names, since the one before."""
    return selectors.comparison(actor=actor_of(request), slug=slug, part=part, old=old, new=new)


@router.get("/call-documents/{slug}", response={200: dict[str, Any], **ERRORS})
@audience(*OFFICERS)
def export_call(request: Request, slug: str) -> object:
    """The call as one document, to keep in version control."""
    return services.export_call(actor=actor_of(request), slug=slug)


@router.post("/call-documents", response={201: CallOut, **ERRORS})
@audience(*OFFICERS)
def import_call(request: Request, body: CallDocumentIn) -> object:
    """Make the call of a document, or bring the one that is there to what it says."""
    view = services.import_call(actor=actor_of(request), document=body.document, reason=body.reason)
    return Status(201, view.as_dict())


@router.post("/eligibility/matching", response={200: MatchingOut, **ERRORS})
@audience(*OFFICERS)
def matching(request: Request, body: MatchingIn) -> object:
    """How many organisations these rules would fit, by what is known of them today; names nobody."""
    return selectors.matching_organisations(actor=actor_of(request), content=body.requirements)
