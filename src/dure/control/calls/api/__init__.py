"""REST: calls, their rounds and questions. Published calls need no sign-in; sums go in as whole won and come out as micro-won."""

from dure.control.calls.api import calls, contents, questions, rounds
from dure.control.calls.api.common import router

__all__ = ["calls", "contents", "questions", "rounds", "router"]
