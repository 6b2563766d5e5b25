"""Whose turn it is: awards take turns, and within an award those who came first go first.

However many calls one award has waiting, another's next call waits for at most one call of each award that waits.
Joining, being served and leaving (from the middle too) take constant time.
"""

from collections import OrderedDict
from collections.abc import Iterator


class Turns[T]:
    """A line of tickets (hashable, each in it once), by award."""

    __slots__ = ("_lines", "_size")

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        """All tickets, award by award."""
        return (ticket for line in self._lines.values() for ticket in line)

    def join(self, award: str, ticket: T, *, first: bool = False) -> None:
        """At the end of its award's line; an award that had none waiting gets its turn last.

        `first`: it had its turn and could not use it, so it is next.
        """
        line = self._lines.get(award)
        if line is None:
            line = self._lines[award] = OrderedDict()
        line[ticket] = None
        if first:
            line.move_to_end(ticket, last=False)
            self._lines.move_to_end(award, last=False)
        self._size += 1

    def leave(self, award: str, ticket: T) -> bool:
        """Take a ticket out, wherever it stands; False if it is not in line."""
        line = self._lines.get(award)
        if line is None or ticket not in line:
            return False
        del line[ticket]
        if not line:
            del self._lines[award]
        self._size -= 1
        return True

    def heads(self) -> list[tuple[str, T]]:
        """The first ticket of each award, in the order of their turns."""
        return [(award, next(iter(line))) for award, line in self._lines.items()]

    def head(self) -> tuple[str, T] | None:
        """Whose turn it is."""
        for award, line in self._lines.items():
            return award, next(iter(line))
        return None

    def served(self, award: str, ticket: T) -> None:
        """`ticket` leaves because it had its turn: its award is last now."""
        if self.leave(award, ticket) and award in self._lines:
            self._lines.move_to_end(award)

    def ahead_of(self, award: str) -> int:
        """How many would be served before a ticket that joined `award`'s line now."""
        own = len(self._lines.get(award, ()))
        return min(self._size, sum(min(len(line), own + 1) for line in self._lines.values()))
