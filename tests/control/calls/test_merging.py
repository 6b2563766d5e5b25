"""Two people write at the same time, and neither loses a word."""

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.control.calls import forms
from dure.control.calls.forms.merging import CLOSE, OPEN


class TestText:
    @pytest.mark.parametrize(
        ("base", "mine", "theirs", "merged"),
        [
            ("a b", "a b", "a b", "a b"),
            ("a b", "a X b", "a b", "a X b"),
            ("a b", "a b", "a X b", "a X b"),
            ("a b", "a X b", "a X b", "a X b"),
            ("one two three", "ONE two three", "one two THREE", "ONE two THREE"),
            ("우리는 모델을 씁니다.", "우리는 큰 모델을 씁니다.", "우리는 모델을 자주 씁니다.", "우리는 큰 모델을 자주 씁니다."),
            ("a\nb\nc\n", "a\nX\nb\nc\n", "a\nb\nc\nY\n", "a\nX\nb\nc\nY\n"),
            ("a\nb\nc", "a\nc", "a\nb\nc\nd", "a\nc\nd"),
            ("a", "a\nmine", "a\ntheirs", "a\ntheirs\nmine"),
            ("", "mine first", "", "mine first"),
            ("a\r\nb", "a\nb X", "Y a\nb", "Y a\nb X"),
        ],
    )  # fmt: skip
    def test_edits_that_do_not_touch_are_joined(self, base: str, mine: str, theirs: str, merged: str) -> None:
        assert forms.merge_text(base, mine, theirs) == forms.Merged(merged)

    def test_both_stay_marked_where_both_changed_the_same_words(self) -> None:
        found = forms.merge_text("we use a model here", "we use two models here", "we use no model here")
        assert not found.clean
        assert found.text == "we use ⟦no⟧⟦two⟧ models here"

    def test_what_one_changed_and_the_other_removed_stays_marked(self) -> None:
        found = forms.merge_text("a b c d e", "a e", "a b X d e")
        assert not found.clean
        assert "X" in found.text
        assert found.text.startswith("a ")

    def test_two_windows_of_one_person_do_not_double_what_was_typed(self) -> None:
        assert forms.merge_text("", "안녕하세요 반갑", "안녕하세요") == forms.Merged("안녕하세요 반갑")
        assert forms.merge_text("", "안녕하세요", "안녕하세요 반갑") == forms.Merged("안녕하세요 반갑")

    def test_the_longest_texts_merge_within_a_second_or_two(self) -> None:
        base = "가나 다라 " * 7_000
        begun = time.monotonic()
        found = forms.merge_text(base, f"mine {base}", f"{base} theirs")
        assert found == forms.Merged(f"mine {base} theirs")
        same = "a " * 12_000
        rewritten = forms.merge_text(same, "b " * 12_000, f"{same[:999]}x{same[999:]}")
        assert "x" in rewritten.text
        blank = forms.merge_text("\n" * 20_000, "\nx" * 10_000, "y\n" * 10_000)
        assert blank.text.count("x") == blank.text.count("y") == 10_000
        assert time.monotonic() - begun < 5


_word = st.sampled_from(["a", "b", "우리", "모델", " ", "  ", "\n", ".", "\n\n"])
_text = st.lists(_word, max_size=25).map("".join)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str, str, list[str], list[str]]:
    """(base, mine, theirs, what I added, what they added): every addition can be told from all others."""
    base = draw(_text)
    texts, added = [], []
    for side in ("M", "T"):
        pieces = re.findall(r"\s+|\S+", base)
        mine: list[str] = []
        for number in range(draw(st.integers(0, 4))):
            start = draw(st.integers(0, len(pieces)))
            mine.append(f"{side}{number}")
            # Additions stand apart from the words around them, or are glued to them.
            glue = draw(st.sampled_from(["", " ", "\n"]))
            pieces[start : start + draw(st.integers(0, 3))] = [f"{glue}{side}{number}{glue}"]
        text = "".join(pieces)
        texts.append(text)
        added.append([word for word in mine if word in text])
    return base, texts[0], texts[1], added[0], added[1]


