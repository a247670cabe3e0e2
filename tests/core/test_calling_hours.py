"""Calling hours: in every zone, at every change of the clocks, to the minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.calling_hours import CallingHours, local, parse_holidays, parse_hours

DEFAULT = CallingHours(parse_hours("mon-sun 08:00-21:00"))
NEW_YORK, LOS_ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")


def at(text: str) -> float:
    """A time of UTC, such as "2026-03-08 12:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# Reckoned by hand from each place's offset that day.
@pytest.mark.parametrize(
    ("zone", "first", "end"),
    [
        # The United States put their clocks forward on 8 March and back on 1 November 2026.
        ("America/New_York", "2026-03-07 13:00", "2026-03-08 02:00"),  # -5
        ("America/New_York", "2026-03-08 12:00", "2026-03-09 01:00"),  # -4, the day itself
        ("America/New_York", "2026-10-31 12:00", "2026-11-01 01:00"),  # -4
        ("America/New_York", "2026-11-01 13:00", "2026-11-02 02:00"),  # -5, the day itself
        ("America/Los_Angeles", "2026-03-08 15:00", "2026-03-09 04:00"),  # -7
        ("America/Los_Angeles", "2026-11-01 16:00", "2026-11-02 05:00"),  # -8
        ("America/Phoenix", "2026-07-01 15:00", "2026-07-02 04:00"),  # -7, never changed
        ("America/St_Johns", "2026-03-08 10:30", "2026-03-08 23:30"),  # -2:30
        ("Europe/London", "2026-03-29 07:00", "2026-03-29 20:00"),  # +1, the day itself
        ("Europe/London", "2026-10-25 08:00", "2026-10-25 21:00"),  # +0, the day itself
        ("Asia/Kathmandu", "2026-06-01 02:15", "2026-06-01 15:15"),  # +5:45
        ("Australia/Lord_Howe", "2026-04-04 21:30", "2026-04-05 10:30"),  # +10:30, half an hour
        ("Australia/Sydney", "2026-10-03 21:00", "2026-10-04 10:00"),  # +11, the day itself
        ("Pacific/Kiritimati", "2026-01-01 18:00", "2026-01-02 07:00"),  # +14: tomorrow
        ("Pacific/Pago_Pago", "2026-01-01 19:00", "2026-01-02 08:00"),  # -11: yesterday
    ],
)
def test_the_boundary_minutes(zone: str, first: str, end: str) -> None:
    zones = [ZoneInfo(zone)]
    assert not DEFAULT.is_open(at(first) - 0.001, zones)
    assert DEFAULT.is_open(at(first), zones)
    assert DEFAULT.is_open(at(end) - 0.001, zones)
    assert not DEFAULT.is_open(at(end), zones)
    assert DEFAULT.next_open_s(at(first) - 3600, zones) == at(first)
    assert DEFAULT.next_open_s(at(first) + 60, zones) == at(first) + 60


def test_all_zones_must_be_within_hours() -> None:
    both = [NEW_YORK, LOS_ANGELES]
    noon_there = at("2026-07-01 13:00")  # 9:00 in New York, 6:00 in Los Angeles
    assert DEFAULT.is_open(noon_there, [NEW_YORK])
    assert DEFAULT.first_closed(noon_there, both) is LOS_ANGELES
    assert DEFAULT.next_open_s(noon_there, both) == at("2026-07-01 15:00")
    # 18:30 in Los Angeles, 21:30 in New York: closed until it is 8:00 in Los Angeles again.
    assert DEFAULT.next_open_s(at("2026-07-02 01:30"), both) == at("2026-07-02 15:00")


def test_zones_that_are_never_awake_together() -> None:
    hours = CallingHours(parse_hours("mon-sun 9:00-11:00"))
    zones = [ZoneInfo("Europe/Kaliningrad"), ZoneInfo("Asia/Kamchatka")]
    assert hours.next_open_s(at("2026-07-01 00:00"), zones) is None


def test_no_zone_is_no_answer() -> None:
    with pytest.raises(ValueError, match="without a timezone"):
        DEFAULT.is_open(0, [])
    with pytest.raises(ValueError, match="without a timezone"):
        DEFAULT.next_open_s(0, [])


def test_weekdays_and_holidays_are_the_callees() -> None:
    once, yearly = parse_holidays("2026-11-26, 12-25")
    hours = CallingHours(
        parse_hours("mon-fri 9:00-20:00, sat 10:00-12:00, sat 13:00-16:00"), once, yearly
    )
    zones = [NEW_YORK]
    assert hours.is_open(at("2026-11-21 15:00"), zones)  # a Saturday, 10:00
    assert not hours.is_open(at("2026-11-21 17:00"), zones)  # lunch
    assert hours.next_open_s(at("2026-11-21 17:00"), zones) == at("2026-11-21 18:00")
    assert hours.next_open_s(at("2026-11-21 22:00"), zones) == at("2026-11-23 14:00")  # Monday
    # Thanksgiving is no day for it, and ends at midnight over there.
    assert not hours.is_open(at("2026-11-26 15:00"), zones)
    assert hours.next_open_s(at("2026-11-26 15:00"), zones) == at("2026-11-27 14:00")
    for year in (2026, 2027, 2040):
        assert not hours.is_open(at(f"{year}-12-25 15:00"), zones)
    assert CallingHours(parse_hours("")).next_open_s(0, zones) is None


