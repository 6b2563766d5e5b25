"""What a file is, found in its bytes; a name is only what somebody claims.

Only the kinds in `kinds.KINDS` are recognised, each by its own structure rather than by its first bytes alone, so
nothing else can pass as one of them. References: ISO 32000 (PDF), ISO/IEC 15948 (PNG), ITU-T T.81 (JPEG),
APPNOTE 6.3 (ZIP), ISO/IEC 29500-2 (OOXML packages), KS X 6101 (HWPX), Hancom's "HWP document file format 5.0".
"""

import codecs
import errno
import re
import struct
import tempfile
import zipfile
import zlib
from typing import BinaryIO, cast

import olefile

from dure.control.foundation.errors import Invalid
from dure.control.foundation.files import kinds
from dure.control.foundation.files.kinds import KINDS, Kind

CHUNK = 1 << 16
MOST_ENTRIES = 10_000
MOST_UNPACKED = 400 << 20
#: Beyond the first ten MiB, nothing that people write shrinks to less than a hundredth.
FREE_UNPACKED, MOST_RATIO = 10 << 20, 100
DEEPEST_ARCHIVE = 2
MOST_PIXELS = 200_000_000
#: https://www.eicar.org/download-anti-malware-testfile/, in two halves so that no scanner stops at this source.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_PNG = b"\x89PNG\r\n\x1a\n"
_ZIP, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_PROGRAM_HEADS = (
    *(b"MZ", b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf", b"dex\n"),
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    *(b"L\x00\x00\x00\x01\x14\x02\x00", b"\x00asm"),
)
_PROGRAM_ENDINGS = frozenset(
    "exe dll sys com scr pif cpl bat cmd ps1 psm1 vbs vbe js jse wsf wsh hta msi msp jar class dex apk ipa app"
    " elf so dylib sh bash csh lnk reg iso img vhd".split()
)
_OOXML_PARTS = {
    b"wordprocessingml.document.main+xml": "docx",
    b"spreadsheetml.sheet.main+xml": "xlsx",
    b"presentationml.presentation.main+xml": "pptx",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class Budget:
    """How much may still be unpacked of one upload, archives in archives included."""

    def __init__(self, size: int) -> None:
        self.left = min(MOST_UNPACKED, FREE_UNPACKED + size * MOST_RATIO)

    def take(self, count: int, name: str) -> None:
        self.left -= count
        if self.left < 0:
            raise kinds.unsafe(name, "bomb")


def inspect(file: BinaryIO, *, name: str, size: int) -> Kind:
    """The kind that content and name agree on; `Invalid` says why there is none. `file` is left anywhere."""
    claimed = kinds.kind_of_name(name)
    found = _recognise(file, name=name, size=size, budget=Budget(size), depth=0)
    if found is None or claimed is None:
        raise kinds.type_refused(name, KINDS.values())
    if found.key == "txt" and claimed.key == "csv":
        return claimed
    if found != claimed:
        raise kinds.type_refused(name, KINDS.values(), found)
    return found


def _recognise(file: BinaryIO, *, name: str, size: int, budget: Budget, depth: int) -> Kind | None:
    file.seek(0)
    head = file.read(512)
    if head.startswith(_PROGRAM_HEADS) or _ending(name) in _PROGRAM_ENDINGS:
        raise kinds.unsafe(name, "program")
    if head.startswith((_ZIP, _EMPTY_ZIP)):
        return _archive(file, name=name, budget=budget, depth=depth)
    if head.startswith(_OLE):
        return _compound(file, name)
    if head.startswith(b"%PDF-"):
        kind = _pdf(file, name, size)
    elif head.startswith(_PNG):
        kind = _png(file, name, size)
    elif head.startswith(b"\xff\xd8\xff"):
        kind = _jpeg(file, name)
    elif head and _is_text(file):
        kind = KINDS["txt"]
    else:
        return None
    if _has_archive_behind(file):
        raise kinds.unsafe(name, "double")
    return kind


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _pdf(file: BinaryIO, name: str, size: int) -> Kind:
    """Complete at both ends; where its cross-reference table says, PDF readers find the rest."""
    file.seek(max(0, size - 4096))
    tail = file.read(4096)
    if b"%%EOF" not in tail or b"startxref" not in tail:
        raise kinds.damaged(name)
    return KINDS["pdf"]


def _png(file: BinaryIO, name: str, size: int) -> Kind:
    """Chunk by chunk to IEND, behind which nothing may stand."""
    file.seek(len(_PNG))
    first = True
    while True:
        header = file.read(8)
        if len(header) < 8:
            raise kinds.damaged(name)
        length, kind = struct.unpack(">I4s", header)
        if first != (kind == b"IHDR"):
            raise kinds.damaged(name)
        if kind == b"IHDR":
            sizes = file.read(8)
            if len(sizes) < 8 or length < 8:
                raise kinds.damaged(name)
            width, height = struct.unpack(">II", sizes)
            if width * height > MOST_PIXELS:
                raise kinds.unsafe(name, "bomb")
            length -= 8
        first = False
        place = file.seek(length + 4, 1)
        if place > size:
            raise kinds.damaged(name)
        if kind == b"IEND":
            if place != size:
                raise kinds.unsafe(name, "double")
            return KINDS["png"]


def _jpeg(file: BinaryIO, name: str) -> Kind:
    """Segment by segment to the scan. Cameras put previews behind the end, so what follows is only searched for
    archives."""
    file.seek(2)
    while _jpeg_segment(file, name) != 0xDA:
        pass
    previous = b""
    while chunk := file.read(CHUNK):
        if b"\xff\xd9" in previous + chunk:
            return KINDS["jpg"]
        previous = chunk[-1:]
    raise kinds.damaged(name)


def _jpeg_segment(file: BinaryIO, name: str) -> int:
    """Step over one segment; its mark."""
    mark = file.read(2)
    while mark == b"\xff\xff":  # fill bytes
        mark = mark[1:] + file.read(1)
    length = int.from_bytes(file.read(2))
    if len(mark) < 2 or mark[0] != 0xFF or length < 2:
        raise kinds.damaged(name)
    segment = file.read(length - 2)
    if 0xC0 <= mark[1] <= 0xCF and mark[1] not in {0xC4, 0xC8, 0xCC}:
        if len(segment) < 5:
            raise kinds.damaged(name)
        _precision, height, width = struct.unpack(">BHH", segment[:5])
        if width * height > MOST_PIXELS:
            raise kinds.unsafe(name, "bomb")
    return mark[1]


def _is_text(file: BinaryIO) -> bool:
    """UTF-8, UTF-16 with its mark, or CP949 as Korean spreadsheets still write it; without control characters."""
    file.seek(0)
    head = file.read(4)
    names = ("utf-16",) if head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else ("utf-8-sig", "cp949")
    return any(_decodes(file, encoding) for encoding in names)


def _decodes(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(CHUNK):
            if _CONTROL.search(decoder.decode(chunk)):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _has_archive_behind(file: BinaryIO) -> bool:
    """Whether a program that reads archives from their end would find one here."""
    try:
        with zipfile.ZipFile(file) as archive:
            return bool(archive.infolist())
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, OSError, EOFError, NotImplementedError):
        return False


# Archives


def _archive(file: BinaryIO, *, name: str, budget: Budget, depth: int) -> Kind:
    if depth > DEEPEST_ARCHIVE:
        raise kinds.unsafe(name, "bomb")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_entries(entries, name)
            kind = _package_kind(archive, name, budget)
            for entry in entries:
                _unpack(archive, entry, name=name, budget=budget, depth=depth, plain=kind.key == "zip")
    except (
        *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, ValueError, struct.error),
        *(NotImplementedError, RuntimeError, OSError, KeyError),
    ) as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise kinds.damaged(name) from None
    return kind


def _check_entries(entries: list[zipfile.ZipInfo], name: str) -> None:
    if not entries:
        raise kinds.damaged(name)
    if len(entries) > MOST_ENTRIES:
        raise kinds.unsafe(name, "bomb")
    if min(entry.header_offset for entry in entries) != 0:
        raise kinds.unsafe(name, "double")
    for entry in entries:
        if entry.flag_bits & 0x41:  # encrypted, or strongly encrypted
            raise kinds.encrypted(name)
        parts = re.split(r"[/\\]", entry.filename)
        if entry.filename.startswith(("/", "\\")) or ".." in parts or ":" in entry.filename:
            raise kinds.unsafe(name, "path")
        if (entry.external_attr >> 16) & 0o170000 == 0o120000:  # a symbolic link
            raise kinds.unsafe(name, "path")
        lower = entry.filename.lower()
        if lower.endswith("vbaproject.bin") or "/macrosheets/" in lower:
            raise kinds.unsafe(name, "macro")


def _package_kind(archive: zipfile.ZipFile, name: str, budget: Budget) -> Kind:
    """Office documents are archives that say what they are in a part of their own."""
    names = set(archive.namelist())
    if "[Content_Types].xml" in names:
        types = _read(archive, "[Content_Types].xml", name, budget)
        if b"macroenabled" in types.lower():
            raise kinds.unsafe(name, "macro")
        found = {key for part, key in _OOXML_PARTS.items() if part in types}
        if len(found) != 1 or "_rels/.rels" not in names:
            raise kinds.damaged(name)
        return KINDS[found.pop()]
    if "mimetype" in names and "Contents/content.hpf" in names:
        if _read(archive, "mimetype", name, budget).strip() != b"application/hwp+zip":
            raise kinds.damaged(name)
        if b"encryption-data" in (
            _read(archive, "META-INF/manifest.xml", name, budget) if "META-INF/manifest.xml" in names else b""
        ):
            raise kinds.encrypted(name)
        return KINDS["hwpx"]
    return KINDS["zip"]


def _read(archive: zipfile.ZipFile, part: str, name: str, budget: Budget) -> bytes:
    with archive.open(part) as stream:
        content = stream.read(1 << 20)
    budget.take(len(content), name)
    return content


def _unpack(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, name: str, budget: Budget, depth: int, plain: bool
) -> None:
    """Read an entry to its end, so that sizes and checksums are facts; look into archives within."""
    if entry.is_dir():
        return
    if plain and _ending(entry.filename) in _PROGRAM_ENDINGS:
        raise kinds.unsafe(name, "program")
    with archive.open(entry) as stream, tempfile.SpooledTemporaryFile(max_size=1 << 20) as kept:
        head = stream.read(CHUNK)
        nested = head.startswith(_ZIP)
        if plain and head.startswith(_PROGRAM_HEADS):
            raise kinds.unsafe(name, "program")
        watch = Watch(name)
        chunk, count = head, 0
        while chunk:
            budget.take(len(chunk), name)
            watch.see(chunk)
            count += len(chunk)
            if nested:
                kept.write(chunk)
            chunk = stream.read(CHUNK)
        if nested:
            # What cannot be opened as an archive is no archive: a picture of bytes, as some embedded fonts are.
            try:
                _archive(cast("BinaryIO", kept), name=name, budget=budget, depth=depth + 1)
            except Invalid as refusal:
                if refusal.code != "file_damaged":
                    raise


class Watch:
    """Looks for EICAR's test string in bytes that pass by, however they are cut."""

    def __init__(self, name: str) -> None:
        self._name, self._tail = name, b""

    def see(self, chunk: bytes) -> None:
        window = self._tail + chunk
        if EICAR in window:
            raise kinds.unsafe(self._name, "virus")
        self._tail = window[-(len(EICAR) - 1) :]


# Compound files (OLE)


def _compound(file: BinaryIO, name: str) -> Kind | None:
    """HWP 5.0; also how an Office document is wrapped when it has a password."""
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as found:
            if found.exists("EncryptedPackage"):
                raise kinds.encrypted(name)
            if not found.exists("FileHeader"):
                return None
            header = found.openstream("FileHeader").read(40)
            entries = ["/".join(path).lower() for path in found.listdir()]
    except (OSError, ValueError, IndexError, struct.error, TypeError, AttributeError, RecursionError):
        raise kinds.damaged(name) from None
    if not header.startswith(b"HWP Document File") or len(header) < 40:
        return None
    flags = int.from_bytes(header[36:40], "little")
    if flags & 0b10010:  # a password, or Hancom's rights management
        raise kinds.encrypted(name)
    # Scripts, and PostScript in pictures, are how harmful HWP documents have worked.
    if flags & 0b1000 or any(entry.endswith((".eps", ".ps")) for entry in entries):
        raise kinds.unsafe(name, "macro")
    return KINDS["hwp"]
