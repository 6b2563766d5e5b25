"""When an award runs out at today's pace."""

from datetime import date, timedelta

from dure.control.programmes.forecast import Forecast, burn_down, forecast

TODAY = date(2026, 11, 23)


def _spent(*amounts: int) -> dict[date, int]:
    """Amounts of the days up to today, oldest first."""
    first = TODAY - timedelta(days=len(amounts) - 1)
    return {first + timedelta(days=index): amount for index, amount in enumerate(amounts)}


def _forecast(left: int, *amounts: int) -> Forecast:
    return forecast(spent_by_day=_spent(*amounts), left_micro_won=left, today=TODAY)


def test_never_used_says_nothing():
    assert _forecast(100) == Forecast(0, None)


def test_pace_is_that_of_the_last_seven_days():
    assert _forecast(100, 1_000, 10, 10, 10, 10, 10, 10, 10) == Forecast(10, TODAY + timedelta(days=10))


def test_pace_of_a_new_award_is_that_of_its_days_so_far():
    assert _forecast(100, 20, 30) == Forecast(25, TODAY + timedelta(days=4))


def test_quiet_week_forecasts_nothing():
    assert _forecast(100, 50, 0, 0, 0, 0, 0, 0, 0) == Forecast(0, None)


def test_beyond_two_years_is_a_long_time():
    assert _forecast(10_000, 7, 7) == Forecast(7, None)


def test_nothing_left_runs_out_today():
    assert _forecast(0, 10, 10) == Forecast(10, TODAY)


def test_burn_down_begins_the_day_before_the_first_with_all_of_it():
    points = burn_down(
        spent_by_day={TODAY - timedelta(days=2): 30, TODAY: 20},
        granted_micro_won=100,
        start=TODAY - timedelta(days=2),
        today=TODAY,
    )
    assert [left for _day, left in points] == [100, 70, 70, 50]
    assert points[0][0] == TODAY - timedelta(days=3)
