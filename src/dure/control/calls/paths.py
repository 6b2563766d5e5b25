"""Where the portal has what notices and calendars lead to."""

from uuid import UUID


def call_path(slug: str) -> str:
    return f"/calls/{slug}/"


def question_path(slug: str, number: int) -> str:
    """A call's questions, at one of them."""
    return f"/calls/{slug}/#question-{number}"


def answering_path(question_id: UUID) -> str:
    """Where an officer answers."""
    return f"/calls/questions/{question_id}/"
