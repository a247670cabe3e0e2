"""Text as it should be spoken, where the synthesiser's own reading of it is wrong.

hibari reads numbers, money, percentages, times, dates, units, titles and acronyms by itself. What
it lacks (found by looking at its phonemes): addresses lose their dots, telephone numbers become
hundreds, a slash disappears, "50k" ends in a letter, and anything not in Latin script turns to
noise. Pure; English.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BREAK: Final = re.compile(r"\|+\s*(?:BREAK)?\s*\|*", re.IGNORECASE)
_STAGE: Final = re.compile(r"\[[^\]]*\]")
_TLD: Final = "com|org|net|edu|gov|info|biz|dev|app|tech|io|ai|co|us|uk|de|eu|ca|me|tv"
_EMAIL: Final = re.compile(r"(?<![\w.+-])([\w+-]+(?:\.[\w+-]+)*)@([\w-]+(?:\.[\w-]+)+)")
_HOST: Final = r"(?:[\w-]+\.)+"
_URL: Final = re.compile(
    rf"(?<![\w@.-])(?:https?://|(?=www\.|{_HOST}(?:{_TLD})\b))(?:www\.)?"
    rf"({_HOST}[a-z]{{2,}})((?:/[\w-]+)*)/?",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(?:https?|wss?)://", re.IGNORECASE)
_PHONE: Final = re.compile(
    r"(?<![\w.,$€£-])(\+?\d{1,3}[ .-])?\(?(\d{3})\)?[ .-](\d{3})[ .-](\d{4})(?![\w-]|\.\d)"
)
_TIME_RANGE: Final = re.compile(r"(?<=\d:\d\d)\s?[-–]\s?(?=\d{1,2}:\d\d)")
_SHORT_NUMBER: Final = re.compile(r"(?<![\w.,$€£])(\d+(?:[.,]\d+)*)([kKMB]|bn)\b")
_TIMES: Final = re.compile(r"(?<![\w.,])(\d+(?:\.\d+)?)x\b")
_PER: Final = re.compile(
    r"(?<=[\w)])\s?/\s?(second|minute|hour|day|week|month|quarter|year|user|seat|person|call|agent"
    r"|min|hr|mo|yr)\b",
    re.IGNORECASE,
)
_AND_OR: Final = re.compile(r"\band\s?/\s?or\b", re.IGNORECASE)
_OR: Final = re.compile(r"(?<=[a-z])\s?/\s?(?=[a-zA-Z])")
_SLASH: Final = re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])")
_AROUND_THE_CLOCK: Final = re.compile(r"\b24/7\b")
_PERCENT_RANGE: Final = re.compile(r"(?<=\d%)\s?[-–]\s?(?=\d)")
_SPACE: Final = re.compile(r"\s+")

_THOUSANDS: Final = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}
_LETTERS: Final = {short: short.upper() for short in ("io", "ai", "us", "uk", "tv", "eu", "de")}
_UNITS: Final = {"min": "minute", "hr": "hour", "mo": "month", "yr": "year"}
_SIGNS: Final = {".": " dot ", "-": " dash ", "_": " underscore ", "+": " plus ", "/": " slash "}


def speakable(text: str) -> str:
    """`text` in words the synthesiser reads rightly; "" if nothing in it can be spoken."""
    text = _latin(unicodedata.normalize("NFKC", text))
    text = _STAGE.sub(" ", _BREAK.sub(" ", text))
    text = _EMAIL.sub(lambda m: f"{_spelt(m[1])} at {_spelt(m[2])}", text)
    text = _URL.sub(lambda m: _spelt(m[1] + m[2]), text)
    text = _SCHEME.sub(" ", text)
    text = _PHONE.sub(_phone, text)
    text = _AROUND_THE_CLOCK.sub("twenty-four seven", text)
    text = _PERCENT_RANGE.sub(" to ", _TIME_RANGE.sub(" to ", text))
    text = _SHORT_NUMBER.sub(lambda m: f"{m[1]} {_THOUSANDS[m[2].lower()]}", text)
    text = _TIMES.sub(r"\1 times", text)
    text = _AND_OR.sub("and or", text)
    text = _PER.sub(lambda m: f" per {_UNITS.get(m[1].lower(), m[1])}", text)
    text = _SLASH.sub(" ", _OR.sub(" or ", text))
    text = _SPACE.sub(" ", text).strip()
    return text if any(c.isalnum() for c in text) else ""


def _latin(text: str) -> str:
    """Without letters of other scripts and without pictures: both would be read as noise."""
    return "".join(c if _is_readable(c) else " " for c in text)


def _is_readable(char: str) -> bool:
    if char.isascii():
        return True
    if char.isalpha():
        return unicodedata.name(char, "").startswith("LATIN")
    category = unicodedata.category(char)
    return category[0] == "P" or category in ("Sc", "Mn") or char in "°×÷±½¼¾"


def _spelt(address: str) -> str:
    """A mail or web address in words; its letter endings as letters ("io" → "IO")."""
    first, *rest = re.split(r"([._+/-])", address)
    return first + "".join(_SIGNS.get(word) or _LETTERS.get(word.lower(), word) for word in rest)


def _phone(match: re.Match[str]) -> str:
    """Digit by digit, with a pause between the groups."""
    groups = [g for g in match.groups() if g]
    plus = "plus " if groups[0].startswith("+") else ""
    return plus + ", ".join(" ".join(c for c in group if c.isdigit()) for group in groups)
