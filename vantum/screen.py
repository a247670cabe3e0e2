"""What a person sees of a replay: lines, a status line that moves, and the table at the end."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click
from attrs import define, field

from vantum.core.audio import dbfs
from vantum.core.events import LatencyMeasured
from vantum.core.latency import OWNERS
from vantum.replay import Interim, Listening, News, Said, Speaking, Turn

_BAR = 30
#: What holds letters and emoji together or apart (Persian, Hindi, 👩‍💻): harmless, and no space.
_JOINERS = "\u200c\u200d"


@define(eq=False)
class StatusLine:
    """A line on standard error that moves, if that is a terminal: `is_watched`."""

    is_watched: bool = field(factory=lambda: sys.stderr.isatty())
    _line: str = field(default="", init=False)

    def draw(self, line: str) -> None:
        """Let it say something else; empty: it goes away."""
        if not self.is_watched:
            return
        line = line[: _columns()]
        if line != self._line:
            rest = " " * (len(self._line) - len(line))
            # Back to the beginning, so that whatever is printed next overwrites it.
            with suppress(OSError):  # a terminal that is gone
                click.echo(f"\r{line}{rest}" + ("" if line else "\r"), nl=False, err=True)
            self._line = line


@define(eq=False)
class Screen:
    """Lines go to `say`; on a terminal, a status line on standard error moves below them."""

    say: Callable[[str], Any]
    length_s: float = 0.0
    line: StatusLine = field(factory=StatusLine)
    _interim: str = field(default="", init=False)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.draw("")

    def show(self, news: News) -> None:
        """Show what `replay_turn` tells."""
        match news:
            case Speaking(part) if part >= 1:
                self.line.draw("  waiting for the answer …")
            case Speaking(part):
                done = round(part * _BAR)
                seconds = f"{part * self.length_s:.1f} of {self.length_s:.1f} s"
                bar = "█" * done + "░" * (_BAR - done)
                line = f"  speaking  {bar} {seconds}  "
                # Of a long guess the newest words are worth seeing.
                room = max(0, _columns() - len(line))
                guess = self._interim
                self.line.draw(
                    line + (guess if len(guess) <= room else "…" + guess[len(guess) - room + 1 :])
                )
            case Listening(answer_s):
                self.line.draw(f"  listening {answer_s:.1f} s")
            case Interim(text) if self.line.is_watched:
                # The status line shows it with the next frame.
                self._interim = one_line(text)
            case Interim(text) if text != self._interim:
                self._interim = text
                self.say(f"  …       {one_line(text)}")
            case Interim():
                pass  # the same guess again
            case Said(who, text):
                self._interim = ""
                self.line.draw("")
                self.say(f"  {who + ':':<7} {one_line(text)}")


def _columns() -> int:
    # One less than there are: in the last one some terminals begin a new line.
    return shutil.get_terminal_size().columns - 1


def say_loading() -> None:
    """Say on a terminal that loading takes a moment."""
    if sys.stderr.isatty():
        click.echo("Loading the embedded providers …", err=True)


def one_line(text: str) -> str:
    """Text from elsewhere: on one line, and without a word to the terminal."""
    return "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)


def answer_line(turn: Turn) -> str:
    """What came of a turn, in a few words."""
    if turn.answer:
        heard = f"{turn.answer_s:.1f} s of speech at {dbfs(bytes(turn.answer)):.0f} dBFS"
        return f"{heard}, a fallback: the model failed" if turn.is_fallback else heard
    return "no answer" if turn.transcript else "nothing was recognised"


def table(turns: Sequence[Turn]) -> str:
    """The latencies of all turns, as lines of text."""
    head = ("turn", "recording", "words", "token", "voice", "end", "answer")
    rows = [head]
    for number, turn in enumerate(turns, 1):
        times = (turn.final_s, turn.thought_s, turn.speech_s, turn.complete_s)
        words, token, voice, end = ("–" if t is None else f"{t * 1000:.0f}" for t in times)
        length = f"{turn.answer_s:.1f} s" if turn.answer else "none"
        rows.append((str(number), one_line(turn.name), words, token, voice, end, length))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column == "recording" else cell.rjust(width)
            for column, cell, width in zip(head, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    # Before the end of a recording nobody waits.
    voices = [s for turn in turns if (s := turn.speech_s) is not None and s >= 0]
    return "\n".join(
        [
            "Milliseconds after the caller's last audio:",
            "",
            *lines,
            "",
            "words: the last ones recognised   token: the model's first",
            "voice: first audio of the answer  end: its last audio received",
            *([_summary(voices)] if voices else []),
        ]
    )


#: Cells of the longest bar, if the terminal has them; and what stands beside it.
_FALL, _BESIDE = 48, 34
_WHOSE = {
    "endpointing": "wait",
    "framework": "server",
    "stt": "recogniser",
    "queue": "wait",
    "llm": "model",
    "tools": "tools",
    "tts": "synthesiser",
    "client": "client",
}


def waterfall(turns: Sequence[Turn]) -> str:
    """Where each answer's time went, a bar for each part below the one before; "" if no server
    told."""
    blocks = [
        _fall(f"{number} {one_line(turn.name)}", latency)
        for number, turn in enumerate(turns, 1)
        for latency in turn.latencies
    ]
    return "\n\n".join(blocks)


def _fall(title: str, latency: LatencyMeasured) -> str:
    ahead = (
        f"; the model was asked {latency.ahead_ms:.0f} ms ahead of time" if latency.ahead_ms else ""
    )
    lines = [
        f"{title}: {latency.gap_ms:.0f} ms of silence, {latency.framework_ms:.1f} ms of it the "
        f"server's own ({latency.outcome}{ahead})"
    ]
    cells = max(8, min(_FALL, _columns() - _BESIDE))
    at_ms, whole_ms = 0.0, sum(latency.parts_ms.values()) or 1.0
    for step, owner in OWNERS.items():
        duration_ms = latency.parts_ms.get(step)
        if duration_ms is None:
            continue
        first, last = (round(cells * ms / whole_ms) for ms in (at_ms, at_ms + duration_ms))
        bar = " " * min(first, cells - 1) + ("█" * (last - first) or "▏")
        lines.append(f"  {step:<12}{_WHOSE[owner]:<12}{bar:<{cells}}{duration_ms:>8.1f}")
        at_ms += duration_ms
    return "\n".join(lines)


def _summary(voices: Sequence[float]) -> str:
    median, most = statistics.median(voices) * 1000, max(voices) * 1000
    if len(voices) == 1:
        return f"The caller waited {median:.0f} ms for a voice."
    return f"The caller waited {median:.0f} ms for a voice (median; at most {most:.0f} ms)."
