"""Files that people hand in: stored once by what is in them, under the data folder.

    view = files.store(stream=upload, name=upload.name, allowed={"pdf", "hwp"})
    files.keep(view.sha256, owner_kind="application_attachment", owner_id=attachment.id)

A file that nobody keeps is swept away a day later. So whoever stores one says in the same transaction whose it
is, and `release`s it when the row that it belongs to goes.
"""

from dure.control.foundation.files.kinds import KINDS, Kind, kind_named
from dure.control.foundation.files.store import (
    DEFAULT_MAX_BYTES,
    FileView,
    exists,
    keep,
    open,  # noqa: A004 - files.open reads as what it does
    owners,
    release,
    response,
    store,
    sweep,
)

__all__ = [
    "DEFAULT_MAX_BYTES",
    "KINDS",
    "FileView",
    "Kind",
    "exists",
    "keep",
    "kind_named",
    "open",
    "owners",
    "release",
    "response",
    "store",
    "sweep",
]
