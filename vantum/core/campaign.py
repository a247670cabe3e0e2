"""Whom a campaign calls next, and when: rules, where each prospect stands, and what follows.

A prospect waits, is being called, or is done. `next_move` looks at the campaign's totals and at the
head of its queue and says what to do; `dialled`, `ended`, `refused` and `not_placed` say where the
prospect stands after it. Nothing here has a clock: all times are seconds since 1970, given.

Who waits is called in this order: callbacks that are due (somebody asked for them), second attempts
that are due (their time was chosen), then the others as the list has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from attrs import Factory, evolve, field, frozen

from vantum.core.campaign_hours import ANY_TIME, Hours

Status: TypeAlias = Literal["waiting", "dialling", "done"]
#: Of those that wait, who comes first: the lower one.
Rank: TypeAlias = Literal[0, 1, 2]
CALLBACK: Final[Rank] = 0
RETRY: Final[Rank] = 1
FRESH: Final[Rank] = 2
RANKS: Final[tuple[Rank, ...]] = (CALLBACK, RETRY, FRESH)

#: Outcomes of an attempt after which there may be another. `interrupted`: nobody knows what became
#: of it, because the process that dialled was ended in the middle.
RETRYABLE: Final = (
    "busy",
    "hung_up",
    "no_answer",
    "machine",
    "voicemail_left",
    "failed",
    "canceled",
    "interrupted",
)
#: Whoever says so is not called again, whatever else was said.
OPTED_OUT: Final = "opted_out"
#: Results of those that were not called to the end, and may be again.
EXPIRED: Final = "expired"
REMOVED: Final = "removed"
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
#: Pauses before another attempt; what is not there is not called again.
RETRY_S: Final[Mapping[str, float]] = {
    "busy": 30 * _MINUTE_S,
    "no_answer": 4 * _HOUR_S,
    "machine": 24 * _HOUR_S,
    "failed": _HOUR_S,
    "canceled": _HOUR_S,
    "interrupted": _HOUR_S,
}
#: A refusal that says "later" and names a time that has passed is asked again after so long.
_ASK_AGAIN_S: Final = 60.0
#: The pace at the beginning of the ramp, as a part of the full one.
_RAMP_BEGINS: Final = 0.1


@frozen
class Rules:
    """How a campaign calls.

    Attributes:
        max_concurrent: calls at a time, at least 1.
        calls_per_minute: the pace, above 0: dials are at least 60 / `calls_per_minute` s apart.
        ramp_s: how long after the start of a run until the full pace, from a tenth of it.
        max_attempts: for each prospect. A callback that was asked for is one more.
        max_attempts_per_day: for each prospect; 0: no such limit.
        max_calls_per_day: of the whole campaign; 0: no such limit.
        retry_s: outcome → pause before the next attempt; not there: no further attempt.
        hours: when prospects are called, in their own time.
        timezone: whose days the limits per day count, by IANA's name.
    """

    max_concurrent: int = 1
    calls_per_minute: float = 6.0
    ramp_s: float = 0.0
    max_attempts: int = 3
    max_attempts_per_day: int = 2
    max_calls_per_day: int = 0
    retry_s: Mapping[str, float] = field(default=Factory(lambda: dict(RETRY_S)), hash=False)
    hours: Hours = ANY_TIME
    timezone: str = "UTC"

    def gap_s(self, at_s: float, began_s: float) -> float:
        """How long after a dial at `at_s` the next one may be. `began_s`: the run's start."""
        part = 1.0
        if self.ramp_s > 0:
            done = max(0.0, at_s - began_s) / self.ramp_s
            part = min(1.0, _RAMP_BEGINS + (1 - _RAMP_BEGINS) * done)
        return _MINUTE_S / (self.calls_per_minute * part)

    def day(self, at_s: float) -> str:
        """The campaign's day at that time, as ISO writes it."""
        return datetime.fromtimestamp(at_s, ZoneInfo(self.timezone)).date().isoformat()

    def next_day_s(self, at_s: float) -> float:
        """When the campaign's next day begins."""
        zone = ZoneInfo(self.timezone)
        tomorrow = datetime.fromtimestamp(at_s, zone).date() + timedelta(days=1)
        # Where the clocks go forward at midnight, this is the first hour that there is.
        return datetime.combine(tomorrow, time(), zone).timestamp()


