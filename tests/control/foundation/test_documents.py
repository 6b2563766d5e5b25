"""Documents: tagged, in Korean, the same bytes for the same data, and nothing that a person wrote is markup."""

import io

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from dure.control.foundation import documents
from dure.control.foundation.documents.coverage import characters

DATA = {
    "title": "통화 요약 서비스",
    "subtitle": "2차 공모",
    "meta": [["신청 번호", "2026-AI-000123"]],
    "sections": [
        {
            "title": "사업 개요",
            "fields": [
                {"label": "목적", "text": "상담원의 일을 덥니다.\n둘째 줄"},
                {"label": "선택", "list": ["요약", "분류"]},
                {"label": "예산", "table": [["비목", "금액"], ["사용료", "1,000원"]]},
            ],
        }
    ],
    "footer": "2026-AI-000123",
}


def read(data: dict, language: str = "ko") -> PdfReader:
    with translation.override(language):
        return PdfReader(io.BytesIO(documents.pdf("document", data)))


def text(reader: PdfReader) -> str:
    return "\n".join(page.extract_text() for page in reader.pages)


def tags(node) -> set[str]:
    """The kinds of structure element below a node."""
    found = {node["/S"]} if "/S" in node else set()
    children = node.get("/K", [])
    for named in children if isinstance(children, list) else [children]:
        child = named.get_object() if hasattr(named, "get_object") else named
        if isinstance(child, dict):
            found |= tags(child)
    return found


def test_everything_is_on_the_page() -> None:
    lines = text(read(DATA)).splitlines()
    for said in ("통화 요약 서비스", "2차 공모", "사업 개요", "목적", "상담원의 일을 덥니다.", "둘째 줄"):
        assert said in lines
    whole = "".join(lines)
    for said in ("2026-AI-000123", "요약", "분류", "비목", "1,000원", "1 / 1", documents.digest_of(DATA)):
        assert said in whole


def test_a_screen_reader_finds_its_way() -> None:
    reader = read(DATA)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712
    assert root["/Lang"].startswith("ko")
    assert "pdfuaid:part" in root["/Metadata"].get_data().decode()
    assert root["/ViewerPreferences"]["/DisplayDocTitle"] == True  # noqa: E712
    assert reader.metadata.title == "통화 요약 서비스"
    assert {"/H1", "/H2", "/H3", "/L", "/Table", "/TH", "/P"} <= tags(root["/StructTreeRoot"])
    assert read(DATA, "en").trailer["/Root"]["/Lang"].startswith("en")


def test_the_same_data_is_the_same_bytes() -> None:
    with translation.override("ko"):
        first = documents.pdf("document", DATA)
        assert documents.pdf("document", dict(reversed(DATA.items()))) == first
        assert documents.pdf("document", {**DATA, "footer": "2026-AI-000124"}) != first


@pytest.mark.parametrize(
    "written",
    [
        '#panic("out")',
        "*bold* _slanted_ `code`",
        "$ x^2 $",
        "= Heading",
        '#import "/config/settings.py"',
        "<label> @reference",
        "// comment",
        "https://example.kr",
        "\\",
        '"]}',
        "{{ 7*7 }}",
    ],
)
def test_what_a_person_wrote_is_no_markup(written: str) -> None:
    data = {"title": written, "meta": [[written, written]], "sections": [{"title": written, "fields": []}]}
    # How far apart signs stand is for the reader of a PDF to guess.
    assert "".join(text(read(data)).split()).count("".join(written.split())) >= 4


@given(
    st.recursive(
        st.text(st.characters(codec=None, exclude_categories=[])),
        lambda inner: st.lists(inner, min_size=1, max_size=3),
        max_leaves=3,
    )
)
@settings(max_examples=40, deadline=None)
def test_any_text_can_be_set(written) -> None:
    flat = written if isinstance(written, str) else str(written)
    data = {
        "title": flat or "x",
        "meta": [[flat, flat]],
        "sections": [
            {
                "title": flat,
                "fields": [{"label": flat, "text": flat, "list": [flat], "table": [[flat], [flat]]}],
            }
        ],
        "footer": flat,
    }
    assert read(data).pages


def test_what_the_font_lacks_is_named_and_what_it_has_is_shown() -> None:
    assert documents.set_text("漢字 ① 😀 a\u0000b\u200b\u202e") == "漢字 ① (U+1F600) ab\u200b"
    assert documents.set_text("\u1112\u1161\u11ab\r\n\t.") == "한\n    ."


def test_a_digest_comes_out_whole_and_a_long_run_breaks() -> None:
    digest = "0123456789abcdef" * 4
    assert digest in text(read({"title": "x", "meta": [["SHA-256", digest]]}))
    assert documents.set_text("a" * 80) == "a" * 35 + "\u200b" + "a" * 35 + "\u200b" + "a" * 10


def test_a_table_runs_over_pages_and_repeats_its_head() -> None:
    rows = [["이름", "몫"], *[[f"사람 {number}", "1 %"] for number in range(120)]]
    reader = read({"title": "x", "sections": [{"title": "사람", "fields": [{"label": "표", "table": rows}]}]})
    assert [page.extract_text().count("이름") for page in reader.pages] == [1] * len(reader.pages)
    assert len(reader.pages) > 2


@pytest.mark.parametrize("name", ["nothing", "../settings", "identity/nothing", "Document", ""])
def test_a_template_that_is_not_there_is_our_mistake(name: str) -> None:
    with pytest.raises(KeyError):
        documents.pdf(name, DATA)


def test_what_is_no_font_is_refused() -> None:
    with pytest.raises(ValueError, match="no OpenType"):
        characters(b"wOF2" + bytes(20))
