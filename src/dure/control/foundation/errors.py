"""One error type, many codes.

A code is stable and never translated; the message is a translatable sentence that says what
happened, the remedy what to do next. Pages, REST and the command line each have one handler.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

type Text = str | Promise


class DureError(Exception):
    """Something the caller asked for cannot be done; nothing was changed."""

    status = 400

    def __init__(
        self,
        code: str,
        message: Text,
        *,
        status: int | None = None,
        field: str | None = None,
        remedy: Text = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = field
        self.remedy = remedy
        self.data = dict(data or {})
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        remedy = str(self.remedy)
        return f"{self.message} {remedy}" if remedy else str(self.message)

    def as_dict(self) -> dict[str, Any]:
        """The REST shape of the error."""
        return {
            "code": self.code,
            "message": str(self.message),
            "field": self.field,
            "remedy": str(self.remedy),
            **({"data": self.data} if self.data else {}),
        }


class Invalid(DureError):
    status = 422


class Conflict(DureError):
    status = 409


class NotFound(DureError):
    """Also the answer for rows of other organisations: that they exist is nobody else's business."""

    status = 404

    def __init__(self, message: Text | None = None, *, code: str = "not_found", **kwargs: Any) -> None:
        super().__init__(code, message or _("There is nothing here, or it is not yours to see."), **kwargs)


class Forbidden(DureError):
    status = 403

    def __init__(self, message: Text | None = None, *, code: str = "forbidden", **kwargs: Any) -> None:
        super().__init__(code, message or _("Your role does not allow this."), **kwargs)
