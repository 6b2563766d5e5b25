"""A day is one of the calendar in Seoul: between midnight and nine there, UTC's is still the day before."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: The day of a moment that is in UTC.
UTC_DAY = re.compile(r"\bnow\(\)\.date\(\)|\bdate\.today\(\)")


def test_nothing_takes_the_day_of_a_moment_in_utc():
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for folder in ("src/dure", "tests", "bench")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if UTC_DAY.search(line)
    ]
    assert found == []
