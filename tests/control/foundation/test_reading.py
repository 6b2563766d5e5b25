"""What is asked once while a page is read, and when it is asked again."""

from collections.abc import Collection

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from dure.control.foundation import audit, reading
from dure.control.foundation.actors import Actor


class Asked:
    """Selectors that count how often they are really asked."""

    def __init__(self) -> None:
        self.times: list[object] = []

        @reading.once_a_page
        def square(number: int, *, refuse: bool = False) -> int:
            self.times.append(number)
            if refuse:
                raise LookupError
            return number * number

        @reading.once_each
        def squares(numbers: Collection[int]) -> dict[int, int]:
            self.times.append(sorted(numbers))
            return {number: number * number for number in numbers if number >= 0}

        self.square, self.squares = square, squares


def test_the_same_question_is_asked_once_in_a_page() -> None:
    asked = Asked()
    with reading.one_page():
        assert [asked.square(2), asked.square(3), asked.square(2)] == [4, 9, 4]
    assert asked.times == [2, 3]


def test_outside_of_a_page_and_in_the_next_one_it_is_asked_again() -> None:
    asked = Asked()
    asked.square(2), asked.square(2)
    for _page in range(2):
        with reading.one_page():
            asked.square(2), asked.square(2)
    assert asked.times == [2, 2, 2, 2]


def test_a_refusal_is_not_remembered() -> None:
    asked = Asked()
    with reading.one_page():
        for _turn in range(2):
            with pytest.raises(LookupError):
                asked.square(2, refuse=True)
    assert asked.times == [2, 2]


def test_by_id_only_what_is_missing_is_asked_for() -> None:
    asked = Asked()
    with reading.one_page():
        assert asked.squares([1, 2]) == {1: 1, 2: 4}
        assert asked.squares([2, -1, 3, 2]) == {2: 4, 3: 9}
        assert asked.squares([-1, 3]) == {3: 9}
        assert asked.squares([]) == {}
    assert asked.times == [[1, 2], [-1, 3]]


def test_what_a_page_got_is_its_own_to_change() -> None:
    asked = Asked()
    with reading.one_page():
        asked.squares([1, 2]).clear()
        assert asked.squares([1, 2]) == {1: 1, 2: 4}


@pytest.mark.usefixtures("db")
def test_a_change_makes_everything_forgotten() -> None:
    asked = Asked()
    with reading.one_page(), transaction.atomic():
        asked.square(2), asked.squares([1])
        audit.record(actor=Actor.system("test"), action="test.changed", subject_kind="test", subject_id=1)
        asked.square(2), asked.squares([1])
    assert asked.times == [2, [1], 2, [1]]


@pytest.mark.parametrize(
    ("method", "times"), [("GET", 1), ("HEAD", 1), ("POST", 2), ("PUT", 2), ("DELETE", 2)]
)
def test_only_a_request_that_reads_is_a_page(method: str, times: int) -> None:
    asked, request = Asked(), HttpRequest()
    request.method = method

    def view(_request: HttpRequest) -> HttpResponse:
        asked.square(2), asked.square(2)
        return HttpResponse()

    reading.ReadingMiddleware(view)(request)
    assert len(asked.times) == times
