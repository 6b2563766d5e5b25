"""Charts: coordinates within the picture, a tick at the top and the bottom, the forecast where the line ends."""

from datetime import date, timedelta

import pytest

from dure.control.portal.charts import column_layouts, line_layouts, nice_ceiling

TODAY = date(2026, 11, 23)


def _line(points, forecast=(), ceiling=100):
    return line_layouts(points=points, forecast=forecast, ceiling=ceiling, say_day=str, say_value=str)


@pytest.mark.parametrize(
    ("value", "ceiling"), [(0, 1), (1, 1), (3, 5), (7, 10), (10, 10), (11, 20), (1_142, 2_000), (99, 100)]
)
def test_nice_ceiling(value, ceiling):
    assert nice_ceiling(value) == ceiling


def test_line_falls_from_the_top_left_to_the_bottom_right():
    points = [(TODAY, 100), (TODAY + timedelta(days=1), 50), (TODAY + timedelta(days=2), 0)]
    wide, narrow = _line(points)
    assert wide.line == "M84 14L416 122L748 230"
    assert wide.last == (748, 230)
    assert [tick.text for tick in wide.up] == ["0", "50", "100"]
    assert (wide.name, narrow.name) == ("wide-chart", "narrow-chart")


def test_forecast_starts_where_the_line_ends_and_stretches_the_days():
    points = [(TODAY - timedelta(days=1), 100), (TODAY, 50)]
    wide, _narrow = _line(points, forecast=[(TODAY + timedelta(days=1), 0)])
    assert wide.forecast.startswith("M416 122")
    assert wide.forecast.endswith("L748 230")


def test_one_day_alone_is_drawn():
    (wide, _narrow) = _line([(TODAY, 70)])
    assert wide.last == (84, pytest.approx(78.8))


def test_days_without_anything_leave_a_gap_between_columns():
    points = [(TODAY - timedelta(days=2), 10), (TODAY, 5)]
    wide, _narrow = column_layouts(points=points, say_day=str, say_value=str)
    assert [column.height for column in wide.columns] == [216, 108]
    assert wide.columns[1].x - wide.columns[0].x == pytest.approx(2 * (748 - 84) / 3, abs=0.2)
