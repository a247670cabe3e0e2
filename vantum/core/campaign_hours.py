"""When a campaign calls: days, hours and dates, in the time of whoever is called.

They only narrow what the law leaves: the compliance check has its own hours, and both must allow.
A number may be in several time zones (a country's mobile phones, say): then it is called when all
of them allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attrs import field, frozen
from attrs.validators import min_len

DAY_MINUTES: Final = 24 * 60
ALL_DAYS: Final = frozenset(range(7))
WHOLE_DAY: Final = ((0, DAY_MINUTES),)
#: Hours of zones that never meet within so many days do not meet at all: days repeat each week, and
#: the clocks change twice a year.
_LOOK_AHEAD_S: Final = 400 * 86_400.0


@frozen
class Hours:
    """When calls are allowed, in local time.

    Attributes:
        days: days of the week, 0 is Monday.
        windows: pairs of minutes after midnight, from (inclusive) to (exclusive), in order.
        first, last: dates, both inclusive; None: no such limit.

    Raises:
        ValueError: there is no day, or no window.
    """

    days: frozenset[int] = field(default=ALL_DAYS, validator=min_len(1))
    windows: tuple[tuple[int, int], ...] = field(default=WHOLE_DAY, validator=min_len(1))
    first: date | None = None
    last: date | None = None

    def is_open(self, zones: tuple[str, ...], at_s: float) -> bool:
        """Whether it is so in all of the zones (IANA's names) at that time (seconds since 1970)."""
        return all(self._is_open_in(ZoneInfo(zone), at_s) for zone in zones)

    def opens_s(self, zones: tuple[str, ...], now_s: float) -> float | None:
        """The next time from `now_s` on at which it is open in all of the zones; None: never.

        It is now, or the beginning of a window. A part of one that comes twice, because the clocks
        go back in its midst, is left out.
        """
        at_s = now_s
        while at_s <= now_s + _LOOK_AHEAD_S:
            latest_s = at_s
            for zone in zones:
                opens_s = self._opens_in(ZoneInfo(zone), at_s)
                if opens_s is None:
                    return None
                latest_s = max(latest_s, opens_s)
            if latest_s == at_s:
                return at_s
            at_s = latest_s
        return None

    def _is_open_in(self, zone: ZoneInfo, at_s: float) -> bool:
        there = datetime.fromtimestamp(at_s, zone)
        if there.weekday() not in self.days or not self._in_dates(there.date()):
            return False
        minute = there.hour * 60 + there.minute
        return any(begin <= minute < end for begin, end in self.windows)

    def _in_dates(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def _opens_in(self, zone: ZoneInfo, at_s: float) -> float | None:
        if self._is_open_in(zone, at_s):
            return at_s
        for day in self._days_from(datetime.fromtimestamp(at_s, zone).date()):
            for begin, _ in self.windows:
                wall = time(begin // 60, begin % 60)
                # Where the clocks go back, the hour comes twice.
                for fold in (0, 1):
                    begins = datetime.combine(day, wall, zone).replace(fold=fold).timestamp()
                    # Where they go forward there may be no such hour: then it is none.
                    if begins > at_s and self._is_open_in(zone, begins):
                        return begins
        return None

    def _days_from(self, today: date) -> Iterator[date]:
        day = today if self.first is None else max(today, self.first)
        while self.last is None or day <= self.last:
            if day.weekday() in self.days:
                yield day
            day += timedelta(days=1)


#: Every day, all day.
ANY_TIME: Final = Hours()
