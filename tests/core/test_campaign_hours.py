"""When a campaign calls, in the time of whoever is called."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.campaign_hours import ANY_TIME, DAY_MINUTES, Hours

OFFICE = Hours(frozenset(range(5)), ((9 * 60, 12 * 60), (13 * 60, 17 * 60)))
BERLIN, NEW_YORK, TOKYO = "Europe/Berlin", "America/New_York", "Asia/Tokyo"


def at(text: str, zone: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def local(at_s: float | None, zone: str) -> str:
    assert at_s is not None
    return datetime.fromtimestamp(at_s, ZoneInfo(zone)).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-12-01T10:00", "2026-12-01T10:00-05:00"),
        ("2026-12-01T08:59", "2026-12-01T09:00-05:00"),
        ("2026-12-01T12:00", "2026-12-01T13:00-05:00"),
        ("2026-12-01T17:00", "2026-12-02T09:00-05:00"),
        ("2026-12-04T16:59:59", "2026-12-04T16:59-05:00"),
        ("2026-12-04T17:00", "2026-12-07T09:00-05:00"),  # a Friday
        ("2026-03-06T18:00", "2026-03-09T09:00-04:00"),  # the clocks go forward in between
    ],
)
def test_the_next_window_in_local_time(now: str, opens: str) -> None:
    assert local(OFFICE.opens_s((NEW_YORK,), at(now, NEW_YORK)), NEW_YORK) == opens


def test_all_zones_must_allow() -> None:
    now_s = at("2026-12-01T09:00", BERLIN)
    assert local(OFFICE.opens_s((BERLIN, NEW_YORK), now_s), NEW_YORK) == "2026-12-01T09:00-05:00"
    # Office hours of Berlin and Tokyo meet in summer alone, those of Berlin and Hawaii never.
    summer = "2027-03-29T09:00+02:00"
    assert local(OFFICE.opens_s((BERLIN, TOKYO), now_s), BERLIN) == summer
    assert OFFICE.opens_s((BERLIN, "Pacific/Honolulu"), now_s) is None
    assert ANY_TIME.opens_s((BERLIN, TOKYO), now_s) == now_s
    assert OFFICE.opens_s((), now_s) == now_s


def test_dates_are_local_and_inclusive() -> None:
    hours = Hours(first=date(2026, 12, 2), last=date(2026, 12, 3))
    now_s = at("2026-12-01T12:00", BERLIN)
    assert local(hours.opens_s((BERLIN,), now_s), BERLIN) == "2026-12-02T00:00+01:00"
    assert local(hours.opens_s((TOKYO,), now_s), TOKYO) == "2026-12-02T00:00+09:00"
    last_s = at("2026-12-03T23:59", BERLIN)
    assert hours.opens_s((BERLIN,), last_s) == last_s
    assert hours.opens_s((BERLIN,), last_s + 60) is None


def test_an_hour_that_the_clocks_leave_out() -> None:
    """On 2026-03-29, Berlin's 2:00 is 3:00."""
    night = Hours(windows=((2 * 60, 2 * 60 + 30),))
    now_s = at("2026-03-29T00:00", BERLIN)
    assert local(night.opens_s((BERLIN,), now_s), BERLIN) == "2026-03-30T02:00+02:00"
    longer = Hours(windows=((2 * 60, 4 * 60),))
    assert local(longer.opens_s((BERLIN,), now_s), BERLIN) == "2026-03-29T03:00+02:00"


def test_an_hour_that_comes_twice() -> None:
    """On 2026-10-25, Berlin's 3:00 is 2:00 again."""
    night = Hours(windows=((2 * 60, 2 * 60 + 30),))
    first_s = night.opens_s((BERLIN,), at("2026-10-25T00:00", BERLIN))
    assert local(first_s, BERLIN) == "2026-10-25T02:00+02:00"
    assert first_s is not None
    assert local(night.opens_s((BERLIN,), first_s + 45 * 60), BERLIN) == "2026-10-25T02:00+01:00"


def test_hours_that_never_come_are_refused() -> None:
    with pytest.raises(ValueError, match="days"):
        Hours(days=frozenset())
    with pytest.raises(ValueError, match="windows"):
        Hours(windows=())


WINDOWS = st.lists(
    st.tuples(st.integers(0, DAY_MINUTES - 1), st.integers(1, DAY_MINUTES)).filter(
        lambda window: window[0] < window[1]
    ),
    min_size=1,
    max_size=3,
).map(lambda windows: tuple(sorted(windows)))
ZONES = st.lists(
    st.sampled_from([BERLIN, NEW_YORK, TOKYO, "America/Havana", "Australia/Lord_Howe", "UTC"]),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
DAYS = st.sets(st.integers(0, 6), min_size=1).map(frozenset)
DATES = st.none() | st.dates(date(2026, 1, 1), date(2027, 12, 31))


@settings(max_examples=150)
@given(
    st.builds(Hours, DAYS, WINDOWS, DATES, DATES),
    ZONES,
    st.floats(at("2026-01-01T00:00", "UTC"), at("2027-12-31T00:00", "UTC")),
)
def test_it_is_open_when_it_opens(hours: Hours, zones: tuple[str, ...], now_s: float) -> None:
    opens_s = hours.opens_s(zones, now_s)
    if opens_s is None:
        assert not hours.is_open(zones, now_s)
        return
    assert opens_s >= now_s
    assert hours.is_open(zones, opens_s)
    assert hours.opens_s(zones, opens_s) == opens_s
    if opens_s > now_s:
        assert not hours.is_open(zones, now_s)
        # It begins there, in one of the zones at least.
        assert not hours.is_open(zones, opens_s - 0.001)
