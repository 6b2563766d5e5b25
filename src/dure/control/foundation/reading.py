"""While one page is read, the same question has the same answer and is asked once.

Several parts of a page, in several rooms, want to know how an organisation is called or what a person may do. They go
on asking the selector whose business it is; this remembers the answer until the page is done. Outside of a page
that is only read (GET, HEAD) nothing is remembered: what changes things asks the database each time, and locks. Where a
page that is read does write something, the audit trail it writes makes everything forgotten.
"""

from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

_answers: ContextVar[dict[Hashable, Any] | None] = ContextVar("answers of this page", default=None)


@contextmanager
def one_page() -> Iterator[None]:
    """What is asked inside is remembered until the end."""
    token = _answers.set({})
    try:
        yield
    finally:
        _answers.reset(token)


def forget() -> None:
    """Something was changed: everything is asked afresh."""
    if (answers := _answers.get()) is not None:
        answers.clear()


def once_a_page[**Asked, Answer](question: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """For a selector whose arguments can be hashed, and whose answer nobody changes. Refusals are not remembered."""

    @wraps(question)
    def ask(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        answers = _answers.get()
        if answers is None:
            return question(*args, **kwargs)
        key = (question, args, tuple(sorted(kwargs.items())))
        if key not in answers:
            answers[key] = question(*args, **kwargs)
        return answers[key]  # type: ignore[no-any-return]

    return ask


def once_each[Key: Hashable, Answer](
    question: Callable[[Collection[Key]], dict[Key, Answer]],
) -> Callable[[Collection[Key]], dict[Key, Answer]]:
    """For a selector that answers by id: it is asked for those ids alone that were not asked for yet."""

    @wraps(question)
    def ask(ids: Collection[Key]) -> dict[Key, Answer]:
        answers = _answers.get()
        if answers is None:
            return question(ids)
        known: dict[Key, Answer | None] = answers.setdefault(question, {})
        wanted = list(dict.fromkeys(ids))
        missing = [one for one in wanted if one not in known]
        if missing:
            known |= {**dict.fromkeys(missing), **question(missing)}
        return {one: answer for one in wanted if (answer := known[one]) is not None}

    return ask


class ReadingMiddleware:
    """A request that only reads is one page."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        if request.method not in {"GET", "HEAD"}:
            return self.get_response(request)
        with one_page():
            return self.get_response(request)
