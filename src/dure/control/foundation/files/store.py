"""Where files lie and how they get there.

A file is written beside its place, forced to the disk, looked at, and only then moved to
`<data>/files/ab/abcdef…`, so whatever has a name there is whole. Its row is inserted before it is moved. The row's
lock is what keeps `sweep` and two uploads of the same content out of each other's way: the sweep removes a file only
while it holds the row, and takes no row that somebody else holds.
"""

import builtins
import errno
import hashlib
import logging
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import connection, transaction
from django.http import FileResponse
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock
from dure.control.foundation.errors import DureError, Invalid, NotFound
from dure.control.foundation.files import inspection, kinds
from dure.control.foundation.models import FileOwner, StoredFile

DEFAULT_MAX_BYTES = 50 << 20
#: How long a file may wait for an owner: longer than any transaction, shorter than anybody's patience with a disk.
UNOWNED_FOR = timedelta(days=1)
_INCOMING = "incoming"
_log = logging.getLogger(__name__)
_UPSERT = """
INSERT INTO foundation_storedfile (sha256, size, media_type, stored_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (sha256) DO UPDATE SET stored_at = excluded.stored_at
"""
#: Answers a row only if there was none; a transaction that is storing the same content is waited for.
_CLAIM = """
INSERT INTO foundation_storedfile (sha256, size, media_type, stored_at) VALUES (%s, 0, '', %s)
ON CONFLICT (sha256) DO NOTHING RETURNING sha256
"""


@dataclass(frozen=True, slots=True)
class FileView:
    """`sha256` in hexadecimal names the content; `name` is what its owner called it; `size` in bytes."""

    sha256: str
    name: str
    size: int
    media_type: str


