"""Small real files of every kind that is taken, made here byte by byte."""

import io
import struct
import zipfile
import zlib


def png(width: int = 1, height: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
        + chunk(b"IEND", b"")
    )


def jpeg(width: int = 1, height: int = 1) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return b"".join(
        [
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00",
            b"\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame,
            b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00\xff\xd9",
        ]
    )


def pdf(text: bytes = b"") -> bytes:
    return b"%PDF-1.7\n" + text + b"\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"


def archive(entries: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as writer:
        for name, content in entries.items():
            writer.writestr(name, content)
    return made.getvalue()


_MAIN = {
    "docx": "wordprocessingml.document",
    "xlsx": "spreadsheetml.sheet",
    "pptx": "presentationml.presentation",
}


def office(kind: str, more: dict[str, bytes] | None = None) -> bytes:
    content_type = f"application/vnd.openxmlformats-officedocument.{_MAIN[kind]}.main+xml"
    types = f'<Types><Override PartName="/main.xml" ContentType="{content_type}"/></Types>'
    return archive(
        {"[Content_Types].xml": types.encode(), "_rels/.rels": b"<Relationships/>", "main.xml": b"<x/>"}
        | (more or {})
    )


def hwpx(manifest: bytes = b"<manifest/>") -> bytes:
    return archive(
        {
            "mimetype": b"application/hwp+zip",
            "version.xml": b"<x/>",
            "Contents/content.hpf": b"<x/>",
            "META-INF/manifest.xml": manifest,
        }
    )


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file (MS-CFB, version 3) with each stream in sectors of its own."""
    sector, free, end = 512, 0xFFFFFFFF, 0xFFFFFFFE
    contents = [data.ljust(4096, b"\0") for data in streams.values()]  # 4096: none goes to the small sectors
    # Sectors: 0 allocation table, 1.. directory, then the streams.
    directory_sectors = -(-(len(streams) + 1) // 4)
    table = [0xFFFFFFFD, *range(2, 1 + directory_sectors), end]
    place, starts = 1 + directory_sectors, []
    for data in contents:
        count = len(data) // sector
        starts.append(place)
        table += [*range(place + 1, place + count), end]
        place += count
    assert len(table) <= 128
    table += [free] * (128 - len(table))

    def entry(name: str, kind: int, left: int, right: int, child: int, start: int, size: int) -> bytes:
        encoded = (name + "\0").encode("utf-16-le")
        return (
            encoded.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(encoded), kind, 1, left, right, child)
            + bytes(36)
            + struct.pack("<IQ", start, size)
        )

    entries = [entry("Root Entry", 5, free, free, 1, end, 0)]
    for number, (name, data) in enumerate(zip(streams, contents, strict=True), start=1):
        right = number + 1 if number < len(streams) else free
        entries.append(entry(name, 2, free, right, free, starts[number - 1], len(data)))
    directory = b"".join(entries).ljust(directory_sectors * sector, b"\0")
    header = (
        bytes.fromhex("d0cf11e0a1b11ae1")
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(6)
        + struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0)
        + struct.pack("<109I", 0, *[free] * 108)
    )
    return header + struct.pack("<128I", *table) + directory + b"".join(contents)


def hwp(flags: int = 1, more: dict[str, bytes] | None = None) -> bytes:
    header = b"HWP Document File".ljust(32, b"\0") + bytes([0, 0, 1, 5]) + struct.pack("<I", flags)
    return compound({"FileHeader": header, "DocInfo": b"", **(more or {})})


EVERY_KIND = {
    "plan.pdf": pdf(),
    "logo.png": png(),
    "photo.jpg": jpeg(),
    "photo.JPEG": jpeg(),
    "plan.docx": office("docx"),
    "budget.xlsx": office("xlsx"),
    "talk.pptx": office("pptx"),
    "사업계획서.hwp": hwp(),
    "사업계획서.hwpx": hwpx(),
    "table.csv": "이름,금액\n새벽,1000\n".encode("cp949"),
    "note.txt": "안녕하세요\n".encode(),
    "wide.txt": "안녕하세요\n".encode("utf-16"),
    "all.zip": archive({"a/b.txt": b"text", "c.pdf": pdf()}),
}
