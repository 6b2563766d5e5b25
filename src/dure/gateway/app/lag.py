"""How far the ledger is behind this process's journal: calls, seconds and bytes that are not posted yet.

The shipper posts in a process of its own, so a worker asks the database for its mark now and then, and
remembers when it wrote which record. What it remembers is thinned as it ages: the older the record, the coarser its
time, and the answer errs to the side of longer.
"""

from collections import deque
from typing import NamedTuple

_MOST_MARKS = 256


class Mark(NamedTuple):
    """Up to `sequence` the journal was written at `at` (the loop's seconds), with `written_bytes` in all."""

    sequence: int
    at: float
    written_bytes: int


class JournalLag:
    """`note` a few times a second, `posted` whenever the database's mark is known."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque([Mark(0, 0.0, 0)])
        self._latest = Mark(0, 0.0, 0)
        self.posted_sequence = 0

    def note(self, sequence: int, written_bytes: int, now: float) -> None:
        """How far the journal has come."""
        self._latest = Mark(sequence, now, written_bytes)
        if sequence > self._marks[-1].sequence:
            self._marks.append(self._latest)
            if len(self._marks) > _MOST_MARKS:
                marks = list(self._marks)
                half = _MOST_MARKS // 2
                self._marks = deque([*marks[:half:2], *marks[half:]])
        elif len(self._marks) == 1:
            # Nothing is waiting: the next record is younger than this moment.
            self._marks[0] = self._latest

    def posted(self, sequence: int) -> None:
        """The database has everything up to here."""
        self.posted_sequence = max(self.posted_sequence, sequence)
        while len(self._marks) > 1 and self._marks[1].sequence <= self.posted_sequence:
            self._marks.popleft()

    @property
    def records(self) -> int:
        return max(0, self._latest.sequence - self.posted_sequence)

    def seconds(self, now: float) -> float:
        """At most this long ago the oldest record that is not posted was closed; 0 where none waits."""
        return max(0.0, now - self._marks[0].at) if self.records else 0.0

    @property
    def bytes(self) -> int:
        """At most so much of the journal holds what is not posted."""
        return max(0, self._latest.written_bytes - self._marks[0].written_bytes) if self.records else 0