@frozen
class Standing:
    """Where one prospect stands.

    Attributes:
        number: E.164; there is one prospect of a number.
        position: its place in the list.
        zones: the time zones in which it may be; empty: unknown. Then the campaign's own is taken
            here, and the compliance check judges.
        due_s: if it waits, not before.
        attempts: calls that were placed.
        granted: attempts beyond `Rules.max_attempts`, by callbacks that were asked for.
        day, attempts_that_day: of its latest attempt, in the campaign's time.
        result: how the latest attempt ended, or why there was none.
    """

    number: str
    position: int
    zones: tuple[str, ...] = ()
    status: Status = "waiting"
    rank: Rank = FRESH
    due_s: float = 0.0
    attempts: int = 0
    granted: int = 0
    day: str = ""
    attempts_that_day: int = 0
    result: str = ""


@frozen
class Totals:
    """Where the campaign stands as a whole.

    Attributes:
        began_s: when this run of it began.
        active: prospects that are being called.
        last_dial_s: the latest dial of any run; None: there was none.
        day, calls_that_day: the day of the latest dial, and how many that day has had.
    """

    began_s: float
    active: int = 0
    last_dial_s: float | None = None
    day: str = ""
    calls_that_day: int = 0


# ---------------------------------------------------------------- what to do


@frozen
class Dial:
    """Call the head of the queue."""

    number: str


@frozen
class Postpone:
    """Nobody in these zones is called before `until_s`."""

    zones: tuple[str, ...]
    until_s: float


@frozen
class Defer:
    """This prospect is not called before `until_s`."""

    number: str
    until_s: float


@frozen
class Expire:
    """Nobody in these zones can be called any more: the hours do not open again."""

    zones: tuple[str, ...]


@frozen
class Wait:
    """Nothing to do until then, or until a call ends; None: until a call ends."""

    until_s: float | None


@frozen
class Finished:
    """Everybody is done."""


Move: TypeAlias = Dial | Postpone | Defer | Expire | Wait | Finished


def head(standings: Iterable[Standing], now_s: float) -> Standing | None:
    """Who is next of those that wait and are due; None: nobody is."""
    due = [each for each in standings if each.status == "waiting" and each.due_s <= now_s]
    return min(due, key=lambda each: (each.rank, each.due_s, each.position), default=None)


def next_due_s(standings: Iterable[Standing]) -> float | None:
    """When the first of those that wait is due; None: nobody waits."""
    return min((each.due_s for each in standings if each.status == "waiting"), default=None)


def next_move(
    rules: Rules, totals: Totals, first: Standing | None, due_s: float | None, now_s: float
) -> Move:
    """What to do now. To be asked again after each move that was carried out.

    Args:
        first: `head` of the prospects.
        due_s: `next_due_s` of them.
    """
    if first is None:
        if due_s is not None:
            return Wait(max(due_s, now_s))
        return Wait(None) if totals.active else Finished()
    opens_s = rules.hours.opens_s(first.zones or (rules.timezone,), now_s)
    if opens_s is None:
        return Expire(first.zones)
    if totals.active >= rules.max_concurrent:
        return Wait(None)
    day = rules.day(now_s)
    if totals.day == day and 0 < rules.max_calls_per_day <= totals.calls_that_day:
        return Wait(rules.next_day_s(now_s))
    if totals.last_dial_s is not None:
        pace_s = totals.last_dial_s + rules.gap_s(totals.last_dial_s, totals.began_s)
        if now_s < pace_s:
            return Wait(pace_s)
    if opens_s > now_s:
        return Postpone(first.zones, opens_s)
    if first.day == day and 0 < rules.max_attempts_per_day <= first.attempts_that_day:
        return Defer(first.number, rules.next_day_s(now_s))
    return Dial(first.number)


