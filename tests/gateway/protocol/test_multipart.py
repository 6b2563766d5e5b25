"""Forms with files: found where they lie, refused wherever two parsers could read two things."""

import email.parser
import email.policy
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.multipart import MAX_PARTS, boundary_of, content_type_with, read_form

BOUNDARY = b"----WebKitFormBoundaryAbC123"


def field(name: str, value: bytes, extra: bytes = b"", headers: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="%b"%b\r\n%b\r\n%b' % (name.encode(), extra, headers, value)


def form(*parts: bytes, boundary: bytes = BOUNDARY, end: bytes = b"--\r\n") -> bytes:
    joined = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return joined + b"--" + boundary + end


MODEL = field("model", b"whisper")
FILE = field("file", b"RIFF\r\n\0\xff", b'; filename="a.wav"', b"Content-Type: audio/wav\r\n")


def refused(body: bytes, read=lambda found: found) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(read_form(body, BOUNDARY))
    assert (caught.value.status, caught.value.code) == (400, "invalid_multipart")
    return caught.value


def test_fields_and_file_are_found_in_place():
    body = form(MODEL, FILE, field("language", "ko-한".encode()))
    found = read_form(body, BOUNDARY)
    assert [part.name for part in found.parts] == ["model", "file", "language"]
    assert found.text("model") == "whisper"
    assert found.text("language") == "ko-한"
    assert found.text("prompt") is None
    part = found.part("file")
    assert (part.is_file, part.content_type) == (True, b"audio/wav")
    assert bytes(found.content(part)) == b"RIFF\r\n\0\xff"


def test_one_field_is_replaced_and_every_other_byte_stays():
    body = form(FILE, MODEL, field("x", b"whisper"))
    found = read_form(body, BOUNDARY)
    changed = b"".join(found.replaced(found.part("model"), b"whisper-large-v3"))
    assert changed == body.replace(b'name="model"\r\n\r\nwhisper', b'name="model"\r\n\r\nwhisper-large-v3')


names = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\0'), min_size=1, max_size=20).filter(
    lambda name: name != "_charset_"
)
contents = st.binary(max_size=200).filter(lambda content: BOUNDARY not in content)


@given(st.lists(st.tuples(names, contents, st.booleans()), max_size=8), st.binary(max_size=20))
def test_any_parts_in_any_order_are_read_as_they_were_written(parts, other):
    body = form(
        *(field(name, content, b'; filename="f"' if is_file else b"") for name, content, is_file in parts)
    )
    found = read_form(body, BOUNDARY)
    assert [(part.name, bytes(found.content(part)), part.is_file) for part in found.parts] == parts
    for part in found.parts:
        changed = (
            read_form(b"".join(found.replaced(part, other)), BOUNDARY) if BOUNDARY not in other else None
        )
        if changed is not None:
            assert len(changed.parts) == len(parts)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.binary(max_size=40)), min_size=1, max_size=5))
def test_what_is_read_here_is_what_another_parser_reads(parts):
    """Python's own e-mail parser stands for the provider's."""
    parts = [(name, content.replace(b"\r", b"").replace(b"\n", b"")) for name, content in parts]
    body = form(*(field(name, content) for name, content in parts))
    found = read_form(body, BOUNDARY)
    head = b"Content-Type: " + content_type_with(BOUNDARY) + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    theirs = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]
    assert theirs == [(part.name, bytes(found.content(part))) for part in found.parts]


@given(st.data())
def test_a_body_that_was_cut_anywhere_is_refused_or_whole(data):
    body = form(MODEL, FILE)
    cut = data.draw(st.integers(0, len(body) - 1))
    if body[cut:] == b"\r\n":
        assert len(read_form(body[:cut], BOUNDARY).parts) == 2
    else:
        refused(body[:cut])