def store(
    *,
    stream: BinaryIO,
    name: str,
    allowed: Collection[str] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> FileView:
    """Store what `stream` holds, from where it stands. `allowed` names kinds by ending (`pdf`) or media type.

    Refusals are `Invalid` with the codes file_name_invalid, file_type_refused, file_empty, file_too_large,
    file_damaged, file_encrypted and file_unsafe. A full disk is `storage_full` (507). Follow it with `keep`.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a file is stored in the transaction of what it belongs to")
    name, taken = kinds.clean_name(name), kinds.allowed_kinds(allowed)
    if kinds.kind_of_name(name) not in taken:
        raise kinds.type_refused(name, taken)
    with _room_is_needed(), _temporary() as file:
        sha256, size = _receive(stream, file, name, max_bytes)
        kind = inspection.inspect(file, name=name, size=size)
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT, [sha256, size, kind.media_type, clock.now()])
        _place(Path(file.name), _path(sha256))
    return FileView(sha256=sha256, name=name, size=size, media_type=kind.media_type)


def keep(sha256: str, *, owner_kind: str, owner_id: object) -> None:
    """Say that a row holds this file; doing so again changes nothing."""
    FileOwner.objects.get_or_create(file_id=sha256, owner_kind=owner_kind, owner_id=str(owner_id))


def release(sha256: str, *, owner_kind: str, owner_id: object) -> None:
    """The row no longer holds it; a file that nobody holds is swept away a day later."""
    FileOwner.objects.filter(file_id=sha256, owner_kind=owner_kind, owner_id=str(owner_id)).delete()
    StoredFile.objects.filter(pk=sha256).update(stored_at=clock.now())


def owners(sha256: str) -> list[tuple[str, str]]:
    """(kind, id) of every row that holds the file."""
    rows = FileOwner.objects.filter(file_id=sha256).order_by("owner_kind", "owner_id")
    return list(rows.values_list("owner_kind", "owner_id"))


def exists(sha256: str) -> bool:
    return _is_digest(sha256) and _path(sha256).is_file()


def open(sha256: str) -> BinaryIO:  # noqa: A001
    """The file's bytes; `NotFound` if there is no such file."""
    if _is_digest(sha256):
        try:
            return builtins.open(_path(sha256), "rb")  # noqa: PTH123 - the caller closes it
        except FileNotFoundError:
            pass
    raise NotFound(code="file_not_found")


def response(sha256: str, name: str) -> FileResponse:
    """A download under the name its owner gave it (RFC 6266). Whoever calls this has checked who may read it.

    Nothing in a file is ever shown or run as a page of ours, whatever a browser makes of its content.
    """
    kind = kinds.kind_of_name(name)
    answer = FileResponse(
        open(sha256),
        as_attachment=True,
        filename=name,
        content_type=kind.media_type if kind else "application/octet-stream",
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    answer["Cache-Control"] = "private, no-store"
    return answer


def sweep(*, before: datetime | None = None) -> int:
    """Remove files that nobody has held for a day, and what broken uploads left; returns how many files went."""
    before = before or clock.now() - UNOWNED_FOR
    unowned = StoredFile.objects.filter(stored_at__lt=before).exclude(
        pk__in=FileOwner.objects.values("file_id")
    )
    removed = sum(_remove_unowned(sha256, before) for sha256 in unowned.values_list("pk", flat=True))
    return removed + _sweep_folder(before)


def _remove_unowned(sha256: str, before: datetime) -> bool:
    with transaction.atomic():
        rows = StoredFile.objects.select_for_update(skip_locked=True).filter(pk=sha256, stored_at__lt=before)
        row = rows.first()
        if row is None or FileOwner.objects.filter(file_id=sha256).exists():
            return False
        _path(sha256).unlink(missing_ok=True)
        row.delete()
    return True


def _sweep_folder(before: datetime) -> int:
    """What transactions that never committed left on the disk."""
    removed = 0
    for path in _folder().glob("*/*"):
        if datetime.fromtimestamp(path.stat().st_mtime, tz=before.tzinfo) >= before:
            continue
        if path.parent.name == _INCOMING:
            path.unlink(missing_ok=True)
        elif _is_digest(path.name) and not StoredFile.objects.filter(pk=path.name).exists():
            removed += _remove_unknown(path)
    return removed


def _remove_unknown(path: Path) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, [path.name, clock.now()])
        if cursor.fetchone() is None:
            return False
        path.unlink(missing_ok=True)
        StoredFile.objects.filter(pk=path.name).delete()
    return True


def _folder() -> Path:
    return Path(settings.DURE_FILES_DIR)


def _is_digest(sha256: str) -> bool:
    return len(sha256) == 64 and all(sign in "0123456789abcdef" for sign in sha256)


def _path(sha256: str) -> Path:
    return _folder() / sha256[:2] / sha256


@contextmanager
def _temporary() -> Iterator[BinaryIO]:
    folder = _folder() / _INCOMING
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False) as file:
        try:
            yield file  # type: ignore[misc]
        finally:
            Path(file.name).unlink(missing_ok=True)


def _receive(stream: BinaryIO, file: BinaryIO, name: str, max_bytes: int) -> tuple[str, int]:
    """Copy, count and hash in one pass, a piece at a time; (SHA-256 in hexadecimal, bytes)."""
    digest, size, watch = hashlib.sha256(), 0, inspection.Watch(name)
    while chunk := stream.read(inspection.CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise Invalid(
                "file_too_large",
                _("“%(name)s” is larger than %(most)s MB.") % {"name": name, "most": max(1, max_bytes >> 20)},
                field="file",
                remedy=_("Make it smaller, for example by lowering the resolution of its pictures."),
            )
        watch.see(chunk)
        digest.update(chunk)
        file.write(chunk)
    if size == 0:
        raise Invalid(
            "file_empty",
            _("“%(name)s” is empty.") % {"name": name},
            field="file",
            remedy=_("Look whether it was saved, and choose it again."),
        )
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest(), size


def _place(written: Path, path: Path) -> None:
    """Move it to where it stays. The same content in its place already is replaced by itself."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _force(path.parent.parent)
    written.chmod(0o400)
    written.rename(path)
    _force(path.parent)


def _force(folder: Path) -> None:
    """A name is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _room_is_needed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _log.error("no room to store files in %s", _folder())
        raise DureError(
            "storage_full",
            _("There is no room to store files just now. Nothing was changed."),
            status=507,
            field="file",
            remedy=_("Try again later. The operator can see this in the log."),
        ) from error
