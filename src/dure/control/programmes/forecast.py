"""When an award runs out at today's pace. Pure arithmetic over days; no clock, no database.

The pace is what the last seven days came to, or the days since the first call if they are fewer:
long enough to even out a weekend, short enough to follow a change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

PACE_DAYS = 7
#: A forecast further than this says no more than "a long time".
HORIZON_DAYS = 730


@dataclass(frozen=True, slots=True)
class Forecast:
    """`runs_out_on` is None when nothing is spent, or not within two years."""

    pace_micro_won_per_day: int
    runs_out_on: date | None


def forecast(*, spent_by_day: Mapping[date, int], left_micro_won: int, today: date) -> Forecast:
    if not spent_by_day:
        return Forecast(0, None)
    days = min((today - min(spent_by_day)).days + 1, PACE_DAYS)
    since = today - timedelta(days=days - 1)
    spent = sum(amount for day, amount in spent_by_day.items() if since <= day <= today)
    pace = spent // max(days, 1)
    if pace <= 0:
        return Forecast(0, None)
    ahead = left_micro_won // pace
    return Forecast(pace, today + timedelta(days=ahead) if ahead <= HORIZON_DAYS else None)


def burn_down(
    *, spent_by_day: Mapping[date, int], granted_micro_won: int, start: date, today: date
) -> list[tuple[date, int]]:
    """What was left at the end of each day, from the day before the first to today."""
    points, left = [(start - timedelta(days=1), granted_micro_won)], granted_micro_won
    for number in range(start.toordinal(), today.toordinal() + 1):
        day = date.fromordinal(number)
        left -= spent_by_day.get(day, 0)
        points.append((day, left))
    return points
