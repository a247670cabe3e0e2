"""What a telephone number says about itself: by Google's libphonenumber (the extra `phone`).

The package is loaded when it is first needed: its tables are large.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vantum.core.dial_policy import LineKind, Place
from vantum.errors import ConfigError

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

#: libphonenumber's name of a number whose timezone it does not know.
_UNKNOWN_ZONE: Final = "Etc/Unknown"
#: Its "region" of numbers that are of no country, such as +800 and +881.
_NO_REGION: Final = "001"
_NOWHERE: Final = Place("", "unknown", ())
#: North America's country code. Its area codes are the first three digits behind it.
_NANP: Final = 1
#: Area codes that were laid over older ones which reach into several timezones. The tables know the
#: older one's exchanges only. Source: "Area Code Overlays", https://www.lincmad.com/overlays.html.
_OVERLAYS: Final = {
    "236": "250",
    "257": "250",
    "364": "270",
    "367": "418",
    "448": "850",
    "458": "541",
    "581": "418",
    "672": "250",
    "729": "423",
    "778": "250",
    "879": "709",
    "930": "812",
    "986": "208",
}
#: Longer texts are no numbers, and libphonenumber takes its time to say so.
_MAX_CHARS: Final = 40
#: Of addresses that are numbers (RFC 3966).
_SCHEME: Final = "tel:"


def check_installed() -> None:
    """See that the packages are there.

    Raises:
        ConfigError: one is not; says how to install it.
    """
    for package in ("phonenumbers", "tzdata"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"calling numbers needs a package that is not installed ({package}): "
                'pip install "vantum[phone]"'
            )


def to_e164(text: str) -> str | None:
    """A number in international form, as E.164 (`+12125550123`); None: it is none.

    It need not be in use. An extension makes it none: we could not dial it. So does a letter: by
    the keys of a telephone "+49 30 1234567 (home)" would be another number.
    """
    number = _parsed(text)
    if number is None:
        return None
    import phonenumbers

    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_possible(e164: str) -> bool:
    """Whether the number has as many digits as numbers of its country have."""
    number = _parsed(e164)
    if number is None:
        return False
    import phonenumbers

    return phonenumbers.is_possible_number(number)


@cache
def _kinds() -> dict[int, LineKind]:
    from phonenumbers import PhoneNumberType as Type

    return {
        Type.FIXED_LINE: "fixed_line",
        Type.MOBILE: "mobile",
        Type.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
        Type.TOLL_FREE: "toll_free",
        Type.PREMIUM_RATE: "premium_rate",
        Type.SHARED_COST: "shared_cost",
        Type.VOIP: "voip",
        Type.PERSONAL_NUMBER: "personal_number",
        Type.PAGER: "pager",
        Type.UAN: "uan",
        Type.VOICEMAIL: "voicemail",
    }


def place_of(text: str) -> Place:
    """Country, kind of line and timezones of a number; nothing of any if it is not in use.

    Timezones are those that the number's area may be in. libphonenumber has a mobile number's where
    its prefix was given out, which need not be where it is, and for some areas a zone of another
    country whose clocks show the same in winter only: there, all zones of the country count as
    well. In North America it knows some exchanges of an area and guesses the others', and numbers
    are taken along: there, all zones of the area count. One that the timezone database does not
    have makes them unknown.
    """
    number = _parsed(text)
    if number is None:
        return _NOWHERE
    import phonenumbers
    from phonenumbers import timezone

    if not phonenumbers.is_valid_number(number):
        return _NOWHERE
    region = phonenumbers.region_code_for_number(number) or ""
    kind = _kinds().get(phonenumbers.number_type(number), "unknown")
    names = dict.fromkeys(timezone.time_zones_for_number(number))
    if number.country_code == _NANP:
        area = str(number.national_number)[:3]
        for code in (area, _OVERLAYS.get(area, area)):
            names |= dict.fromkeys(_zones_of_areas().get(code, ()))
    national = _zones_of_countries().get(region, ())
    if kind == "mobile" or not set(names) <= set(national):
        names |= dict.fromkeys(national)
    zones = [zone_named(name) for name in names]
    known = tuple(zone for zone in zones if zone is not None)
    return Place(
        "" if region == _NO_REGION else region, kind, known if len(known) == len(zones) else ()
    )


@cache
def _zones_of_areas() -> dict[str, tuple[str, ...]]:
    """North American area code → names of the timezones of all its exchanges that are known."""
    from phonenumbers.tzdata import TIMEZONE_DATA

    found: dict[str, dict[str, None]] = {}
    for prefix, names in TIMEZONE_DATA.items():
        if prefix.startswith(str(_NANP)) and len(prefix) >= 4:
            found.setdefault(prefix[1:4], {}).update(dict.fromkeys(names))
    return {area: tuple(names) for area, names in found.items()}


@cache
def _zones_of_countries() -> dict[str, tuple[str, ...]]:
    """IANA's table: ISO 3166 code → names of the country's timezones."""
    table = importlib.resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text("utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for line in table.splitlines():
        if not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            found[country] = (*found.get(country, ()), name)
    return found


def zone_named(name: str) -> ZoneInfo | None:
    """The timezone of an IANA name such as `America/New_York`; None: there is none."""
    if name == _UNKNOWN_ZONE:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory
        return None


def _parsed(text: str) -> PhoneNumber | None:
    import phonenumbers

    digits = text.strip().removeprefix(_SCHEME)
    if len(text) > _MAX_CHARS or any(map(str.isalpha, digits)):
        return None
    try:
        number = phonenumbers.parse(digits, None)
    except phonenumbers.NumberParseException:
        return None
    return None if number.extension else number