@given(st.data(), st.binary(min_size=1, max_size=8))
def test_a_body_that_was_damaged_is_read_or_refused_never_worse(data, noise):
    body = bytearray(form(MODEL, FILE))
    at = data.draw(st.integers(0, len(body)))
    body[at : at + len(noise)] = noise
    with suppress(Refusal):
        found = read_form(bytes(body), BOUNDARY)
        assert all(0 < part.start <= part.end <= len(body) for part in found.parts)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"preamble\r\n" + form(MODEL),
        b"\r\n" + form(MODEL),
        form(MODEL) + b"epilogue",
        form(MODEL, end=b"\r\n"),
        form(MODEL, end=b""),
        form(MODEL, end=b"-"),
        form(MODEL, end=b" --\r\n"),
        form(MODEL).replace(b"\r\n", b"\n"),
        form(MODEL, FILE).replace(b"\r\n--", b"\n--"),
        form(MODEL, FILE).replace(b"\r\n--", b"\r--"),
        form(field("a", b"x\n--" + BOUNDARY + b"\r\ny")),
        form(field("a", b"x--" + BOUNDARY)),
        form(field("a", b"x\r\n--" + BOUNDARY + b"more")),
        form(field("a", b"x\r\n--" + BOUNDARY + b" \r\ny")),
        form(b"no head"),
        form(b"\r\n\r\ncontent"),
        form(b"Content-Type: text/plain\r\n\r\ncontent"),
        form(b'Content-Disposition: attachment; name="a"\r\n\r\n1'),
        form(b"Content-Disposition: form-data\r\n\r\n1"),
        form(b'Content-Disposition: form-data; name=""\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="a"; name="b"\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="a"; NAME="b"\r\n\r\n1'),
        form(b"Content-Disposition: form-data; name=\"a\"; name*=utf-8''b\r\n\r\n1"),
        form(b'Content-Disposition: form-data; name="a\\"b"\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="a\\b"\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="f"; filename="a\\"; x="b"\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="f"; filename="a" b\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="a\r\n\r\n1'),
        form(b'Content-Disposition: form-data; name="\xff"\r\n\r\n1'),
        form(b'Content-Disposition: form-data;\r\n name="a"\r\n\r\n1'),
        form(b'Content-Disposition : form-data; name="a"\r\n\r\n1'),
        form(
            b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"\r\n\r\n1'
        ),
        form(field("a", b"1", headers=b"Content-Transfer-Encoding: base64\r\n")),
        form(field("a", b"1", headers=b"X: \0\r\n")),
        form(field("a", b"1", headers=b"X: a\nb\r\n")),
        form(field("a", b"1", headers=b"X: " + b"y" * 5000 + b"\r\n")),
        form(field("_charset_", b"utf-16")),
        form(*[MODEL] * (MAX_PARTS + 1)),
    ],
)
def test_whatever_could_be_read_in_two_ways_is_refused(body):
    refused(body)


@pytest.mark.parametrize(
    "parts",
    [
        (MODEL, MODEL),
        (field("model", b"a", b'; filename="m"'),),
        (field("model", b"a", b"; filename*=utf-8''m"),),
        (field("model", b"\xff"),),
        (field("model", b"a" * 70_000),),
        (field("model", b"a", headers=b"Content-Type: text/plain; charset=utf-16\r\n"),),
        (field("model", b"a", headers=b"Content-Type: application/json\r\n"),),
    ],
)
def test_a_field_that_is_read_here_is_plain_text_and_given_once(parts):
    refusal = refused(form(*parts), lambda found: found.text("model"))
    assert refusal.param == "model"


def test_a_field_may_say_that_it_is_plain_text():
    plain = field("model", b"a", headers=b'Content-Type: text/plain; charset="UTF-8"\r\n')
    assert read_form(form(plain), BOUNDARY).text("model") == "a"


def test_a_form_without_parts_or_a_last_line_end_is_one():
    assert read_form(b"--" + BOUNDARY + b"--", BOUNDARY).parts == ()
    assert len(read_form(form(MODEL, end=b"--"), BOUNDARY).parts) == 1


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data;boundary="a b:c"', b"a b:c"),
        (b"multipart/form-data; charset=utf-8; Boundary=abc", b"abc"),
    ],
)
def test_the_boundary_is_what_the_content_type_names(header, boundary):
    assert boundary_of(header) == boundary
    assert boundary_of(content_type_with(boundary)) == boundary


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 415),
        (b"", 415),
        (b"application/json", 415),
        (b"multipart/mixed; boundary=a", 415),
        (b"multipart/form-data", 400),
        (b"multipart/form-data; boundary=", 400),
        (b'multipart/form-data; boundary=""', 400),
        (b"multipart/form-data; boundary=a; boundary=b", 400),
        (b"multipart/form-data; boundary=a b", 400),
        (b'multipart/form-data; boundary="a ', 400),
        (b'multipart/form-data; boundary="a "', 400),
        (b'multipart/form-data; boundary="a<"', 400),
        (b"multipart/form-data; boundary=" + b"a" * 71, 400),
    ],
)
def test_a_request_without_one_clear_boundary_is_refused(header, status):
    with pytest.raises(Refusal) as caught:
        boundary_of(header)
    assert caught.value.status == status
