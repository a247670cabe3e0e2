"""Whom a campaign calls next: the rules by example, and whole campaigns of any shape."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.campaign import (
    CALLBACK,
    FRESH,
    RETRY,
    Defer,
    Dial,
    Expire,
    Finished,
    Move,
    Postpone,
    Rules,
    Standing,
    Totals,
    Wait,
    called_back,
    dialled,
    ended,
    head,
    next_due_s,
    next_move,
    reconsidered,
    refused,
    removed,
    reopened,
)
from vantum.core.campaign_hours import Hours

NOON = datetime(2026, 12, 1, 12, tzinfo=ZoneInfo("UTC")).timestamp()
DAY = "2026-12-01"
ONE = Standing("+12125550101", 1, ("UTC",))
TOTALS = Totals(began_s=NOON)
OFFICE = Hours(windows=((9 * 60, 17 * 60),))


def move(
    rules: Rules, first: Standing | None = ONE, totals: Totals = TOTALS, now: float = NOON
) -> Move:
    return next_move(rules, totals, first, None if first is None else first.due_s, now)


def test_who_is_due_is_called() -> None:
    assert move(Rules()) == Dial(ONE.number)
    later = evolve(ONE, due_s=NOON + 5)
    assert head([later], NOON) is None
    assert next_move(Rules(), TOTALS, None, next_due_s([later]), NOON) == Wait(NOON + 5)


def test_the_order_is_callbacks_then_retries_then_the_list() -> None:
    fresh = [Standing(f"+1212555010{n}", n) for n in (3, 1, 2)]
    retry = Standing("+12125550104", 4, rank=RETRY, due_s=NOON - 10)
    older = Standing("+12125550105", 5, rank=RETRY, due_s=NOON - 20)
    callback = Standing("+12125550106", 6, rank=CALLBACK, due_s=NOON - 1)
    waiting = [*fresh, retry, older, callback, Standing("+12125550107", 0, status="done")]
    order = []
    while (first := head(waiting, NOON)) is not None:
        order.append(first.position)
        waiting.remove(first)
    assert order == [6, 5, 4, 1, 2, 3]


def test_never_more_calls_at_a_time() -> None:
    assert move(Rules(max_concurrent=2), totals=evolve(TOTALS, active=2)) == Wait(None)
    assert move(Rules(max_concurrent=2), totals=evolve(TOTALS, active=1)) == Dial(ONE.number)


def test_the_pace_and_its_ramp() -> None:
    rules = Rules(calls_per_minute=30)
    just = evolve(TOTALS, last_dial_s=NOON - 1)
    assert move(rules, totals=just) == Wait(NOON + 1)
    assert move(rules, totals=just, now=NOON + 1) == Dial(ONE.number)
    ramp = Rules(calls_per_minute=30, ramp_s=600)
    assert ramp.gap_s(NOON, NOON) == pytest.approx(20)
    assert ramp.gap_s(NOON + 300, NOON) == pytest.approx(2 / 0.55)
    assert ramp.gap_s(NOON + 600, NOON) == ramp.gap_s(NOON + 9000, NOON) == 2
    # A dial of the run before counts with the pace of the beginning.
    assert ramp.gap_s(NOON - 100, NOON) == pytest.approx(20)


def test_the_campaigns_calls_per_day() -> None:
    rules = Rules(max_calls_per_day=10, timezone="America/New_York")
    midnight = datetime(2026, 12, 2, tzinfo=ZoneInfo("America/New_York")).timestamp()
    full = evolve(TOTALS, day=DAY, calls_that_day=10)
    assert move(rules, totals=full) == Wait(midnight)
    assert move(rules, totals=evolve(full, calls_that_day=9)) == Dial(ONE.number)
    assert move(rules, totals=full, now=midnight) == Dial(ONE.number)
    assert move(Rules(), totals=evolve(full, calls_that_day=10**6)) == Dial(ONE.number)


def test_a_prospects_attempts_per_day() -> None:
    tried = evolve(ONE, day=DAY, attempts_that_day=2)
    midnight = datetime(2026, 12, 2, tzinfo=ZoneInfo("UTC")).timestamp()
    assert move(Rules(max_attempts_per_day=2), tried) == Defer(ONE.number, midnight)
    assert move(Rules(max_attempts_per_day=3), tried) == Dial(ONE.number)
    assert move(Rules(max_attempts_per_day=0), tried) == Dial(ONE.number)
    assert move(Rules(max_attempts_per_day=2), tried, now=midnight) == Dial(ONE.number)


def test_outside_the_hours_the_zone_waits() -> None:
    rules = Rules(hours=OFFICE, timezone="Asia/Tokyo")
    night = NOON + 8 * 3600
    opens = NOON + 21 * 3600
    assert move(rules, now=night) == Postpone(("UTC",), opens)
    assert move(rules, now=opens) == Dial(ONE.number)
    # Nobody knows where this one is: the campaign's own zone is taken (it is 21:00 there).
    assert move(rules, evolve(ONE, zones=())) == Postpone((), NOON + 12 * 3600)


def test_after_the_last_date_the_zone_is_done() -> None:
    rules = Rules(hours=Hours(last=date(2026, 11, 30)))
    assert move(rules) == Expire(("UTC",))
    # That is found out without waiting for a line.
    assert move(rules, totals=evolve(TOTALS, active=1)) == Expire(("UTC",))


def test_a_finished_campaign() -> None:
    assert move(Rules(), None) == Finished()
    assert move(Rules(), None, evolve(TOTALS, active=1)) == Wait(None)


def test_a_day_without_a_midnight_begins_when_it_begins() -> None:
    """In Havana, the clocks go forward at midnight."""
    rules = Rules(timezone="America/Havana")
    before = datetime(2026, 3, 7, 23, tzinfo=ZoneInfo("America/Havana")).timestamp()
    assert rules.day(before) == "2026-03-07"
    assert rules.day(rules.next_day_s(before)) == "2026-03-08"
    assert rules.day(rules.next_day_s(before) - 1) == "2026-03-07"


# ---------------------------------------------------------------- what follows


def test_an_attempt_counts_from_its_dial() -> None:
    once = dialled(Rules(), ONE, NOON)
    assert (once.status, once.attempts, once.day, once.attempts_that_day) == ("dialling", 1, DAY, 1)
    assert dialled(Rules(), once, NOON + 1).attempts_that_day == 2
    assert dialled(Rules(), once, NOON + 86_400).attempts_that_day == 1


@pytest.mark.parametrize(
    ("outcome", "pause_s"),
    [("busy", 1800), ("no_answer", 14_400), ("machine", 86_400), ("failed", 3600)],
)
def test_retries_follow_the_outcome(outcome: str, pause_s: float) -> None:
    calling = dialled(Rules(), ONE, NOON)
    again = ended(Rules(), calling, outcome, NOON)
    assert (again.status, again.rank, again.due_s) == ("waiting", RETRY, NOON + pause_s)
    assert again.result == outcome
    last = ended(Rules(max_attempts=1), calling, outcome, NOON)
    assert (last.status, last.result) == ("done", outcome)


@pytest.mark.parametrize("outcome", ["talked", "transferred", "voicemail_left", "opted_out"])
def test_final_outcomes_are_final(outcome: str) -> None:
    done = ended(Rules(), dialled(Rules(), ONE, NOON), outcome, NOON)
    assert (done.status, done.result) == ("done", outcome)


def test_a_callback_is_kept_beyond_the_attempts() -> None:
    rules = Rules(max_attempts=1)
    calling = dialled(rules, ONE, NOON)
    assert called_back(calling, NOON) == calling
    waiting = called_back(ended(rules, calling, "talked", NOON), NOON + 7200)
    assert (waiting.status, waiting.rank, waiting.due_s) == ("waiting", CALLBACK, NOON + 7200)
    moved = called_back(waiting, NOON + 9000)
    assert (moved.due_s, moved.granted) == (NOON + 9000, 1)
    again = dialled(rules, moved, NOON + 9000)
    assert ended(rules, again, "busy", NOON + 9000).status == "done"
    # Who does not want any more calls wants no callback either.
    gone = ended(rules, calling, "opted_out", NOON)
    assert called_back(gone, NOON + 7200) == gone
    assert called_back(removed(ONE), NOON).status == "done"


def test_refusals() -> None:
    later = refused(ONE, "outside_hours", NOON + 60, NOON)
    assert (later.status, later.due_s, later.attempts) == ("waiting", NOON + 60, 0)
    assert later.rank == FRESH
    passed = refused(ONE, "outside_hours", NOON - 60, NOON)
    assert passed.due_s > NOON
    never = refused(ONE, "do_not_call", None, NOON)
    assert (never.status, never.result) == ("done", "refused: do_not_call")


def test_who_was_taken_off_the_list_may_come_back() -> None:
    gone = removed(evolve(ONE, due_s=NOON))
    assert (gone.status, gone.result) == ("done", "removed")
    back = reopened(gone)
    assert (back.status, back.rank, back.due_s) == ("waiting", FRESH, 0)
    assert reopened(evolve(gone, attempts=1)).rank == RETRY


# ---------------------------------------------------------------- whole campaigns

OUTCOMES = ("talked", "busy", "no_answer", "machine", "voicemail_left", "failed", "opted_out")


@define
class Model:
    """A campaign in virtual time: carries out each move, and holds every promise while it does."""

    rules: Rules
    people: dict[str, Standing]
    data: st.DataObject
    now_s: float = NOON
    calls: dict[str, float] = field(factory=dict)  # number → when its call ends
    dials: list[tuple[float, str]] = field(factory=list)
    totals: Totals = TOTALS
    refusals: int = 0

    def run(self) -> None:
        for _ in range(5000):
            standings = tuple(self.people.values())
            totals = evolve(self.totals, active=len(self.calls))
            first, due_s = head(standings, self.now_s), next_due_s(standings)
            what = next_move(self.rules, totals, first, due_s, self.now_s)
            # The order of the list it is given means nothing.
            assert head(standings[::-1], self.now_s) == first
            match what:
                case Dial(number):
                    self.dial(number)
                case Postpone(zones, until_s):
                    assert until_s > self.now_s
                    self.put_off(zones, until_s)
                case Defer(number, until_s):
                    assert until_s > self.now_s
                    self.people[number] = evolve(self.people[number], due_s=until_s)
                case Expire(zones):
                    self.put_off(zones, None)
                case Wait(until_s):
                    self.wait(until_s)
                case Finished():
                    return
        raise AssertionError("it does not come to an end")

    def put_off(self, zones: tuple[str, ...], until_s: float | None) -> None:
        for number, each in self.people.items():
            if each.status != "waiting" or each.zones != zones:
                continue
            if until_s is None:
                self.people[number] = evolve(each, status="done", result="expired")
            else:
                self.people[number] = evolve(each, due_s=max(each.due_s, until_s))

    def dial(self, number: str) -> None:
        rules, before = self.rules, self.people[number]
        assert before.status == "waiting"
        assert before.due_s <= self.now_s
        assert number not in self.calls
        assert rules.hours.is_open(before.zones or (rules.timezone,), self.now_s)
        if self.data.draw(st.integers(0, 9)) == 0 and self.refusals < 20:
            self.refusals += 1
            retry_at_s = self.data.draw(st.none() | st.floats(NOON - 10, self.now_s + 90_000))
            self.people[number] = refused(before, "no_consent", retry_at_s, self.now_s)
            assert self.people[number].attempts == before.attempts
            return
        if self.dials:
            since_s = self.now_s - self.dials[-1][0]
            assert since_s >= 60 / rules.calls_per_minute - 1e-6
        self.dials.append((self.now_s, number))
        self.calls[number] = self.now_s + self.data.draw(st.floats(0.1, 400))
        self.people[number] = after = dialled(rules, before, self.now_s)
        assert len(self.calls) <= rules.max_concurrent
        assert after.attempts <= rules.max_attempts + after.granted
        day = rules.day(self.now_s)
        today = [n for at_s, n in self.dials if rules.day(at_s) == day]
        assert not rules.max_calls_per_day or len(today) <= rules.max_calls_per_day
        assert not rules.max_attempts_per_day or today.count(number) <= rules.max_attempts_per_day
        self.totals = Totals(NOON, 0, self.now_s, day, len(today))

    def wait(self, until_s: float | None) -> None:
        number, ends_s = min(self.calls.items(), key=lambda call: call[1], default=("", None))
        assert until_s is not None or ends_s is not None, "nothing to wait for"
        if ends_s is not None and (until_s is None or ends_s <= until_s):
            del self.calls[number]
            self.now_s = max(self.now_s, ends_s)
            outcome = self.data.draw(st.sampled_from(OUTCOMES))
            wanted = self.data.draw(st.integers(0, 7)) == 0 and self.people[number].granted < 2
            after = ended(self.rules, self.people[number], outcome, self.now_s)
            self.people[number] = called_back(after, self.now_s + 5000) if wanted else after
        else:
            assert until_s is not None
            assert until_s >= self.now_s
            self.now_s = until_s


ZONES = st.sampled_from([(), ("UTC",), ("Asia/Tokyo",), ("America/New_York", "America/Chicago")])
BUSY = evolve(ONE, status="done", rank=RETRY, attempts=3, result="busy", due_s=1.0)


def by_other_rules(rules: Rules, standing: Standing, last: str = "busy") -> Standing:
    return reconsidered(rules, standing, last, NOON - 600, NOON)


@pytest.mark.parametrize(
    ("rules", "standing", "status"),
    [
        (Rules(max_attempts=3), BUSY, "done"),
        (Rules(max_attempts=4), BUSY, "waiting"),
        (Rules(max_attempts=4, retry_s={}), BUSY, "done"),
        (Rules(max_attempts=3), evolve(BUSY, granted=1), "waiting"),
        (Rules(max_attempts=3), evolve(BUSY, status="waiting"), "done"),
        (Rules(max_attempts=4), evolve(BUSY, status="waiting"), "waiting"),
        (Rules(max_attempts=4, retry_s={}), evolve(BUSY, status="waiting"), "done"),
        (Rules(max_attempts=1), evolve(BUSY, status="dialling"), "dialling"),
        # The latest call was another; what ended it was no limit.
        (Rules(max_attempts=9), evolve(BUSY, result="refused: do_not_call"), "done"),
        (Rules(max_attempts=9), evolve(BUSY, result="removed"), "done"),
        # Refused for now: it stays so, unless that was its last attempt.
        (Rules(max_attempts=4), evolve(BUSY, status="waiting", result="refused: x"), "waiting"),
        (Rules(max_attempts=3), evolve(BUSY, status="waiting", result="refused: x"), "done"),
    ],
)
def test_other_rules_open_and_close(rules: Rules, standing: Standing, status: str) -> None:
    after = by_other_rules(rules, standing)
    assert after.status == status
    assert by_other_rules(rules, after) == after


def test_the_pause_of_other_rules_counts_from_the_call() -> None:
    later = Rules(max_attempts=9, retry_s={"busy": 3600})
    for status in ("waiting", "done"):
        after = by_other_rules(later, evolve(BUSY, status=status))
        assert (after.due_s, after.rank) == (NOON + 3000, RETRY)
    refused_now = evolve(BUSY, status="waiting", result="refused: x")
    assert by_other_rules(later, refused_now) == refused_now


@pytest.mark.parametrize("result", ["talked", "opted_out", "unreachable", "voicemail_left"])
def test_no_rules_open_what_is_final(result: str) -> None:
    done = evolve(BUSY, result=result)
    assert by_other_rules(Rules(max_attempts=9), done, last=result) == done


def test_other_hours() -> None:
    over = Rules(hours=Hours(last=date(2026, 11, 30)))
    longer = Rules(max_attempts=9, hours=Hours(last=date(2026, 12, 31)))
    fresh = evolve(ONE, status="done", result="expired")
    assert reconsidered(over, fresh, "", 0.0, NOON) == fresh
    again = reconsidered(longer, fresh, "", 0.0, NOON)
    assert (again.status, again.rank, again.due_s) == ("waiting", FRESH, 0.0)
    retry = by_other_rules(longer, evolve(BUSY, result="expired"))
    assert (retry.status, retry.rank, retry.due_s) == ("waiting", RETRY, NOON + 1200)
    assert by_other_rules(Rules(max_attempts=3), evolve(BUSY, result="expired")).status == "done"
    # What the old hours had postponed; the compliance check's word is another thing.
    assert reconsidered(longer, evolve(ONE, due_s=NOON + 9), "", 0.0, NOON) == ONE
    refused_now = evolve(ONE, due_s=NOON + 9, result="refused: outside_hours")
    assert reconsidered(longer, refused_now, "", 0.0, NOON) == refused_now


def test_a_promise_is_kept_by_any_rules() -> None:
    promised = called_back(BUSY, NOON + 9)
    assert by_other_rules(Rules(max_attempts=1, retry_s={}), promised, "callback") == promised
    expired = evolve(promised, status="done", result="expired")
    after = by_other_rules(Rules(max_attempts=1), expired, "callback")
    assert (after.status, after.rank, after.due_s) == ("waiting", CALLBACK, NOON + 9)
    back = reopened(removed(promised))
    assert (back.status, back.rank, back.due_s) == ("waiting", CALLBACK, NOON + 9)


RULES = st.builds(
    Rules,
    max_concurrent=st.integers(1, 4),
    calls_per_minute=st.floats(0.05, 120),
    ramp_s=st.sampled_from([0.0, 600.0, 86_400.0]),
    max_attempts=st.integers(1, 4),
    max_attempts_per_day=st.integers(0, 2),
    max_calls_per_day=st.integers(0, 3),
    retry_s=st.dictionaries(st.sampled_from(OUTCOMES), st.floats(0, 200_000)),
    hours=st.builds(
        Hours,
        st.sets(st.integers(0, 6), min_size=1).map(frozenset),
        st.sampled_from([((540, 1020),), ((480, 720), (780, 1200)), ((0, 1440),)]),
        st.none() | st.just(date(2026, 12, 3)),
        st.none() | st.just(date(2026, 12, 8)),
    ),
    timezone=st.sampled_from(["UTC", "America/New_York"]),
)


@settings(max_examples=120)
@given(RULES, st.lists(ZONES, max_size=8), st.data())
def test_a_campaign_keeps_its_promises(
    rules: Rules, zones: list[tuple[str, ...]], data: st.DataObject
) -> None:
    """Concurrency, pace, caps and hours hold at each dial; everybody ends somewhere."""
    people = {
        f"+121255501{n:02}": Standing(f"+121255501{n:02}", n, each) for n, each in enumerate(zones)
    }
    model = Model(rules, people, data)
    model.run()
    assert all(each.status == "done" for each in model.people.values())
    assert not model.calls
    for each in model.people.values():
        assert each.result
        made = sum(number == each.number for _, number in model.dials)
        assert each.attempts == made
