"""What a person sees of a campaign: a line for each call that ended, a status line that moves, and
the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from vantum.campaigns.loading import Duplicate, Loaded
from vantum.campaigns.news import Dialled, Ended, Held, News, NotAllowed, Paused, Unread, Waiting
from vantum.campaigns.report import Report, Share
from vantum.screen import StatusLine, one_line

_NAMES: Final = {
    "no_answer": "no answer",
    "voicemail_left": "voicemail left",
    "hung_up": "hung up",
    "opted_out": "wants no calls",
    "callback": "call back",
}
#: What is waited for is said if it takes longer than that: the pace is no news.
_LONG_S: Final = 60.0


@define(eq=False)
class CampaignScreen:
    """Lines go to `say`; on a terminal, a status line moves below them.

    Without a terminal, what is waited for is a line too, each time it changes.
    """

    say: Callable[[str], Any]
    now_s: Callable[[], float] = time.time
    total: int = 0
    done: int = 0
    line: StatusLine = field(factory=StatusLine)
    _talking: int = field(default=0, init=False)
    _said: str = field(default="", init=False)
    _waiting: str = field(default="", init=False)

    def __enter__(self) -> CampaignScreen:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.draw("")

    def counted(self, waiting: int, dialling: int, done: int) -> None:
        """How many there are of each."""
        self.total, self.done = waiting + dialling + done, done
        self._draw()

    def show(self, news: News) -> None:
        """Show what happened."""
        match news:
            case Dialled():
                self._talking += 1
            case Ended(number, attempt, outcome, record, next_s):
                # A call of a run before was not dialled in this one.
                self._talking = max(0, self._talking - 1)
                self.done += next_s is None
                talked = record.duration_s if record is not None else None
                length = f", {talked:.0f} s" if talked else ""
                about = f", attempt {attempt}" if attempt > 1 else ""
                then = f"; again {self._clock(next_s)}" if next_s is not None else ""
                self._line(f"{number}  {_name(outcome)}{length}{about}{then}")
            case NotAllowed(number, refusal, next_s):
                self.done += next_s is None
                then = f"; again {self._clock(next_s)}" if next_s is not None else ""
                self._line(f"{number}  not called: {one_line(refusal.text)}{then}")
            case Paused(is_paused):
                self._line(
                    "Paused: nobody is called until it is resumed." if is_paused else "Resumed."
                )
            case Held(why, for_s):
                self._line(
                    f"Nobody can be called just now: {one_line(why)}; again in {for_s:.0f} s"
                )
            case Unread(why):
                self._line(f"Callbacks cannot be read just now: {one_line(why)}")
            case Waiting(until_s, active):
                is_long = until_s is not None and until_s - self.now_s() > _LONG_S
                until = f"next {self._clock(until_s)}" if until_s and is_long else ""
                if until and until != self._waiting and not active and not self.line.is_watched:
                    self._line(until)
                self._waiting = until
        self._draw()

    def say_line(self, text: str) -> None:
        """A line of somebody else's."""
        self._line(text)
        self._draw()

    def _clock(self, at_s: float) -> str:
        return clock(at_s, self.now_s())

    def _line(self, text: str) -> None:
        self.line.draw("")
        self.say(text)

    def _draw(self) -> None:
        parts = [f"{self.done} of {self.total} done", f"{self._talking} on the phone"]
        self.line.draw("  " + " · ".join([*parts, *filter(None, [self._waiting])]))


def clock(at_s: float, now_s: float) -> str:
    """A time as this machine's clock shows it, with the day if it is not today."""
    there, now = datetime.fromtimestamp(at_s), datetime.fromtimestamp(now_s)
    return there.strftime("%H:%M:%S" if there.date() == now.date() else "%a %d %b %H:%M")


def _name(outcome: str) -> str:
    return _NAMES.get(outcome, outcome)


# ---------------------------------------------------------------- words


def loaded_line(loaded: Loaded, listed: str) -> str:
    """What a list and the rules changed, in a line."""
    by_list = _counted(
        (loaded.rows - loaded.duplicates if loaded.is_first else 0, "prospect(s)"),
        (0 if loaded.is_first else loaded.added, "added"),
        (loaded.changed, "changed"),
        (loaded.removed, "removed"),
        (loaded.returned, "back again"),
        (loaded.duplicates, "duplicate(s)"),
    )
    same = "as the last time" if loaded.is_known else "no prospect added or removed"
    by_rules = _counted((loaded.reopened, "waiting again"), (loaded.closed, "done"))
    then = f"; by the rules as they are now: {by_rules}" if by_rules else ""
    return f"{listed}: {by_list or same}{then}"


def _counted(*counts: tuple[int, str]) -> str:
    return ", ".join(
        f"{count} {what.replace('(s)', '' if count == 1 else 's')}"
        for count, what in counts
        if count
    )


def problem_line(path: object, problem: object) -> str:
    """A row that is wrong, or is there twice."""
    kind = "" if isinstance(problem, Duplicate) else "wrong: "
    return one_line(f"{path}: {kind}{problem}")


def status_line(report: Report, now_s: float) -> str:
    """A campaign in a line."""
    is_later = report.next_s is not None and report.next_s > now_s
    then = f", next {clock(report.next_s, now_s)}" if report.next_s and is_later else ""
    return (
        f"{report.name}: {report.state}; {report.done} of {report.total} done, "
        f"{report.waiting} waiting, {report.dialling} on the phone{then}"
    )


def report_text(report: Report, now_s: float) -> str:
    """The whole report, as lines."""
    costs = ", ".join(f"{cost:.2f} {currency}" for currency, cost in report.costs.items())
    minutes, seconds = divmod(round(report.talk_s), 60)
    answered = f"{report.answered} answered, {report.converted} converted"
    lines = [
        status_line(report, now_s),
        "",
        f"calls        {report.calls}: {answered}",
        f"talk time    {minutes} min {seconds:02} s",
        f"cost         {costs or 'unknown'} (estimated)",
    ]
    for currency, shares in report.cost_parts.items():
        of_them = ", ".join(f"{part} {cost:.2f}" for part, cost in shares.items() if cost)
        lines.append(f"  of {currency:<8}  {of_them or 'nothing'}")
    blocks: Iterable[tuple[str, Mapping[Any, Any]]] = (
        ("Prospects that are done", {_name(k): v for k, v in report.results.items()}),
        ("Calls by outcome", {_name(k): v for k, v in report.outcomes.items()}),
        ("Prospects by attempts", report.attempts),
        ("Not called, by reason", report.refusals),
    )
    for title, counts in blocks:
        if counts:
            width = max(len(str(name)) for name in counts)
            lines += ["", title, *(f"  {name!s:<{width}}  {n:>6}" for name, n in counts.items())]
    lines += _shares("Answered by variant", {k or "(none)": v for k, v in report.variants.items()})
    by_hour = {f"{hour:02}:00": share for hour, share in report.hours.items()}
    lines += _shares(f"Calls by hour ({report.timezone})", by_hour)
    return "\n".join(lines)


def _shares(title: str, shares: Mapping[str, Share]) -> list[str]:
    if not shares:
        return []
    width = max(len(name) for name in shares)
    head = f"  {'':<{width}}   calls  answered  converted    rate"
    return [
        "",
        title,
        head,
        *(
            f"  {one_line(name):<{width}}  {s.calls:>6}  {s.answered:>8}  {s.converted:>9}  "
            f"{s.rate:>6.0%}"
            for name, s in shares.items()
        ),
    ]
