"""Files: known by what is in them, stored once, never half-written, and gone when nobody holds them."""

import errno
import hashlib
import io
import os
import tempfile
import threading
import zipfile
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.control.foundation import clock, files
from dure.control.foundation.errors import DureError, Invalid, NotFound
from dure.control.foundation.files import inspection
from dure.control.foundation.models import FileOwner, StoredFile

from .samples import EVERY_KIND, archive, hwp, hwpx, jpeg, office, pdf, png

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings) -> Path:
    settings.DURE_FILES_DIR = tmp_path / "files"
    return settings.DURE_FILES_DIR


@transaction.atomic
def store(content: bytes, name: str = "plan.pdf", **options) -> files.FileView:
    return files.store(stream=io.BytesIO(content), name=name, **options)


def refusal(content: bytes, name: str, **options) -> tuple[str, str]:
    with pytest.raises(Invalid) as refused:
        inspection.inspect(io.BytesIO(content), name=name, size=len(content))
    assert str(refused.value.message)
    assert str(refused.value.remedy)
    return refused.value.code, refused.value.data.get("danger", "")


def lying_on_disk(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*"))


# What a file is


@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_kind_is_recognised_by_its_content(name: str) -> None:
    content = EVERY_KIND[name]
    kind = inspection.inspect(io.BytesIO(content), name=name, size=len(content))
    assert name.lower().rpartition(".")[2] in kind.endings


@pytest.mark.parametrize("name", EVERY_KIND)
def test_no_kind_passes_for_another(name: str) -> None:
    content = EVERY_KIND[name]
    kind = inspection.inspect(io.BytesIO(content), name=name, size=len(content))
    for ending in {"pdf", "png", "jpg", "docx", "xlsx", "pptx", "hwp", "hwpx", "zip"} - set(kind.endings):
        assert refusal(content, f"x.{ending}") == ("file_type_refused", "")


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"MZ\x90\0" + bytes(600), "plan.pdf", ("file_unsafe", "program")),
        (b"\x7fELF" + bytes(600), "note.txt", ("file_unsafe", "program")),
        (b"#!/bin/sh\nrm -rf /\n", "note.txt", ("file_unsafe", "program")),
        (archive({"setup.exe": b"x"}), "all.zip", ("file_unsafe", "program")),
        (archive({"setup": b"MZ\x90\0"}), "all.zip", ("file_unsafe", "program")),
        (archive({"in.zip": archive({"a.bat": b"x"})}), "all.zip", ("file_unsafe", "program")),
        (archive({"../../etc/passwd": b"x"}), "all.zip", ("file_unsafe", "path")),
        (archive({"/etc/passwd": b"x"}), "all.zip", ("file_unsafe", "path")),
        (archive({"C:\\autorun.txt": b"x"}), "all.zip", ("file_unsafe", "path")),
        (office("docx", {"word/vbaProject.bin": b"x"}), "plan.docx", ("file_unsafe", "macro")),
        (office("xlsx", {"xl/macrosheets/sheet1.xml": b"x"}), "a.xlsx", ("file_unsafe", "macro")),
        (hwp(flags=0b1001), "plan.hwp", ("file_unsafe", "macro")),
        (hwp(more={"BIN0001.eps": b"%!PS"}), "plan.hwp", ("file_unsafe", "macro")),
        (hwp(flags=0b11), "plan.hwp", ("file_encrypted", "")),
        (hwpx(b"<manifest><encryption-data/></manifest>"), "plan.hwpx", ("file_encrypted", "")),
        (pdf() + archive({"a.txt": b"x"}), "plan.pdf", ("file_unsafe", "double")),
        (png() + archive({"a.txt": b"x"}), "logo.png", ("file_unsafe", "double")),
        (png() + b"<script>", "logo.png", ("file_unsafe", "double")),
        (jpeg() + archive({"a.txt": b"x"}), "photo.jpg", ("file_unsafe", "double")),
        (png(60_000, 60_000), "logo.png", ("file_unsafe", "bomb")),
        (jpeg(60_000, 60_000), "photo.jpg", ("file_unsafe", "bomb")),
        (archive({"zeros.txt": bytes(64 << 20)}), "all.zip", ("file_unsafe", "bomb")),
        (archive({f"{n}": b"" for n in range(10_001)}), "all.zip", ("file_unsafe", "bomb")),
        (pdf()[:-20], "plan.pdf", ("file_damaged", "")),
        (png()[:-5], "logo.png", ("file_damaged", "")),
        (jpeg()[:-2], "photo.jpg", ("file_damaged", "")),
        (office("docx")[:-30], "plan.docx", ("file_damaged", "")),
        (hwp()[:600], "plan.hwp", ("file_damaged", "")),
        (archive({}), "all.zip", ("file_damaged", "")),
        (b"GIF89a" + bytes(20), "a.png", ("file_type_refused", "")),
        (b"a,b\n\x00\n", "a.csv", ("file_type_refused", "")),
        (b"<svg onload=x>", "a.svg", ("file_type_refused", "")),
        (b" %PDF-1.4 behind a space", "a.pdf", ("file_type_refused", "")),
    ],
)
def test_what_could_harm_or_mislead_is_refused_by_name(content: bytes, name: str, expected: tuple) -> None:
    assert refusal(content, name) == expected


