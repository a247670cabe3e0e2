"""What numbers say about themselves, and what happens when they say nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.compliance import numbers
from vantum.compliance.numbers import place_of, to_e164, zone_named

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


def zones(number: str) -> set[str]:
    return {str(zone) for zone in place_of(number).zones}


@pytest.mark.parametrize(
    ("number", "region", "kind", "expected"),
    [
        ("+12125550123", "US", "fixed_line_or_mobile", {"America/New_York"}),
        ("+14155550132", "US", "fixed_line_or_mobile", {"America/Los_Angeles"}),
        ("+14165550123", "CA", "fixed_line_or_mobile", {"America/Toronto"}),
        ("+442079460123", "GB", "fixed_line", {"Europe/London"}),
        ("+4915123456789", "DE", "mobile", {"Europe/Berlin", "Europe/Busingen"}),
    ],
)
def test_a_number_in_use(number: str, region: str, kind: str, expected: set[str]) -> None:
    place = place_of(number)
    assert (place.region, place.kind) == (region, kind)
    assert zones(number) == expected


def test_a_mobile_phone_may_be_anywhere_in_its_country() -> None:
    # libphonenumber says Jakarta, and Indonesia has three timezones.
    assert zones("+62812345678") >= {"Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"}
    assert zones("+34612345678") >= {"Europe/Madrid", "Atlantic/Canary"}


def test_a_zone_of_another_country_is_not_trusted_alone() -> None:
    # Kaliningrad: libphonenumber has Bucharest for it, which is an hour ahead in summer.
    offsets = {zone.utcoffset(SUMMER) for zone in place_of("+74012530000").zones}
    kaliningrad = zone_named("Europe/Kaliningrad")
    assert kaliningrad is not None
    assert kaliningrad.utcoffset(SUMMER) in offsets


def test_a_zone_that_the_timezone_database_lacks_makes_all_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacking(name: str) -> ZoneInfo | None:
        return None if name == "Europe/Busingen" else ZoneInfo(name)

    monkeypatch.setattr(numbers, "zone_named", lacking)
    assert place_of("+4915123456789").zones == (), "it may be night where nobody can tell"


@pytest.mark.parametrize(
    ("number", "cities"),
    [
        # Louisville's side of Kentucky, and Paducah's: the exchange is in no table.
        ("+12702220142", "America/New_York America/Chicago"),
        ("+13642220142", "America/New_York America/Chicago"),
        ("+19302220142", "America/New_York America/Chicago"),
        ("+12082220142", "America/Los_Angeles America/Denver"),
        ("+15413456789", "America/Los_Angeles America/Denver"),
        ("+14583456789", "America/Los_Angeles America/Denver"),
        ("+18503456789", "America/New_York America/Chicago"),
        ("+17853456789", "America/Chicago America/Denver"),
        ("+19283456789", "America/Phoenix America/Denver"),
        ("+18675550142", "America/Toronto America/Winnipeg America/Edmonton America/Vancouver"),
        ("+12503456789", "America/Vancouver America/Edmonton"),
        ("+16723456789", "America/Vancouver America/Edmonton"),
        ("+18073456789", "America/Toronto America/Winnipeg"),
        ("+15812345678", "America/Toronto America/Halifax"),
        ("+12125550123", "America/New_York"),
    ],
)
def test_an_american_area_may_reach_into_several_zones(number: str, cities: str) -> None:
    """Numbers are taken along within their area, and not every exchange is in the tables."""
    place = place_of(number)
    offsets = {zone.utcoffset(SUMMER) for zone in place.zones}
    for city in cities.split():
        zone = zone_named(city)
        assert zone is not None
        assert zone.utcoffset(SUMMER) in offsets
    assert len(offsets) <= len(cities.split()) + (number[2:5] == "867")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+18005551234", "toll_free"),
        ("+19005551234", "premium_rate"),
        ("+445012345678", "unknown"),
        ("+15551234567", "unknown"),
        ("+12125550", "unknown"),
        ("nobody", "unknown"),
    ],
)
def test_kinds_that_are_nobody(number: str, kind: str) -> None:
    assert place_of(number).kind == kind


def test_numbers_of_no_country() -> None:
    for number in ("+80012345678", "+881612345678"):
        place = place_of(number)
        assert place.region == ""
        assert place.zones == ()


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+1 (212) 555-0123", "+12125550123"),
        ("tel:+1-212-555-0123", "+12125550123"),
        ("+39 06 698 83145", "+390669883145"),  # Italy's zero stays
        ("+15551234567", "+15551234567"),  # not in use, and still a number
        ("2125550123", None),
        ("00 1 212 555 0123", None),
        ("\u202a+1\u00a0212\u00a0555\u20110123\u202c", "+12125550123"),  # out of a web page
        ("+12125550123x5", None),
        # Letters are keys on American telephones: another number each.
        ("+12125550123 Smith", None),
        ("+49 30 1234567 (home)", None),
        ("+1212555O123", None),
        ("+1 800 FLOWERS", None),
        ("+999123456789", None),
        ("", None),
        ("+1 212 555 0123" + " " * 40, None),
    ],
)
def test_numbers_as_people_write_them(text: str, e164: str | None) -> None:
    assert to_e164(text) == e164


@given(st.text(max_size=60) | st.from_regex(r"\+[0-9 ()x;=.-]{0,45}", fullmatch=True))
def test_any_text_is_a_number_or_none(text: str) -> None:
    e164 = to_e164(text)
    place = place_of(text)
    if e164 is None:
        assert place == place_of("")
    else:
        assert e164[0] == "+"
        assert e164[1:].isdigit()
        assert to_e164(e164) == e164
        assert place_of(e164) == place


@pytest.mark.parametrize(
    "name", ["", "Etc/Unknown", "Mars/Olympus", "America", "../passwd", "/etc/passwd", "a\0b"]
)
def test_timezones_that_there_are_not(name: str) -> None:
    assert zone_named(name) is None


def test_a_timezone() -> None:
    assert str(zone_named("America/New_York")) == "America/New_York"