# ---------------------------------------------------------------- what follows


def dialled(rules: Rules, standing: Standing, now_s: float) -> Standing:
    """Its phone is about to ring."""
    day = rules.day(now_s)
    before = standing.attempts_that_day if standing.day == day else 0
    return evolve(
        standing,
        status="dialling",
        attempts=standing.attempts + 1,
        day=day,
        attempts_that_day=before + 1,
    )


def ended(rules: Rules, standing: Standing, outcome: str, now_s: float) -> Standing:
    """Its call is over. A callback that was asked for is `called_back` after it."""
    after = evolve(standing, status="done", result=outcome)
    pause_s = None if outcome == OPTED_OUT else rules.retry_s.get(outcome)
    if pause_s is None or standing.attempts >= rules.max_attempts + standing.granted:
        return after
    return evolve(after, status="waiting", rank=RETRY, due_s=now_s + pause_s)


def called_back(standing: Standing, at_s: float) -> Standing:
    """It wants to be called at that time: a promise, whatever attempts there were before. Nothing
    changes for who wants no calls, is off the list, or is being called and may say more yet."""
    if standing.status == "dialling" or standing.result in (OPTED_OUT, REMOVED):
        return standing
    # To ask twice is one callback.
    is_known = standing.status == "waiting" and standing.rank == CALLBACK
    granted = standing.granted + (0 if is_known else 1)
    return evolve(standing, status="waiting", rank=CALLBACK, due_s=at_s, granted=granted)


def refused(before: Standing, code: str, retry_at_s: float | None, now_s: float) -> Standing:
    """The compliance check did not let it be called. It was no attempt.

    Args:
        before: where it stood before `dialled`.
        code: the first reason.
        retry_at_s: when it may be different; None: it stays refused.
    """
    if retry_at_s is None:
        return evolve(before, status="done", result=f"refused: {code}")
    due_s = retry_at_s if retry_at_s > now_s else now_s + _ASK_AGAIN_S
    return evolve(before, due_s=due_s, result=f"refused: {code}")


def removed(standing: Standing) -> Standing:
    """The list does not have it any more."""
    return evolve(standing, status="done", result=REMOVED)


def reopened(standing: Standing) -> Standing:
    """It waits again: the list has it again, or the hours have changed."""
    if standing.rank == CALLBACK:
        return evolve(standing, status="waiting")  # it is still promised, for that time
    rank = RETRY if standing.attempts else FRESH
    return evolve(standing, status="waiting", rank=rank, due_s=0.0)


def reconsidered(
    rules: Rules, standing: Standing, last: str, ended_s: float, now_s: float
) -> Standing:
    """Where it stands by these rules, which may be others than those it was called by: done only
    by an old limit it waits again, and waiting only by an old one it is done. A callback that was
    promised is kept, and who has not been called waits for nothing but the hours.

    Args:
        last: the outcome of its latest attempt, which ended at `ended_s`; empty: there was none.
    """
    result, is_waiting = standing.result, standing.status == "waiting"
    if standing.status == "dialling" or (is_waiting and standing.rank == CALLBACK):
        return standing
    if not is_waiting and result == EXPIRED:
        if rules.hours.opens_s(standing.zones or (rules.timezone,), now_s) is None:
            return standing
        standing, is_waiting = reopened(standing), True
        if standing.rank == CALLBACK:
            return standing
    if not last:
        # What postponed it were the hours as they were then.
        return evolve(standing, due_s=0.0) if is_waiting and not result else standing
    pause_s = rules.retry_s.get(last)
    if pause_s is None or standing.attempts >= rules.max_attempts + standing.granted:
        return evolve(standing, status="done", result=last) if is_waiting else standing
    if result == last or (is_waiting and result in (EXPIRED, REMOVED)):
        return evolve(standing, status="waiting", rank=RETRY, due_s=ended_s + pause_s)
    return standing