def test_a_password_on_an_archive_is_named() -> None:
    content = bytearray(archive({"a.txt": b"text"}))
    content[6] |= 1
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    assert refusal(bytes(content), "all.zip") == ("file_encrypted", "")


def test_an_office_document_with_a_password_is_named() -> None:
    from .samples import compound

    content = compound({"EncryptedPackage": b"x", "EncryptionInfo": b"x"})
    assert refusal(content, "plan.docx") == ("file_encrypted", "")


def test_an_archive_in_an_archive_in_an_archive_is_refused() -> None:
    content = b"text"
    for name in ("a.txt", "1.zip", "2.zip", "3.zip"):
        content = archive({name: content}, method=zipfile.ZIP_STORED)
    assert refusal(content, "all.zip") == ("file_unsafe", "bomb")


def test_an_entry_that_holds_more_than_it_says_is_damage() -> None:
    content = bytearray(archive({"a.txt": b"0123456789"}, method=zipfile.ZIP_STORED))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (4).to_bytes(4, "little")
    assert refusal(bytes(content), "all.zip") == ("file_damaged", "")


@given(cut=st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_or_twisted_file_is_refused_and_never_a_failure(cut) -> None:
    name = cut.draw(st.sampled_from(sorted(EVERY_KIND)))
    content = bytearray(EVERY_KIND[name])
    place = cut.draw(st.integers(0, len(content) - 1))
    content[place] ^= cut.draw(st.integers(0, 255))
    content = content[: cut.draw(st.integers(1, len(content)))]
    try:
        inspection.inspect(io.BytesIO(bytes(content)), name=name, size=len(content))
    except Invalid as refused:
        assert refused.code in {"file_damaged", "file_type_refused", "file_unsafe", "file_encrypted"}  # noqa: PT017


# Storing


@pytest.mark.django_db
def test_a_file_lies_under_its_digest(folder: Path) -> None:
    content = EVERY_KIND["사업계획서.hwp"]
    view = store(content, "사업계획서.hwp")
    digest = hashlib.sha256(content).hexdigest()
    assert view == files.FileView(digest, "사업계획서.hwp", len(content), "application/vnd.hancom.hwp")
    assert lying_on_disk(folder) == [digest]
    with files.open(digest) as stream:
        assert stream.read() == content
    assert (folder / digest[:2] / digest).stat().st_mode & 0o777 == 0o400


@pytest.mark.django_db
def test_the_same_content_is_stored_once(folder: Path) -> None:
    assert store(pdf(), "a.pdf").sha256 == store(pdf(), "b.pdf").sha256
    assert StoredFile.objects.count() == len(lying_on_disk(folder)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "name", "options", "code"),
    [
        (b"", "plan.pdf", {}, "file_empty"),
        (pdf(bytes(3 << 20)), "plan.pdf", {"max_bytes": 2 << 20}, "file_too_large"),
        (pdf(), "plan", {}, "file_type_refused"),
        (pdf(), "plan.exe", {}, "file_type_refused"),
        (pdf(), "plan.pdf", {"allowed": {"hwp", "image/png"}}, "file_type_refused"),
        (pdf(), "", {}, "file_name_invalid"),
        (pdf(), "a\0.pdf", {}, "file_name_invalid"),
        (pdf(), "fdp\u202efdp.exe.pdf", {}, "file_name_invalid"),
        (pdf(), "a" * 200 + ".pdf", {}, "file_name_invalid"),
        (pdf(), ".pdf", {}, "file_name_invalid"),
        (inspection.EICAR, "note.txt", {}, "file_unsafe"),
        (pdf(bytes(65_530) + inspection.EICAR), "plan.pdf", {}, "file_unsafe"),
        (archive({"a.txt": inspection.EICAR}), "all.zip", {}, "file_unsafe"),
    ],
)
def test_a_refused_file_leaves_nothing(
    folder: Path, content: bytes, name: str, options: dict, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        store(content, name, **options)
    assert refused.value.code == code
    assert (lying_on_disk(folder), StoredFile.objects.count()) == ([], 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("C:\\Users\\kim\\plan.pdf", "plan.pdf"),
        ("../../plan.pdf", "plan.pdf"),
        ("\u1112\u1161\u11ab.pdf", "한.pdf"),
        ("  plan.pdf ", "plan.pdf"),
    ],
)
def test_a_name_is_a_name_alone(given: str, kept: str) -> None:
    assert store(pdf(), given).name == kept


