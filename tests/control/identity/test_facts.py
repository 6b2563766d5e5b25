"""The business registration number's arithmetic, and short names made from names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.control.foundation.errors import Invalid
from dure.control.identity import facts, romanisation

NINE = st.text("0123456789", min_size=9, max_size=9).filter(lambda text: text != "0" * 9)


def number(nine: str) -> str:
    """The registration number that these nine digits make."""
    return f"{nine}{facts.check_digit(nine)}"


def refusal(text: str) -> str:
    with pytest.raises(Invalid) as raised:
        facts.registration_number(text)
    assert raised.value.field == "registration_number"
    assert "123-45-67890" in str(raised.value.remedy)
    return raised.value.code


@pytest.mark.parametrize(
    "text", ["120-81-47521", "1208147521", " 120 81 47521 ", "120–81–47521", "124-81-00998"]
)
def test_numbers_of_known_companies_are_right_however_grouped(text: str) -> None:
    assert facts.shown_registration_number(facts.registration_number(text)) in {
        "120-81-47521",
        "124-81-00998",
    }


@pytest.mark.parametrize(
    "text", ["", "1", "12081475", "120-81-475211", "120-81-4752a", "١٢٠٨١٤٧٥٢١", "x" * 5000]
)
def test_what_has_not_ten_digits_is_refused_by_form(text: str) -> None:
    assert refusal(text) == "registration_number_form"


def test_the_number_of_nothing_is_refused() -> None:
    assert refusal("000-00-00000") == "registration_number_check_digit"


@given(NINE)
def test_of_ten_last_digits_one_is_right(nine: str) -> None:
    right = number(nine)
    assert facts.registration_number(right) == right
    for digit in "0123456789":
        if digit != right[9]:
            assert refusal(nine + digit) == "registration_number_check_digit"


@given(NINE, st.integers(0, 8), st.sampled_from("0123456789"))
def test_a_wrong_digit_among_the_first_eight_is_noticed(nine: str, place: int, digit: str) -> None:
    """Each weight but the last is prime to ten, so no single slip there stays unnoticed."""
    right = number(nine)
    if place < 8 and right[place] != digit:
        assert refusal(right[:place] + digit + right[place + 1 :]) == "registration_number_check_digit"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("하늘랩", "haneullaep"),
        ("주식회사 새벽소프트", "saebyeoksopeuteu"),
        ("(주)한빛 인공지능", "hanbit-ingongjineung"),
        ("Saebyeok Soft Inc.", "saebyeok-soft"),
        ("Café Déjà Vu", "cafe-deja-vu"),
        ("가람대학교 AI센터", "garamdaehakgyo-aisenteo"),
        ("주식회사", "organisation"),
        ("…", "organisation"),
        ("", "organisation"),
    ],
)
def test_a_name_becomes_a_short_name(name: str, slug: str) -> None:
    assert romanisation.slug_of(name) == slug


@given(st.text(max_size=300), st.integers(2, 10**6))
def test_any_name_makes_a_short_name_of_the_right_form(name: str, count: int) -> None:
    for slug in (romanisation.slug_of(name), romanisation.numbered(romanisation.slug_of(name), count)):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", slug)
