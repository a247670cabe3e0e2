"""When people may be called: a week's hours in the callee's local time, less holidays.

Where a number may be in several timezones, it must be within the hours in all of them: nobody is
called at night because another part of the country is awake. Local time is what a clock on the
wall shows, so days on which clocks are changed need no rule of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from attrs import frozen

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MIN: Final = 24 * 60
#: Days looked ahead for the next opening: more than any row of holidays.
_HORIZON_DAYS: Final = 60

_PART: Final = re.compile(
    r"(?P<first>[a-z]{3})(?:\s*-\s*(?P<last>[a-z]{3}))?\s+"
    r"(?P<open>\d{1,2}:\d\d)\s*-\s*(?P<close>\d{1,2}:\d\d)",
    re.IGNORECASE,
)
_HOLIDAY: Final = re.compile(r"(?:(?P<year>\d{4})-)?(?P<month>\d\d)-(?P<day>\d\d)")


@frozen
class CallingHours:
    """The hours of a week.

    Attributes:
        week: for each day from Monday, its spans in minutes after midnight: from the first
            (inclusive) to the second (exclusive; 1440 is midnight). No span: no calls that day.
        holidays: dates without calls.
        yearly: (month, day) without calls in any year.
    """

    week: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()

    def is_open(self, now_s: float, zones: Iterable[tzinfo]) -> bool:
        """Whether it is within the hours in all of `zones` (at least one).

        Args:
            now_s: seconds since 1970.

        Raises:
            ValueError: there is no zone.
        """
        return self.first_closed(now_s, zones) is None

    def first_closed(self, now_s: float, zones: Iterable[tzinfo]) -> tzinfo | None:
        """A zone in which it is not within the hours; None: there is none.

        Raises:
            ValueError: there is no zone.
        """
        asked = tuple(zones)
        if not asked:
            raise ValueError("without a timezone nobody can say whether it is night")
        return next((zone for zone in asked if not self._is_open(local(now_s, zone))), None)

    def next_open_s(self, now_s: float, zones: Iterable[tzinfo]) -> float | None:
        """When, from `now_s` on, it is within the hours in all of `zones`.

        Returns:
            Seconds since 1970, `now_s` itself if it is; None if not within 60 days.

        Raises:
            ValueError: there is no zone.
        """
        asked = tuple(zones)
        at_s, until_s = now_s, now_s + _HORIZON_DAYS * 86_400
        while at_s <= until_s:
            closed = self.first_closed(at_s, asked)
            if closed is None:
                return at_s
            opening_s = self._opening_s(at_s, closed)
            if opening_s is None:
                return None
            at_s = opening_s
        return None

    def _is_open(self, there: datetime) -> bool:
        today = there.date()
        if today in self.holidays or (today.month, today.day) in self.yearly:
            return False
        minute = there.hour * 60 + there.minute
        return any(first <= minute < end for first, end in self.week[today.weekday()])

    def _opening_s(self, after_s: float, zone: tzinfo) -> float | None:
        """The next time after `after_s` at which a span begins in a zone, and it is open."""
        today = local(after_s, zone).date()
        for day in (today + timedelta(days=n) for n in range(_HORIZON_DAYS + 1)):
            times = sorted(
                at_s
                for first, _ in self.week[day.weekday()]
                for at_s in _moments_s(day, first, zone)
                if at_s > after_s and self._is_open(local(at_s, zone))
            )
            if times:
                return times[0]
        return None


def local(now_s: float, zone: tzinfo) -> datetime:
    """What the clocks of a zone show. `now_s` is seconds since 1970."""
    return datetime.fromtimestamp(now_s, UTC).astimezone(zone)


def _moments_s(day: date, minute: int, zone: tzinfo) -> tuple[float, ...]:
    """When clocks show that time: twice if they are set back over it; if they are set forward over
    it, what either rule would make of it."""
    naive = datetime.combine(day, time(minute // 60, minute % 60))
    return tuple(naive.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))


def parse_hours(text: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    """A week as people write it: "mon-fri 8:00-21:00, sat 10:00-16:00"; days that are not there
    have no hours, and several spans of a day add up. Empty: never.

    Raises:
        ValueError: one line that says what is wrong and what is allowed.
    """
    week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
    for part in _parts(text):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is not as in mon-fri 08:00-21:00")
        first, last = (found[name] or found["first"] for name in ("first", "last"))
        for name in (first, last):
            if name.lower() not in DAYS:
                raise ValueError(f"{name!r} is no day; there are: {', '.join(DAYS)}")
        span = _minutes(found["open"]), _minutes(found["close"])
        if span[0] >= span[1]:
            raise ValueError(f"{part!r} ends before it begins; a day ends at 24:00")
        begin, count = (
            DAYS.index(first.lower()),
            DAYS.index(last.lower()) - DAYS.index(first.lower()),
        )
        for n in range(count % 7 + 1):
            week[(begin + n) % 7].append(span)
    return tuple(tuple(sorted(spans)) for spans in week)


def parse_holidays(text: str) -> tuple[frozenset[date], frozenset[tuple[int, int]]]:
    """Dates, comma-separated: `2026-11-26`, or `12-25` for each year.

    Raises:
        ValueError: one line that says which is none.
    """
    once: set[date] = set()
    yearly: set[tuple[int, int]] = set()
    for part in _parts(text):
        found = _HOLIDAY.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is no date such as 2026-11-26 or 12-25")
        month, day = int(found["month"]), int(found["day"])
        try:
            when = date(int(found["year"] or 2000), month, day)  # 2000 had a 29th of February
        except ValueError:
            raise ValueError(f"{part!r} is no date in the calendar") from None
        if found["year"]:
            once.add(when)
        else:
            yearly.add((month, day))
    return frozenset(once), frozenset(yearly)


def _parts(text: str) -> Sequence[str]:
    return [part for piece in text.split(",") if (part := piece.strip())]


def _minutes(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > _DAY_MIN:
        raise ValueError(f"{text!r} is no time of day from 0:00 to 24:00")
    return hour * 60 + minute