@pytest.mark.django_db
def test_a_form_that_allows_a_kind_that_is_not_there_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        store(pdf(), allowed={"pdf", "exe"})


@pytest.mark.django_db(transaction=True)
def test_a_file_belongs_to_a_transaction() -> None:
    with pytest.raises(RuntimeError):
        files.store(stream=io.BytesIO(pdf()), name="plan.pdf")


@pytest.mark.django_db
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(folder: Path, number: int) -> None:
    with patch.object(os, "fsync", side_effect=OSError(number, "full")), pytest.raises(DureError) as refused:
        store(pdf())
    assert (refused.value.code, refused.value.status) == ("storage_full", 507)
    assert (lying_on_disk(folder), StoredFile.objects.count()) == ([], 0)


@pytest.mark.django_db
def test_a_large_file_passes_in_pieces() -> None:
    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size <= 1 << 20, "read whole"
            return super().read(size)

    content = pdf(bytes(8 << 20))
    with transaction.atomic():
        view = files.store(stream=Watched(content), name="long.pdf")
    assert view.size == len(content)


@pytest.mark.django_db
@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "é" * 64])
def test_what_is_not_there_is_not_found(digest: str) -> None:
    assert not files.exists(digest)
    with pytest.raises(NotFound):
        files.open(digest)


@pytest.mark.django_db
def test_a_download_cannot_act_as_a_page() -> None:
    view = store(b"<script>alert(1)</script>", "이름 'x'.txt")
    answer = files.response(view.sha256, view.name)
    assert answer.getvalue() == b"<script>alert(1)</script>"
    assert answer["Content-Disposition"] == ("attachment; filename*=utf-8''%EC%9D%B4%EB%A6%84%20%27x%27.txt")
    assert answer["Content-Type"] == "text/plain"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Content-Length"] == str(view.size)
    answer.close()


# Sweeping


@pytest.mark.django_db
def test_a_file_that_is_held_stays_and_goes_when_it_is_released(folder: Path) -> None:
    held, loose = store(pdf()), store(png(), "logo.png")
    files.keep(held.sha256, owner_kind="answer", owner_id=7)
    files.keep(held.sha256, owner_kind="answer", owner_id=7)
    assert files.owners(held.sha256) == [("answer", "7")]
    assert files.sweep() == 0, "a day's grace, for the transaction that is under way"
    assert files.sweep(before=clock.now() + DAY) == 1
    assert lying_on_disk(folder) == [held.sha256]
    assert not files.exists(loose.sha256)
    files.release(held.sha256, owner_kind="answer", owner_id=7)
    assert files.sweep() == 0, "released just now"
    assert files.sweep(before=clock.now() + DAY) == 1
    assert (lying_on_disk(folder), StoredFile.objects.count(), FileOwner.objects.count()) == ([], 0, 0)


@pytest.mark.django_db(transaction=True)
def test_what_a_rolled_back_transaction_left_is_swept(folder: Path) -> None:
    with transaction.atomic():
        store(pdf())
        transaction.set_rollback(True)
    assert (len(lying_on_disk(folder)), StoredFile.objects.count()) == (1, 0)
    (folder / "incoming").mkdir(exist_ok=True)
    tempfile.NamedTemporaryFile(dir=folder / "incoming", delete=False).close()
    assert files.sweep() == 0
    assert files.sweep(before=clock.now() + DAY) == 1
    assert lying_on_disk(folder) == []


@pytest.mark.django_db(transaction=True)
def test_a_sweep_leaves_what_is_being_handed_in_again(folder: Path) -> None:
    view = store(pdf())
    swept: list[int] = []

    def sweep() -> None:
        try:
            swept.append(files.sweep(before=clock.now() + DAY))
        finally:
            connections.close_all()

    with transaction.atomic():
        again = files.store(stream=io.BytesIO(pdf()), name="again.pdf")
        files.keep(again.sha256, owner_kind="answer", owner_id=1)
        thread = threading.Thread(target=sweep)
        thread.start()
        thread.join(timeout=20)
    assert swept == [0]
    assert lying_on_disk(folder) == [view.sha256]


@pytest.mark.django_db(transaction=True)
def test_many_hand_in_the_same_file_at_once(folder: Path) -> None:
    failures: list[Exception] = []

    def hand_in(number: int) -> None:
        try:
            with transaction.atomic():
                view = files.store(stream=io.BytesIO(pdf()), name="plan.pdf")
                files.keep(view.sha256, owner_kind="answer", owner_id=number)
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=hand_in, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (len(lying_on_disk(folder)), FileOwner.objects.count()) == (1, 8)
    connection.close()
