"""Keys of a telephone as tones: what the agent presses, as audio and as words of the record. Pure.

Each key is two sines at once (ITU-T Q.23), 100 ms long with 100 ms of silence behind: twice what a
receiver has to understand (Q.24). The upper tone is 2 dB above the lower one, since lines lose more
of high frequencies, and both are far from what mu-law clips (ETSI ES 201 235-2 sends -9 and
-11 dBV). Pauses are written as Twilio and modems do: `w` is half a second, `W` a whole one.

In the record the keys stand as "(sent digits 42#)". While they are played each key is a piece of
the answer by itself, so that an answer that is cut knows which of them were heard.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import numpy as np

from vantum.core.audio import from_float
from vantum.core.leaving_out import leave_out

__all__ = [
    "MAX_KEYS",
    "WrittenNotes",
    "as_note",
    "check_keys",
    "join_notes",
    "split_notes",
    "strip_notes",
    "tone",
]

#: Longer than an account number with its pauses; at five keys a second, about ten seconds.
MAX_KEYS: Final = 40
TONE_S: Final = 0.1
GAP_S: Final = 0.1
PAUSES_S: Final = {"w": 0.5, "W": 1.0}

_LOW_HZ: Final = (697.0, 770.0, 852.0, 941.0)
_HIGH_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
_ROWS: Final = ("123A", "456B", "789C", "*0#D")
_PAIRS: Final = {
    key: (low, high)
    for low, row in zip(_LOW_HZ, _ROWS, strict=True)
    for high, key in zip(_HIGH_HZ, row, strict=True)
}
#: Peaks of the two sines, of 1.0: -9 and -11 dBm0, where mu-law's full scale is 3.17 dBm0.
_HIGH_PEAK: Final = 10 ** ((-9 - 3.17) / 20)
_LOW_PEAK: Final = 10 ** ((-11 - 3.17) / 20)
#: A tone that begins at once would click.
_RAMP_S: Final = 0.003

_ALLOWED: Final = re.compile(r"[0-9A-D*#wW]+")
_NOTE: Final = re.compile(r"\(sent digits ([0-9A-D*#wW]+)\)")
#: Of a model's text; a longer one is none, which also bounds what is held back.
_WRITTEN: Final = re.compile(r"\(sent digits [0-9A-D*#wW]{1,200}\)")
_BEGUN: Final = re.compile(r"\(sent digits [0-9A-D*#wW]{0,200}")
_BEGINS: Final = "(sent digits "
_NEIGHBOURS: Final = re.compile(r"([0-9A-D*#wW])\) \(sent digits (?=[0-9A-D*#wW]+\))")


def check_keys(text: str) -> str:
    """The keys of a text, without the spaces, dashes and brackets that people group them with.

    Raises:
        ValueError: there are others among them, none, or too many; says what is allowed.
    """
    keys = re.sub(r"[\s().,-]", "", text)
    # A lower-case letter is a key too; `w` and `W` are not the same.
    keys = "".join(c if c in PAUSES_S else c.upper() for c in keys)
    if not _ALLOWED.fullmatch(keys) or not keys.strip("wW"):
        raise ValueError("digits must be 0 to 9, *, #, A to D; w is a pause of 0.5 s, W of 1 s")
    if len(keys) > MAX_KEYS:
        raise ValueError(f"{len(keys)} digits: there may be {MAX_KEYS} at once")
    return keys


@lru_cache(maxsize=64)
def tone(key: str, rate_hz: int) -> bytes:
    """One key's tone with the silence behind it, or one pause: PCM at `rate_hz`.

    KeyError if there is no such key.
    """
    if key in PAUSES_S:
        return bytes(2 * round(PAUSES_S[key] * rate_hz))
    low_hz, high_hz = _PAIRS[key]
    times = np.arange(round(TONE_S * rate_hz)) / rate_hz
    wave = _LOW_PEAK * np.sin(2 * np.pi * low_hz * times)
    wave += _HIGH_PEAK * np.sin(2 * np.pi * high_hz * times)
    ramp = np.minimum(1.0, np.minimum(times, times[::-1]) / _RAMP_S)
    return from_float(wave * ramp) + bytes(2 * round(GAP_S * rate_hz))


def sounding_s(key: str) -> float:
    """How much of `tone` has to be heard for the key to have been sent."""
    return PAUSES_S.get(key, TONE_S)


def as_note(keys: str) -> str:
    """The keys as words of the record."""
    return f"(sent digits {keys})"


def join_notes(text: str) -> str:
    """A text with the notes of neighbouring keys as one: "(sent digits 42)"."""
    return _NEIGHBOURS.sub(r"\1", text)


class WrittenNotes:
    """Text in tokens → the text without notes of keys: a model that has seen what it pressed may
    write such a note instead of pressing. It would be read out, and stand in the record as sent.

    Holds back at most a note's length. What comes of text depends on the text alone, never on how
    it was split into tokens.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    def feed(self, token: str, *, final: bool = False) -> str:
        """What is certain after `token`, without notes; with `final`, everything: what a note has
        begun with is left out too."""

        def judge(text: str, begin: int) -> int | None:
            if note := _WRITTEN.match(text, begin):
                return note.end()
            if _BEGUN.fullmatch(text, begin):
                return len(text) if final else None
            return None if not final and _BEGINS.startswith(text[begin:]) else begin

        certain, self._held = leave_out(self._held + token, "(", judge)
        return certain


def strip_notes(text: str) -> str:
    """`text` without notes of keys."""
    return WrittenNotes().feed(text, final=True)


def split_notes(text: str) -> list[tuple[str, str]]:
    """A text in parts, in order: words, or keys that one of our notes names.

    Returns:
        Pairs of which one is empty: words as they are (without spaces around them), and keys.
    """
    parts: list[tuple[str, str]] = []
    for number, part in enumerate(_NOTE.split(text)):
        if number % 2:
            parts.append(("", part))
        elif words := part.strip():
            parts.append((words, ""))
    return parts
