"""One value of one setting: from text or from TOML to what the declaration asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from vantum.config.base import Secret
from vantum.config.declared import MARKER_CHARS, Declared
from vantum.config.tools import parse_phone_tools
from vantum.config.transfer import parse_destinations
from vantum.core.calling_hours import parse_holidays, parse_hours
from vantum.core.cost import parse_rates
from vantum.core.dial_policy import parse_caps
from vantum.core.markers import marker_grammar
from vantum.core.opt_out import parse_languages
from vantum.core.prompts import check_own_text, divided

_TRUE: Final = {"true", "yes", "on", "1"}
_FALSE: Final = {"false", "no", "off", "0"}
_SHOWN_CHARS: Final = 60
#: Longer whole numbers cannot even be printed in decimal (a limit of Python's).
_SHOWN_BITS: Final = 256
_USER_NAME: Final = re.compile(r".*@", re.DOTALL)
_QUERY: Final = re.compile(r"[?#].*", re.DOTALL)
#: In a text that is no address but holds one.
_LOGIN: Final = re.compile(r"(?<=://)\S*@")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")


class WrongValue(Exception):
    """The value is not allowed. Its text is the end of an error line: value and what is allowed.

    `shown` is the value as it may be printed, None if it may not.
    """

    def __init__(self, row: Declared, value: object) -> None:
        self.shown = None if row.kind == "secret" else shown(row, value)
        in_utf8 = ", in UTF-8" if isinstance(value, str) and not _is_text(value) else ""
        super().__init__(f"must be {row.allowed}{in_utf8}")


def parse(row: Declared, value: object) -> object:
    """The value in the setting's own type.

    Args:
        value: text as an environment variable holds it, if it is a str; else a value of TOML.

    Raises:
        WrongValue: it is not allowed.
    """
    match row.kind, value:
        case (("int" | "float" | "bool"), str()):
            parsed = _from_text(row, value.strip())
        case "bool", bool():
            parsed = value
        case "int", int() if not isinstance(value, bool):
            parsed = value
        case "float", int() | float() if not isinstance(value, bool):
            parsed = _finite(value)
        case "secret", Secret():
            parsed = value
        case "secret", str() if _plain(text := value.strip()) and _has_token(row, text):
            parsed = Secret(text)
        case "str", str() if _is_text(value):
            parsed = _text(row, value)
        case _:
            parsed = None
    if parsed is None or not _in_range(row, parsed):
        raise WrongValue(row, value)
    return parsed


def shown(row: Declared, value: object) -> str:
    """A value on one short line. A secret is `***`, or nothing if it is not set."""
    if row.kind == "secret":
        return "***" if value else ""
    match value:
        case bool():
            text = str(value).lower()
        case int() if value.bit_length() > _SHOWN_BITS:
            text = "a number of very many digits"
        case str():
            text = value
        case _:
            text = type(value).__name__ if isinstance(value, list | dict) else str(value)
    if row.form == "url":
        text = _QUERY.sub("***", _USER_NAME.sub("***@", text))
    text = _LOGIN.sub("***@", text)
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"


def _from_text(row: Declared, text: str) -> object:
    """A number or a truth value out of text; None if it is none."""
    if row.kind == "bool":
        word = text.lower()
        return word in _TRUE if word in _TRUE | _FALSE else None
    if not text.isascii() or "_" in text:  # Python reads the digits of all scripts, and 1_000
        return None
    try:
        return int(text) if row.kind == "int" else _finite(float(text))
    except ValueError:
        return None


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(row: Declared, value: str) -> str | None:
    """Text of the allowed form; choices in their own spelling."""
    if row.choices:
        word = value.strip().lower()
        return next((choice for choice in row.choices if choice.lower() == word), None)
    match row.form:
        case "url":  # the default may be that there is none
            text = value.strip()
            return text if text == row.default or _is_address(text) else None
        case "nonempty":
            return value.strip() or None
        case "header":
            return value.strip() if _plain(value.strip()) else None
        case "marker":
            return value if _is_marker(value) else None
        case "spoken":
            return value if any(map(str.isalnum, value)) else None
        case "number":
            text = value.strip()
            return text if not text or _NUMBER.fullmatch(text) else None
        case "rates":
            return value if _are_rates(value) else None
        case form if form in _READ_BY:
            return value if _can_be_read(form, value) else None
        case _:
            return value


def _can_be_read(form: str, value: str) -> bool:
    try:
        _READ_BY[form](value)
    except (ValueError, re.error, RecursionError, OverflowError):
        return False
    return True


def _numbers(text: str) -> None:
    for part in text.split(","):
        digits = re.sub(r"[ ().-]", "", part)
        if digits and not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
            raise ValueError


def _countries(text: str) -> None:
    for part in text.split(","):
        if part.strip() and not re.fullmatch(r"[A-Za-z]{2}", part.strip()):
            raise ValueError


def _own_texts(text: str) -> None:
    for part in divided(text):
        check_own_text(part)


#: Forms whose text something else reads, which raises ValueError if it cannot.
_READ_BY: Final[dict[str, Callable[[str], object]]] = {
    "hours": parse_hours,
    "holidays": parse_holidays,
    "caps": parse_caps,
    "countries": _countries,
    "destinations": parse_destinations,
    "numbers": _numbers,
    "opt_out_languages": parse_languages,
    "pattern": re.compile,
    "own_text": check_own_text,
    "own_texts": _own_texts,
    "phone_tools": parse_phone_tools,
}


def _has_token(row: Declared, text: str) -> bool:
    """Nothing but commas would be read as no tokens at all, and let everybody in."""
    return row.form != "tokens" or not text or bool(text.strip(" ,"))


def _is_address(value: str) -> bool:
    if not _plain(value) or " " in value:
        return False
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname)
        return usable and parts.port != 0 and not (set("@?#") & set(value))
    except ValueError:
        return False


def _is_marker(value: str) -> bool:
    if len(value) > MARKER_CHARS or not value.isprintable():
        return False
    try:
        marker_grammar(value)
    except ValueError:
        return False
    return True


def _are_rates(value: str) -> bool:
    try:
        parse_rates(value)
    except ValueError:
        return False
    return True


def _is_text(value: str) -> bool:
    """Whether it can be sent: bytes of the environment that are no UTF-8 are half characters."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _plain(text: str) -> bool:
    """Whether it can stand in a header."""
    return text.isascii() and text.isprintable()


def _in_range(row: Declared, value: object) -> bool:
    if not isinstance(value, int | float):
        return True
    return (row.low is None or value >= row.low) and (row.high is None or value <= row.high)
