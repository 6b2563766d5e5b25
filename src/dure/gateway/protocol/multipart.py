"""An upload (multipart/form-data, RFC 7578 and RFC 2046 §5.1), read where it lies and passed on as it came.

The gateway needs little of an upload: a few short fields, where the file begins and ends, and one field
replaced by another name of the model. So the parts are found in the body as spans, nothing is copied, and a
change cuts one span out and leaves every other byte as it was. Libraries that read forms hand out the contents
and forget where they were; writing a form anew from those would lose what a provider may look at.

What we read decides what is charged, and the provider reads the same bytes with another parser. So everything
that parsers are known to read differently is refused: a line of the boundary anywhere but where a part ends,
bare line feeds around it, text before the first or behind the last part, names with escapes, a field that is
given twice, heads that are not plain.
"""

import re
from typing import NamedTuple, NoReturn

from dure.gateway.protocol.errors import Refusal

MAX_PARTS = 64
MAX_PART_HEAD_BYTES = 4096
#: What a field that is read here may have for a value; files may be as long as the body.
MAX_FIELD_BYTES = 64 << 10

_MULTIPART = b"multipart/form-data"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#: A parameter of a header: `; name=token` or `; name="text"`. A quoted text has no escapes here: whether `\"` ends
#: it is what parsers disagree on.
_PARAMETER = re.compile(rb';[ \t]*(%b)=(?:(%b)|"([^"\r\n\0]*)")[ \t]*' % (_TOKEN, _TOKEN))
_HEADER = re.compile(rb"(%b):[ \t]*([^\r\n\0]*?)[ \t]*" % _TOKEN)
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TRANSFER_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})
_TEXT_CHARSETS = frozenset({b"utf-8", b"us-ascii"})
_PART_HEADERS = frozenset({b"content-disposition", b"content-type", b"content-transfer-encoding"})


class Part(NamedTuple):
    """One part of a form; its content is `body[start:end]`. `is_file`: whether it has a file's name."""

    name: str
    is_file: bool
    content_type: bytes
    start: int
    end: int


class Form(NamedTuple):
    body: bytes
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part | None:
        """The only part of that name."""
        found = [part for part in self.parts if part.name == name]
        if len(found) > 1:
            _invalid(f"the field '{name}' is given {len(found)} times; send it once", param=name)
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """A field's value; None where it is not given."""
        part = self.part(name)
        if part is None:
            return None
        if part.is_file:
            _invalid(f"the field '{name}' is a file; send it as text, without 'filename'", param=name)
        if part.end - part.start > MAX_FIELD_BYTES:
            _invalid(f"the field '{name}' is longer than {MAX_FIELD_BYTES} bytes", param=name)
        _check_text(part)
        try:
            return self.body[part.start : part.end].decode()
        except UnicodeDecodeError:
            _invalid(f"the field '{name}' is not UTF-8", param=name)

    def refuse_other_spellings(self, names: frozenset[str]) -> None:
        """Some providers read names without regard to case or blanks; `names` must be written exactly."""
        for part in self.parts:
            folded = part.name.strip().casefold()
            if folded != part.name and folded in names:
                _invalid(f"the field '{part.name}' must be written '{folded}'", param=part.name)

    def content(self, part: Part) -> memoryview:
        return memoryview(self.body)[part.start : part.end]

    def replaced(self, part: Part, value: bytes) -> list[bytes | memoryview]:
        """The body with another value in one part, in pieces to be joined."""
        view = memoryview(self.body)
        return [view[: part.start], value, view[part.end :]]


def boundary_of(content_type: bytes | None) -> bytes:
    """The boundary that a request's Content-Type names. Raises `Refusal` (400, 415)."""
    kind, semicolon, rest = (content_type or b"").partition(b";")
    if kind.strip(b" \t").lower() != _MULTIPART:
        raise Refusal(
            415,
            "unsupported_content_type",
            "This path takes a form with a file: send it with 'Content-Type: multipart/form-data'.",
        )
    parameters = _parameters(semicolon + rest)
    if parameters is None:
        _invalid("its Content-Type has parameters that cannot be read")
    boundary = parameters.get(b"boundary")
    if boundary is None:
        _invalid("its Content-Type names no boundary")
    if _BOUNDARY.fullmatch(boundary) is None:
        _invalid("its boundary is not one to 70 letters, digits or signs of RFC 2046")
    return boundary