def test_hours_at_night_over_a_change_of_the_clocks() -> None:
    night = CallingHours(parse_hours("sun 1:30-1:45, sun 2:15-4:00"))
    # Back: 1:30 comes twice.
    assert night.next_open_s(at("2026-11-01 05:00"), [NEW_YORK]) == at("2026-11-01 05:30")
    assert night.next_open_s(at("2026-11-01 05:46"), [NEW_YORK]) == at("2026-11-01 06:30")
    # Forward: there is no 2:15; at 3:00 it is past it.
    assert not night.is_open(at("2026-03-08 06:59"), [NEW_YORK])
    assert night.is_open(at("2026-03-08 07:00"), [NEW_YORK])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("8-21", "'8-21' is not as in mon-fri 08:00-21:00"),
        ("mon 8:00-21:00 tue", "not as in"),
        ("monday 8:00-9:00", "not as in"),
        ("mun 8:00-9:00", "'mun' is no day; there are: mon, tue"),
        ("mon 9:00-9:00", "ends before it begins"),
        ("mon 21:00-8:00", "ends before it begins"),
        ("mon 8:60-9:00", "'8:60' is no time of day"),
        ("mon 8:00-24:01", "'24:01' is no time of day"),
    ],
)
def test_hours_that_cannot_be_read(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_hours(text)


def test_hours_as_they_are_written() -> None:
    assert parse_hours("Sat - mon 0:00 - 24:00,")[4:] == ((), ((0, 1440),), ((0, 1440),))
    assert parse_hours("sat-mon 1:00-2:00")[0] == ((60, 120),)
    assert parse_hours("mon 13:00-14:00, mon 8:00-9:00")[0] == ((480, 540), (780, 840))


@pytest.mark.parametrize("text", ["2026-13-01", "02-30", "12/25", "tomorrow", "2026-2-1"])
def test_holidays_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        parse_holidays(text)


def test_a_leap_day_is_a_holiday() -> None:
    assert parse_holidays("02-29, 2026-01-02") == (
        frozenset({date(2026, 1, 2)}),
        frozenset({(2, 29)}),
    )


#: With changes by an hour and half an hour, at midnight and at night, in both hemispheres.
ZONES = [
    ZoneInfo(name)
    for name in (
        "America/New_York",
        "America/Los_Angeles",
        "America/Phoenix",
        "America/Havana",
        "America/Nuuk",
        "America/St_Johns",
        "Europe/London",
        "Europe/Berlin",
        "Africa/Casablanca",
        "Africa/Cairo",
        "Asia/Kolkata",
        "Asia/Kamchatka",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Pacific/Kiritimati",
    )
]
moments = st.floats(at("2025-01-01 00:00"), at("2028-01-01 00:00"))
minutes = st.integers(0, 1440)


@st.composite
def weeks(draw: st.DrawFn) -> CallingHours:
    spans = st.tuples(minutes, minutes).filter(lambda span: span[0] < span[1])
    day = st.lists(spans, max_size=2).map(lambda spans: tuple(sorted(spans)))
    return CallingHours(
        tuple(draw(st.tuples(*[day] * 7))),
        holidays=frozenset(
            draw(st.lists(st.dates(date(2025, 1, 1), date(2028, 1, 1)), max_size=3))
        ),
    )


@given(moments, st.lists(st.sampled_from(ZONES), min_size=1, max_size=4))
def test_nobody_is_called_outside_the_hours_of_any_zone(now_s: float, zones: list[tzinfo]) -> None:
    clocks = [datetime.fromtimestamp(now_s, zone).time() for zone in zones]
    assert DEFAULT.is_open(now_s, zones) == all(8 <= clock.hour < 21 for clock in clocks)


@given(weeks(), moments, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3))
def test_when_it_opens_it_is_open(hours: CallingHours, now_s: float, zones: list[tzinfo]) -> None:
    opens_s = hours.next_open_s(now_s, zones)
    if opens_s is None:
        assert not hours.is_open(now_s, zones)
        return
    assert opens_s >= now_s
    assert hours.is_open(opens_s, zones)
    assert (opens_s == now_s) == hours.is_open(now_s, zones)


@settings(max_examples=40)
@given(moments, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3), st.integers(3, 15))
def test_it_does_not_open_any_earlier(now_s: float, zones: list[tzinfo], hour: int) -> None:
    # Hours that do not begin where clocks are changed: there the next opening may be told late.
    hours = CallingHours(parse_hours(f"mon-sat {hour}:00-{hour + 8}:30"))
    opens_s = hours.next_open_s(now_s, zones)
    until_s = now_s + 5 * 86_400 if opens_s is None else opens_s
    for step in range(int(until_s - now_s) // 420):
        assert not hours.is_open(now_s + step * 420, zones)


@given(moments, st.sampled_from(ZONES))
def test_local_time_is_that_of_the_clocks_there(now_s: float, zone: ZoneInfo) -> None:
    there = local(now_s, zone)
    assert there.timestamp() == pytest.approx(now_s, abs=1e-5)
    assert there.utcoffset() == datetime.fromtimestamp(now_s, zone).utcoffset()
