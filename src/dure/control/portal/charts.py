"""Charts as SVG drawn on the server: lines over days and columns by day.

A chart of ours is one series with a finding as its title. The smallest useful bundle of a chart library
is larger than a page may weigh altogether (150 KB compressed), would need a script before anything shows,
and would write styles that the content security policy refuses. So geometry is worked out here; the
template draws it twice, for wide and for narrow screens, with the figures in a table beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

type Point = tuple[date, int]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and the words there; `anchor` is SVG's text-anchor."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Column:
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A chart at one size. Coordinates are in the view box."""

    name: str
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    line: str = ""
    area: str = ""
    forecast: str = ""
    last: tuple[float, float] | None = None
    columns: tuple[Column, ...] = ()

    @property
    def view_box(self) -> str:
        return f"0 0 {self.width} {self.height}"


@dataclass(frozen=True, slots=True)
class _Size:
    name: str
    width: int
    height: int
    left: int


_SIZES = (_Size("wide-chart", 760, 260, 84), _Size("narrow-chart", 358, 220, 68))
_TOP, _RIGHT_MARGIN, _BOTTOM_MARGIN = 14, 12, 30


def nice_ceiling(value: int) -> int:
    """The next 1, 2 or 5 times a power of ten: where a vertical axis ends."""
    if value <= 0:
        return 1
    power: int = 10 ** (len(str(value)) - 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points) if points else ""


def _day_ticks(
    first: date, last: date, x: Callable[[date], float], say: Callable[[date], str]
) -> tuple[Tick, ...]:
    ticks = [Tick(x(first), say(first), "start")]
    if (last - first).days >= 2:
        middle = date.fromordinal((first.toordinal() + last.toordinal()) // 2)
        ticks.append(Tick(x(middle), say(middle)))
    if last != first:
        ticks.append(Tick(x(last), say(last), "end"))
    return tuple(ticks)


def line_layouts(
    *,
    points: Sequence[Point],
    forecast: Sequence[Point] = (),
    ceiling: int,
    say_day: Callable[[date], str],
    say_value: Callable[[int], str],
) -> list[Layout]:
    """A line over days from 0 to `ceiling`, its area, and a dotted forecast that starts where it ends."""
    first, last = points[0][0], max(points[-1][0], *(day for day, _value in forecast), points[-1][0])
    days = max((last - first).days, 1)
    layouts = []
    for size in _SIZES:
        right, bottom = size.width - _RIGHT_MARGIN, size.height - _BOTTOM_MARGIN

        def x(day: date, left: int = size.left, right: int = right) -> float:
            return left + (day - first).days / days * (right - left)

        def y(value: int, bottom: int = bottom) -> float:
            return bottom - min(value, ceiling) / ceiling * (bottom - _TOP)

        placed = [(x(day), y(value)) for day, value in points]
        ahead = [placed[-1], *((x(day), y(value)) for day, value in forecast)] if forecast else []
        layouts.append(
            Layout(
                name=size.name,
                width=size.width,
                height=size.height,
                left=size.left,
                right=right,
                top=_TOP,
                bottom=bottom,
                across=_day_ticks(first, last, x, say_day),
                up=tuple(Tick(y(value), say_value(value)) for value in (0, ceiling // 2, ceiling)),
                line=_path(placed),
                area=_path([*placed, (placed[-1][0], bottom), (placed[0][0], bottom)]) + "Z",
                forecast=_path(ahead),
                last=placed[-1],
            )
        )
    return layouts


def column_layouts(
    *, points: Sequence[Point], say_day: Callable[[date], str], say_value: Callable[[int], str]
) -> list[Layout]:
    """A column a day, every day from the first to the last, also those with nothing."""
    values = dict(points)
    first, last = points[0][0], points[-1][0]
    days = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]
    ceiling = nice_ceiling(max(values.values()))
    layouts = []
    for size in _SIZES:
        right, bottom = size.width - _RIGHT_MARGIN, size.height - _BOTTOM_MARGIN
        slot = (right - size.left) / len(days)
        width = min(slot * 0.7, 40)
        columns = tuple(
            Column(
                x=round(size.left + slot * index + (slot - width) / 2, 1),
                y=round(bottom - height, 1),
                width=round(width, 1),
                height=round(height, 1),
                title=f"{say_day(day)}: {say_value(values.get(day, 0))}",
            )
            for index, day in enumerate(days)
            if (height := values.get(day, 0) / ceiling * (bottom - _TOP)) > 0
        )

        def x(day: date, left: int = size.left, slot: float = slot) -> float:
            return left + slot * ((day - first).days + 0.5)

        layouts.append(
            Layout(
                name=size.name,
                width=size.width,
                height=size.height,
                left=size.left,
                right=right,
                top=_TOP,
                bottom=bottom,
                across=tuple(Tick(tick.at, tick.text) for tick in _day_ticks(first, last, x, say_day)),
                up=tuple(
                    Tick(bottom - value / ceiling * (bottom - _TOP), say_value(value))
                    for value in (0, ceiling // 2, ceiling)
                ),
                columns=columns,
            )
        )
    return layouts