def content_type_with(boundary: bytes) -> bytes:
    return b'multipart/form-data; boundary="%b"' % boundary


def read_form(body: bytes, boundary: bytes) -> Form:
    """The parts of a whole body. Raises `Refusal` (400) for whatever could be read in two ways."""
    dashes = b"--" + boundary
    parts: list[Part] = []
    if not body.startswith(dashes):
        _invalid("it does not begin with its boundary")
    position = len(dashes)
    while True:
        follows = body[position : position + 2]
        if follows == b"--":
            break
        if follows != b"\r\n":
            _invalid("its boundary also occurs within a part; choose a longer one")
        if len(parts) == MAX_PARTS:
            _invalid(f"it has more than {MAX_PARTS} parts")
        begin = position + 2
        found = body.find(dashes, begin)
        if found < 0:
            _invalid("it ends before its last boundary")
        if body[found - 2 : found] != b"\r\n" or found - 2 < begin:
            _invalid("its boundary also occurs within a part, or not on a line of its own")
        parts.append(_part(body, begin, found - 2))
        position = found + len(dashes)
    if body[position + 2 :] not in {b"", b"\r\n"}:
        _invalid("something follows its last boundary")
    form = Form(body, tuple(parts))
    _check_names(form)
    return form


def _part(body: bytes, begin: int, end: int) -> Part:
    """The part in `body[begin:end]`: header lines, an empty line, the content."""
    head_end = body.find(b"\r\n\r\n", begin, min(end, begin + MAX_PART_HEAD_BYTES) + 4)
    if head_end < 0 or head_end + 4 > end:
        _invalid(f"a part has no head that ends within {MAX_PART_HEAD_BYTES} bytes")
    headers: dict[bytes, bytes] = {}
    for line in body[begin:head_end].split(b"\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None:
            _invalid("a part's head has a line that is not 'Name: value'")
        name = match[1].lower()
        if name in headers and name in _PART_HEADERS:
            _invalid(f"a part has two headers '{name.decode()}'")
        headers[name] = match[2]
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in _TRANSFER_ENCODINGS:
        _invalid("a part has a Content-Transfer-Encoding; send its content as it is")
    name_text, is_file = _disposition(headers.get(b"content-disposition", b""))
    return Part(name_text, is_file, headers.get(b"content-type", b""), head_end + 4, end)


def _disposition(value: bytes) -> tuple[str, bool]:
    kind, semicolon, rest = value.partition(b";")
    parameters = _parameters(semicolon + rest)
    if kind.strip(b" \t").lower() != b"form-data" or parameters is None:
        _invalid("a part's head has no readable 'Content-Disposition: form-data; name=\"…\"'")
    name = parameters.get(b"name")
    if not name or b"\\" in name or b"name*" in parameters:
        _invalid("a part has no plain name")
    if parameters.get(b"filename", b"").endswith(b"\\"):
        _invalid("a file's name ends with a backslash")
    try:
        return name.decode(), b"filename" in parameters or b"filename*" in parameters
    except UnicodeDecodeError:
        _invalid("a part's name is not UTF-8")


def _parameters(text: bytes) -> dict[bytes, bytes] | None:
    """`; name=value` again and again, names in lower case. None where it is anything else or a name is repeated."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            return None
        name = match[1].lower()
        if name in found:
            return None
        found[name] = match[2] if match[2] is not None else match[3]
        position = match.end()
    return found


def _check_names(form: Form) -> None:
    for part in form.parts:
        # `_charset_` (HTML) would change how the others are read.
        if part.name == "_charset_":
            _invalid("the field '_charset_' is not taken; all text is UTF-8")


def _check_text(part: Part) -> None:
    """Another character set could make another value of the same bytes."""
    kind, semicolon, rest = part.content_type.partition(b";")
    parameters = _parameters(semicolon + rest)
    if kind.strip(b" \t").lower() not in {b"", b"text/plain"} or parameters is None:
        _invalid(f"the field '{part.name}' is not plain text", param=part.name)
    if parameters.get(b"charset", b"utf-8").lower() not in _TEXT_CHARSETS:
        _invalid(f"the field '{part.name}' is not UTF-8", param=part.name)


def _invalid(detail: str, *, param: str | None = None) -> NoReturn:
    raise Refusal(
        400,
        "invalid_multipart",
        f"The request's body is not a form that can be read in one way only: {detail}.",
        param=param,
    )