class TestAnyTexts:
    @settings(max_examples=600, deadline=None)
    @given(edited())
    def test_nothing_that_anybody_added_disappears(
        self, case: tuple[str, str, str, list[str], list[str]]
    ) -> None:
        base, mine, theirs, my_words, their_words = case
        found = forms.merge_text(base, mine, theirs)
        missing = [word for word in [*my_words, *their_words] if word not in found.text]
        assert missing == []

    @settings(max_examples=300, deadline=None)
    @given(_text, _text)
    def test_who_changes_alone_is_followed(self, base: str, changed: str) -> None:
        assert forms.merge_text(base, changed, base) == forms.Merged(changed)
        assert forms.merge_text(base, base, changed) == forms.Merged(changed)
        assert forms.merge_text(base, changed, changed) == forms.Merged(changed)

    @settings(max_examples=300, deadline=None)
    @given(_text, _text, _text)
    def test_marks_are_there_exactly_when_there_is_a_conflict(
        self, base: str, mine: str, theirs: str
    ) -> None:
        found = forms.merge_text(base, mine, theirs)
        assert (OPEN in found.text) == (not found.clean)
        assert found.text.count(OPEN) == found.text.count(CLOSE)

    @settings(max_examples=300, deadline=None)
    @given(_text, _text, _text)
    def test_saving_what_was_merged_again_changes_nothing(self, base: str, mine: str, theirs: str) -> None:
        merged = forms.merge_text(base, mine, theirs).text
        assert forms.merge_text(theirs, merged, theirs) == forms.Merged(merged)

    @settings(max_examples=300, deadline=None)
    @given(_text, _text, _text)
    def test_every_word_of_the_result_was_somebodys(self, base: str, mine: str, theirs: str) -> None:
        words = set(re.findall(r"[^\s⟦⟧]+", forms.merge_text(base, mine, theirs).text))
        known = f"{base}{mine}{theirs}"
        assert all(set(word) <= set(known) for word in words)


def one(kind: str) -> forms.Field:
    return forms.Field("f", kind, "f", "f")


class TestAnswers:
    @pytest.mark.parametrize(
        ("kind", "base", "mine", "theirs", "merged", "clean"),
        [
            ("won", 1, 2, 1, 2, True),
            ("won", 1, 1, 2, 2, True),
            ("won", 1, 2, 3, 2, False),
            ("won", None, 2, 3, 2, False),
            ("yes_no", None, True, True, True, True),
            ("text", None, "a", "b", "⟦b⟧⟦a⟧", False),
            ("choices", ["a", "b"], ["a", "c"], ["a", "b", "d"], ["a", "d", "c"], True),
            ("choices", None, ["a"], ["b"], ["b", "a"], True),
            ("table", [{"x": 1}], [{"x": 1}, {"x": 2}], [{"x": 3}, {"x": 1}], [{"x": 3}, {"x": 1}, {"x": 2}], True),
            ("table", [{"x": 1}], [{"x": 2}], [{"x": 3}], [{"x": 3}, {"x": 2}], False),
            ("table", [{"x": 1}], [], [{"x": 3}], [{"x": 3}], False),
            ("budget", [], [{"line": "a", "won": 1}], [{"line": "b", "won": 2}], [{"line": "b", "won": 2}, {"line": "a", "won": 1}], True),
            ("table", [{"x": 1}], "nonsense", [{"x": 3}], "nonsense", False),
        ],
    )  # fmt: skip
    def test_each_kind_in_its_way(
        self, kind: str, base: Any, mine: Any, theirs: Any, merged: Any, clean: bool
    ) -> None:
        found = forms.merge_answer(one(kind), base, mine, theirs)
        assert (found.value, found.clean) == (merged, clean)

    def test_a_single_value_that_would_be_lost_is_handed_back(self) -> None:
        assert forms.merge_answer(one("won"), 1, 2, 3).theirs == 3

    _rows = st.lists(st.fixed_dictionaries({"x": st.integers(0, 5)}), max_size=6)

    @settings(max_examples=300, deadline=None)
    @given(_rows, _rows, _rows)
    def test_no_row_that_anybody_added_disappears(
        self, base: list[Any], mine: list[Any], theirs: list[Any]
    ) -> None:
        found = forms.merge_answer(one("table"), base, mine, theirs)
        for row in [*mine, *theirs]:
            if row not in base:
                assert row in found.value
