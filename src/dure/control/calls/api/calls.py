"""Calls: the public list and page, and what their officers do with them."""

from typing import BinaryIO, Literal, cast
from uuid import UUID

from django.http import FileResponse, HttpResponse
from ninja import File, Form, Status, UploadedFile

from dure.control.calls import selectors, services, shipped
from dure.control.calls.api.common import router
from dure.control.calls.api.schemas import (
    CallAttachmentOut,
    CallChangeIn,
    CallIn,
    CallOut,
    CallPageOut,
    CallReasonIn,
    CopyIn,
    MaybeReasonIn,
    TemplateOut,
)
from dure.control.foundation import files
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience


@router.get("/calls", response={200: CallPageOut, **ERRORS})
@audience("public")
def list_calls(
    request: Request,
    search: str = "",
    kind: str = "",
    state: Literal["", "open", "upcoming", "judging", "closed", "cancelled", "draft"] = "",
    programme: str = "",
    closing_within_days: int | None = None,
    order: Literal["closing", "newest", "name"] = "closing",
    mine: bool = False,
    page: int = 1,
    page_size: int = selectors.PAGE_SIZE,
) -> object:
    """Published calls, and the drafts of one's own agency; what closes first comes first. `mine`: those one manages."""
    found = selectors.calls(
        actor=actor_of(request),
        search=search,
        kind=kind,
        state=state,
        programme=programme,
        closing_within_days=closing_within_days,
        order=order,
        mine=mine,
        page=page,
        page_size=page_size,
    )
    return {
        "items": [one.as_dict() for one in found.items],
        "total": found.total,
        "page": found.page,
        "page_size": found.page_size,
    }


@router.post("/calls", response={201: CallOut, **ERRORS})
@audience(*OFFICERS)
def add_call(request: Request, body: CallIn) -> object:
    """Begin a call as a draft, from nothing or from a template."""
    actor = actor_of(request)
    if body.template:
        added = services.add_from_template(
            actor=actor,
            template_key=body.template,
            slug=body.slug,
            programme_slug=body.programme,
            name_ko=body.name_ko,
            name_en=body.name_en,
        )
        return Status(201, added.as_dict())
    added = services.add_call(
        actor=actor,
        slug=body.slug,
        programme_slug=body.programme,
        kind=body.kind,
        name_ko=body.name_ko,
        name_en=body.name_en,
        summary_ko=body.summary_ko,
        summary_en=body.summary_en,
        text_ko=body.text_ko,
        text_en=body.text_en,
        request_id=body.id,
    )
    return Status(201, added.as_dict())


@router.get("/calls/{slug}", response={200: CallOut, **ERRORS})
@audience("public")
def show_call(request: Request, slug: str) -> object:
    """One call with its rounds, files and corrections; a draft is not there for others."""
    return selectors.call(actor=actor_of(request), slug=slug).as_dict()


@router.patch("/calls/{slug}", response={200: CallOut, **ERRORS})
@audience(*OFFICERS)
def change_call(request: Request, slug: str, body: CallChangeIn) -> object:
    """Change a draft, or correct the texts of a published call."""
    given = body.model_dump(exclude_unset=True, exclude_none=True)
    return services.change_call(
        actor=actor_of(request),
        slug=slug,
        reason=given.pop("reason", ""),
        new_slug=given.pop("slug", None),
        kind=given.pop("kind", None),
        programme_slug=given.pop("programme", None),
        reviewed=given.pop("reviewed", None),
        **given,
    ).as_dict()


@router.delete("/calls/{slug}", response={204: None, **ERRORS})
@audience(*OFFICERS)
def discard_call(request: Request, slug: str) -> object:
    """Throw a draft away. What was ever published stays."""
    services.discard_call(actor=actor_of(request), slug=slug)
    return Status(204, None)


@router.post("/calls/{slug}/copy", response={201: CallOut, **ERRORS})
@audience(*OFFICERS)
def copy_call(request: Request, slug: str, body: CopyIn) -> object:
    """A new draft with everything of a call, its dates moved by `years`; it must be looked through."""
    copied = services.copy_call(
        actor=actor_of(request),
        slug=slug,
        new_slug=body.slug,
        programme_slug=body.programme,
        name_ko=body.name_ko,
        name_en=body.name_en,
        years=body.years,
    )
    return Status(201, copied.as_dict())


@router.post("/calls/{slug}/cancel", response={200: CallOut, **ERRORS})
@audience(*OFFICERS)
def cancel_call(request: Request, slug: str, body: CallReasonIn) -> object:
    """Call a published call off, with all of its rounds and a public reason."""
    return services.cancel_call(actor=actor_of(request), slug=slug, reason=body.reason).as_dict()


@router.post("/calls/{slug}/attachments", response={201: CallAttachmentOut, **ERRORS})
@audience(*OFFICERS)
def add_attachment(
    request: Request,
    slug: str,
    file: File[UploadedFile],
    title_ko: Form[str] = "",
    title_en: Form[str] = "",
    reason: Form[str] = "",
) -> object:
    """Publish a file with a call, as multipart form data."""
    added = services.add_attachment(
        actor=actor_of(request),
        call_slug=slug,
        stream=cast("BinaryIO", file.file),
        name=file.name or "",
        title_ko=title_ko,
        title_en=title_en,
        reason=reason,
    )
    return Status(201, added)


@router.get("/call-attachments/{file_id}", response={200: None, **ERRORS})
@audience("public")
def download_attachment(request: Request, file_id: UUID) -> FileResponse | HttpResponse:
    """The file itself."""
    found = selectors.attachment(actor=actor_of(request), attachment_id=file_id)
    return files.response(found.sha256, found.name)


@router.delete("/call-attachments/{file_id}", response={204: None, **ERRORS})
@audience(*OFFICERS)
def remove_attachment(request: Request, file_id: UUID, body: MaybeReasonIn) -> object:
    """Take a file away; from a published call with a public reason."""
    services.remove_attachment(actor=actor_of(request), attachment_id=file_id, reason=body.reason)
    return Status(204, None)


@router.get("/call-templates", response={200: list[TemplateOut], **ERRORS})
@audience("public")
def list_templates(request: Request) -> object:
    """Templates that ship with Dure."""
    return list(shipped.templates())
