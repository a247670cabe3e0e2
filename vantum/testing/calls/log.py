"""A call's log: what happened, with times, to be read like a transcript."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import trio
from attrs import define, field


@define(eq=False)
class Line:
    """One line. Its text may still grow while it happens: an answer is known when it is over."""

    at_s: float
    number: int
    who: str
    text: str


@define(eq=False)
class CallLog:
    """Lines in the order of their times. Nothing in it depends on the machine or the real clock."""

    began_s: float = field(factory=trio.current_time)
    lines: list[Line] = field(factory=list)
    _numbers: Iterator[int] = field(factory=itertools.count)

    def add(self, who: str, text: str, at_s: float | None = None) -> Line:
        """Something happens, now or at `at_s` on trio's clock."""
        now_s = trio.current_time() if at_s is None else at_s
        line = Line(now_s - self.began_s, next(self._numbers), who, text)
        self.lines.append(line)
        return line

    def text(self) -> str:
        """The whole log: `minutes:seconds.milliseconds who what`, a line each."""
        ordered = sorted(self.lines, key=lambda line: (round(line.at_s, 6), line.number))
        return "".join(f"{clock(x.at_s)} {x.who:<8} {x.text}\n" for x in ordered)

    __str__ = text


def clock(seconds: float) -> str:
    """As it stands in a log: 03:07.250."""
    milliseconds = round(seconds * 1000 + 1e-6)
    return f"{milliseconds // 60_000:02}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}"


def quoted(text: str) -> str:
    """Words that somebody said."""
    return f"“{text}”"
