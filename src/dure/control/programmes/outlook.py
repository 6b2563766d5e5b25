"""When an award will run out, as a sentence and as a chart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import get_language, gettext

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import clock
from dure.control.foundation.money import format_won
from dure.control.programmes.forecast import Forecast, burn_down, forecast
from dure.control.programmes.selectors import AwardView


@dataclass(frozen=True, slots=True)
class BurnChart:
    """What is left day by day and where today's pace leads; `finding` is the chart's title."""

    finding: str
    about: str
    points: list[tuple[date, int]]
    forecast: list[tuple[date, int]]
    ceiling: int


def _day(day: date) -> str:
    if (get_language() or "ko").startswith("ko"):
        return f"{day.year}년 {day.month}월 {day.day}일"
    return f"{day.day} {day:%b} {day.year}"


def _won(micro_won: int) -> str:
    decimals = 0 if micro_won >= 100 * MICRO_WON_PER_WON else 2
    return format_won(micro_won, get_language() or "ko", decimals=decimals)


def _today() -> date:
    return clock.now().astimezone(clock.SEOUL).date()


def _last_day(award: AwardView) -> date | None:
    if award.valid_until is None:
        return None
    return (award.valid_until - timedelta(microseconds=1)).astimezone(clock.SEOUL).date()


def _forecast(award: AwardView, spent_by_day: Mapping[date, int]) -> Forecast:
    return forecast(spent_by_day=spent_by_day, left_micro_won=award.remaining_micro_won, today=_today())


def outlook(award: AwardView, spent_by_day: Mapping[date, int]) -> str:
    """One sentence about how long what is left will do."""
    if award.state != "open":
        return gettext("The award has ended; no call is charged to it any more.")
    if not spent_by_day:
        return gettext("Not used yet.")
    ahead = _forecast(award, spent_by_day)
    if award.remaining_micro_won <= 0:
        return gettext("Nothing is left; calls are refused until more is granted.")
    if ahead.pace_micro_won_per_day == 0:
        return gettext("Nothing was spent in the last seven days.")
    pace = _won(ahead.pace_micro_won_per_day)
    last = _last_day(award)
    if ahead.runs_out_on is None or (last is not None and ahead.runs_out_on > last):
        return (
            gettext("At today's pace (%(pace)s a day) it lasts beyond the end of the award.") % {"pace": pace}
            if last
            else (
                gettext("At today's pace (%(pace)s a day) it lasts for more than two years.") % {"pace": pace}
            )
        )
    return gettext("At today's pace (%(pace)s a day) it runs out on %(day)s.") % {
        "pace": pace,
        "day": _day(ahead.runs_out_on),
    }


def burn_chart(award: AwardView, spent_by_day: Mapping[date, int]) -> BurnChart:
    today = _today()
    start = min([*spent_by_day, today])
    points = burn_down(
        spent_by_day=spent_by_day, granted_micro_won=award.funded_micro_won, start=start, today=today
    )
    ahead = _forecast(award, spent_by_day)
    line: list[tuple[date, int]] = []
    if award.state == "open" and ahead.pace_micro_won_per_day and award.remaining_micro_won > 0:
        # As far ahead as the past is long, at least a month: further the line says more than we know.
        end = today + timedelta(days=max((today - start).days, 30))
        end = min(filter(None, [end, _last_day(award), ahead.runs_out_on]))
        if end > today:
            spent = ahead.pace_micro_won_per_day * (end - today).days
            line = [(end, max(award.remaining_micro_won - spent, 0))]
    spent = sum(spent_by_day.values())
    return BurnChart(
        finding=_finding(spent, award.funded_micro_won),
        about=gettext("What was left at the end of each day; dotted: at today's pace"),
        points=points,
        forecast=line,
        ceiling=award.funded_micro_won,
    )


def _finding(spent: int, granted: int) -> str:
    share = spent * 100 / granted if granted else 0
    if 0 < share < 0.1:
        return gettext("Less than 0.1% of the award is spent")
    return gettext("%(percent)s of the award is spent") % {"percent": f"{share:.1f}%" if spent else "0%"}
