"""Campaigns that run: on a virtual clock, over a real database file and a simulated network."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest
import trio
from attrs import Factory, define, evolve
from trio.testing import MockClock

from tests.campaigns.desk import BEGIN, NUMBERS, POLL_S, Desk, open_desk
from vantum.campaigns.dialling import OwnDialler
from vantum.campaigns.lease import CampaignBusy, LeaseLost, Owner
from vantum.campaigns.news import Dialled, Ended, Held, NotAllowed, Paused, Unread, Waiting
from vantum.campaigns.run import CampaignRun, CampaignStopped
from vantum.core.campaign import Standing
from vantum.core.refusals import Reason, Refusal
from vantum.errors import ConfigError, StorageError, VantumError
from vantum.telephony.callbacks import Callback
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lines import NoLine
from vantum.telephony.orders import CallOrder
from vantum.telephony.record import CallRecord
from vantum.telephony.records import STOPPED
from vantum.telephony.wishes import CallbacksUnknown
from vantum.testing.network import Answer, Persona, SimulatedNetwork

ANN, BOB, CAT = "+12125550101", "+12125550102", "+12125550103"
Said: TypeAlias = Answer | Refusal | VantumError
NIGHT_AND_DAY = """
[pace]
calls_per_minute = 60
"""


def answers(by_number: dict[str, list[Said]]) -> Persona:
    """What each number does call by call; the last goes on for ever."""

    def persona(number: str, attempt: int) -> Said:
        mine = by_number.get(number, [Answer("talked")])
        return mine[min(attempt, len(mine)) - 1]

    return persona


async def test_everybody_is_called_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_desk(tmp_path) as desk:
        assert await desk.run(desk.plan(NIGHT_AND_DAY, [ANN, BOB, CAT]))
        assert [number for _, number in desk.network.dialled] == [ANN, BOB, CAT]
        assert await desk.outcomes() == [(n, 1, "talked") for n in (ANN, BOB, CAT)]
        ended = [news for news in desk.news if isinstance(news, Ended)]
        assert [(news.number, news.outcome, news.next_s) for news in ended] == [
            (number, "talked", None) for number in (ANN, BOB, CAT)
        ]
        # Again: there is nothing to do.
        assert await desk.run(desk.plan(NIGHT_AND_DAY, [ANN, BOB, CAT]))
        assert len(desk.network.dialled) == 3


async def test_retries_and_the_pace(tmp_path: Path, autojump_clock: MockClock) -> None:
    persona = answers({ANN: [Answer("busy"), Answer("no_answer"), Answer("machine")]})
    async with open_desk(tmp_path, persona) as desk:
        plan = desk.plan("[limits]\nattempts_per_day = 0\n[pace]\ncalls_per_minute = 2", [ANN, BOB])
        assert await desk.run(plan)
        assert await desk.outcomes() == [
            (ANN, 1, "busy"),
            (ANN, 2, "no_answer"),
            (ANN, 3, "machine"),
            (BOB, 1, "talked"),
        ]
        ann = [at_s for at_s, number in desk.network.dialled if number == ANN]
        assert ann == pytest.approx([BEGIN, BEGIN + 1805, BEGIN + 1805 + 14_405], abs=0.1)
        assert desk.network.dialled[1][0] - desk.network.dialled[0][0] >= 30


async def test_refusals_are_no_attempts(tmp_path: Path, autojump_clock: MockClock) -> None:
    """They take no place in the pace either."""
    later = Refusal(ANN, (Reason("outside_hours", "Later.", BEGIN + 5000),))
    never = Refusal(BOB, (Reason("do_not_call", "No."), Reason("no_consent", "None.")))
    tries = Counter[str]()

    def persona(number: str, attempt: int) -> Answer | Refusal:
        tries[number] += 1
        if number == BOB:
            return never
        return later if number == ANN and tries[ANN] == 1 else Answer("talked")

    async with open_desk(tmp_path, persona) as desk:
        assert await desk.run(desk.plan("[pace]\ncalls_per_minute = 0.5", [ANN, BOB, CAT]))
        # A dial a two minutes; but the two that were refused were none.
        assert [number for _, number in desk.network.dialled] == [CAT, ANN]
        times = [at_s for at_s, _ in desk.network.dialled]
        assert times == pytest.approx([BEGIN, BEGIN + 5000])
        assert (await desk.standing(BOB)).result == "refused: do_not_call"
        assert (await desk.standing(BOB)).attempts == 0
        assert (await desk.standing(ANN)).attempts == 1
        told = [(n.number, n.next_s) for n in desk.news if isinstance(n, NotAllowed)]
        assert told == [(ANN, BEGIN + 5000), (BOB, None)]
        refusals = await desk.database.run(
            lambda c: c.execute("SELECT number, code, times FROM campaign_refusals").fetchall()
        )
        assert sorted(refusals) == [
            (ANN, "outside_hours", 1),
            (BOB, "do_not_call", 1),
            (BOB, "no_consent", 1),
        ]


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (Refusal(ANN, (Reason("no_disclosure", "It must say what it is."),)), "It must say what"),
        (CarrierError("auth", "the credentials are wrong"), "twilio: the credentials are wrong"),
        (CarrierError("funds", "the account is suspended"), "twilio: the account is suspended"),
        (ConfigError("outbound calls need TWILIO_FROM_NUMBER"), "outbound calls need TWILIO"),
    ],
)
async def test_what_stops_everybody_stops_the_campaign(
    tmp_path: Path, autojump_clock: MockClock, failure: Refusal | VantumError, why: str
) -> None:
    async with open_desk(tmp_path, lambda number, attempt: failure) as desk:
        with pytest.raises(CampaignStopped, match=why):
            await desk.run(desk.plan("", [ANN, BOB]))
        for number in (ANN, BOB):
            standing = await desk.standing(number)
            assert (standing.status, standing.attempts, standing.result) == ("waiting", 0, "")


async def test_without_a_line_it_is_tried_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    failures = [NoLine("all lines are taken"), *[CarrierError("server", "503")] * 3]

    def persona(number: str, attempt: int) -> Answer | VantumError:
        return failures.pop(0) if failures else Answer("talked")

    async with open_desk(tmp_path, persona) as desk:
        assert await desk.run(desk.plan("", [ANN]))
        assert await desk.outcomes() == [(ANN, 1, "talked")]
        assert [n.for_s for n in desk.news if isinstance(n, Held)] == [5, 5, 10, 20]


async def test_it_waits_as_long_as_is_asked_and_a_call_that_is_taken_makes_it_trust_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    down, slow = CarrierError("server", "503"), CarrierError("rate_limit", "429", retry_after_s=90)
    said: list[Said] = [down, down, Answer("talked"), down, slow, Answer("talked")]
    async with open_desk(tmp_path, lambda number, attempt: said.pop(0)) as desk:
        assert await desk.run(desk.plan("[pace]\nmax_concurrent = 1\n", [ANN, BOB]))
        assert [n.for_s for n in desk.news if isinstance(n, Held)] == [5, 10, 5, 90]


async def test_a_number_that_cannot_be_called_is_done(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    failure = CarrierError("invalid_number", "there is no such number")
    unknown = CarrierError("unknown", "no answer came")
    persona = answers({ANN: [failure], BOB: [unknown, Answer("talked")]})
    tries = Counter[str]()

    def counted(number: str, attempt: int) -> Said:
        tries[number] += 1
        return persona(number, tries[number])

    async with open_desk(tmp_path, counted) as desk:
        assert await desk.run(desk.plan("", [ANN, BOB]))
        # Of the second nobody knows whether it rang: it is left in peace before it is tried again.
        assert await desk.outcomes() == [
            (ANN, 1, "unreachable"),
            (BOB, 1, "interrupted"),
            (BOB, 2, "talked"),
        ]
        assert desk.network.dialled[-1][0] >= BEGIN + 3600


async def test_concurrency(tmp_path: Path, autojump_clock: MockClock) -> None:
    numbers = [f"+121255501{n:02}" for n in range(20)]
    async with open_desk(tmp_path) as desk:
        text = "[pace]\ncalls_per_minute = 600\nmax_concurrent = 3"
        assert await desk.run(desk.plan(text, numbers))
        assert desk.network.most_at_once == 3


async def test_a_call_that_its_server_stopped_is_not_a_failure_of_the_number(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    class Stopped(OwnDialler):
        async def wait(self, call_id: str) -> CallRecord:
            record = await super().wait(call_id)
            return evolve(record, outcome="failed", ended_because=STOPPED)

    async with open_desk(tmp_path) as desk:
        run = await desk.start(desk.plan('[retry]\ninterrupted = "never"', [ANN]))
        run.dialler = Stopped(desk.network)
        assert await run.run()
        assert await desk.outcomes() == [(ANN, 1, "interrupted")]


# ---------------------------------------------------------------- a database that fails


def disk(desk: Desk, *, is_full: bool) -> Callable[[], object]:
    """Nothing can be written any more; or again."""
    connection = desk.database._connection
    return partial(connection.execute, f"PRAGMA query_only = {'ON' if is_full else 'OFF'}")


async def test_a_disk_that_is_full_for_a_while_ends_no_call_and_loses_none(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """For eight minutes: somebody is on the phone, and one is dialled."""
    async with open_desk(tmp_path) as desk:
        full, well = disk(desk, is_full=True), disk(desk, is_full=False)
        run = await desk.start(desk.plan("[pace]\nmax_concurrent = 2", [ANN, BOB, CAT]))
        assert await running(run, (15, full), (480, well))
        assert await desk.outcomes() == [(n, 1, "talked") for n in (ANN, BOB, CAT)]
        times = [at_s - BEGIN for at_s, _ in desk.network.dialled]
        assert times[1] == pytest.approx(10)
        assert 495 <= times[2] < 520
        held = [news for news in desk.news if isinstance(news, Held)]
    (one,) = held  # it is told once
    assert one.why.startswith(
        f"the database {tmp_path / 'vantum.sqlite3'} failed: attempt to write"
    )


async def test_a_call_whose_record_cannot_be_kept_is_not_dialled_yet(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said: list[Said] = [StorageError("no room"), Answer("talked")]
    async with open_desk(tmp_path, lambda number, attempt: said.pop(0)) as desk:
        assert await desk.run(desk.plan("", [ANN]))
        assert await desk.outcomes() == [(ANN, 1, "talked")]
        assert [n for n in desk.news if isinstance(n, Held)] == [Held("no room", 5.0)]


async def test_whoever_stops_it_need_not_wait_for_a_disk(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_desk(tmp_path) as desk:
        run = await desk.start(desk.plan("[pace]\nmax_concurrent = 2", [ANN, BOB]))
        assert not await running(run, (15, disk(desk, is_full=True)), (1, run.stop))
        assert desk.now_s() - BEGIN == pytest.approx(10 + 65)  # both had their say
        disk(desk, is_full=False)()
        await run.store.close()
        # The next run asks the records.
        assert await desk.run(desk.plan("", [ANN, BOB]))
        assert await desk.outcomes() == [(ANN, 1, "talked"), (BOB, 1, "talked")]


# ---------------------------------------------------------------- stopping


async def running(run: CampaignRun, *orders: tuple[float, Callable[[], object]]) -> bool:
    """Run it to its end, and give it each order so many seconds after the one before."""

    async def give() -> None:
        for after_s, order in orders:
            await trio.sleep(after_s)
            order()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give)
        return await run.run()
    raise AssertionError("the orders were given")


async def test_a_stop_lets_calls_end(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_desk(tmp_path) as desk:
        run = await desk.start(desk.plan("[pace]\nmax_concurrent = 2", [ANN, BOB, CAT]))

        assert not await running(run, (15, run.stop))
        assert await desk.outcomes() == [(ANN, 1, "talked"), (BOB, 1, "talked")]
        assert desk.now_s() - BEGIN == pytest.approx(10 + 65)
        await run.store.close()
        assert await desk.run(desk.plan("", [ANN, BOB, CAT]))
        assert await desk.outcomes() == [(n, 1, "talked") for n in (ANN, BOB, CAT)]


async def test_the_second_stop_hangs_up(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_desk(tmp_path) as desk:
        run = await desk.start(desk.plan("[pace]\nmax_concurrent = 2", [ANN, BOB]))

        assert not await running(run, (12, run.stop), (1, run.hang_up))
        assert desk.now_s() - BEGIN == pytest.approx(13)
        # The second phone only rang: it is called another time.
        assert await desk.outcomes() == [(ANN, 1, "talked"), (BOB, 1, "canceled")]
        assert (await desk.standing(ANN)).status == "done"
        assert (await desk.standing(BOB)).status == "waiting"


async def test_who_is_dialled_while_the_others_are_hung_up_is_hung_up_too(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = SimulatedNetwork.place

    async def slowly(self: SimulatedNetwork, order: CallOrder, call_id: str = "") -> CallRecord:
        await trio.sleep(2)
        return await place(self, order, call_id)

    monkeypatch.setattr(SimulatedNetwork, "place", slowly)
    async with open_desk(tmp_path) as desk:
        run = await desk.start(desk.plan("", [ANN]))

        assert not await running(run, (1, run.hang_up))
        assert desk.now_s() - BEGIN == pytest.approx(2)
        assert await desk.outcomes() == [(ANN, 1, "canceled")]


async def test_pause_and_resume_from_elsewhere(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_desk(tmp_path) as desk:

        async def want(what: str, at_s: float) -> None:
            await trio.sleep(at_s)
            await desk.database.run(
                lambda c: c.execute("UPDATE campaigns SET wanted = ?", (what,)).rowcount
            )

        plan = desk.plan("", [ANN, BOB, CAT])
        run = await desk.start(plan)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(want, "pause", 15)
            nursery.start_soon(want, "run", 4000)
            assert await run.run()
        times = [at_s - BEGIN for at_s, _ in desk.network.dialled]
        assert times[0] == 0
        assert 4000 <= times[1] <= 4000 + POLL_S
        assert [n.is_paused for n in desk.news if isinstance(n, Paused)] == [True, False]


async def test_two_processes_do_not_run_it_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_desk(tmp_path) as desk:
        plan = desk.plan("", [ANN])
        first = desk.store(plan, Owner(lease_s=30))  # this process, which is alive
        await first.open("spring.toml")
        with pytest.raises(CampaignBusy, match=r"campaign spring is being run by process \d+ on"):
            await desk.store(plan, Owner()).open("spring.toml")
        elsewhere = Owner(host="another.example", pid=1)
        await trio.sleep(25)
        await first.keep()
        await trio.sleep(25)
        with pytest.raises(CampaignBusy):
            await desk.store(plan, elsewhere).open("spring.toml")
        await trio.sleep(31)
        second = desk.store(plan, elsewhere)
        await second.open("spring.toml")
        with pytest.raises(LeaseLost, match=r"was taken over by process 1 on another\.example"):
            await first.step(may_dial=True)
        # What the first gives back is not its own any more.
        await first.close()
        await second.keep()
        await second.close()
        await desk.store(plan, Owner()).open("spring.toml")


@define
class Promises:
    """`Wishes`, as a server keeps them. `faster`: taken by somebody else. `fails`: what is raised
    instead of an answer. `loses`: the next answer to `take`."""

    waiting: list[Callback] = Factory(list)
    taken: list[Callback] = Factory(list)
    faster: frozenset[str] = frozenset()
    fails: Callable[[], Exception] | None = None
    loses: bool = False
    by: str = "a campaign"

    async def open(self, due_s: float | None = None) -> list[Callback]:
        await trio.lowlevel.checkpoint()
        self._answer()
        return list(self.waiting)

    async def mine(self) -> list[Callback]:
        self._answer()
        return list(self.taken)

    async def take(self, callback: Callback, *, for_s: float | None = None) -> bool:
        await trio.lowlevel.checkpoint()
        if callback not in self.waiting:
            return callback in self.taken
        self.waiting.remove(callback)
        if callback.id in self.faster:
            return False
        self.taken.append(callback)
        if self.loses:
            self.loses = False
            raise CallbacksUnknown("the answer was lost")
        return True

    async def give_back(self, callback: Callback) -> None:
        self.taken.remove(callback)
        self.waiting.append(callback)

    def _answer(self) -> None:
        if self.fails is not None:
            raise self.fails()


async def test_callbacks_are_kept(tmp_path: Path, autojump_clock: MockClock) -> None:
    promises = Promises(faster=frozenset({"3"}))
    at_s = BEGIN + 7 * 3600

    def persona(number: str, attempt: int) -> Answer:
        if number == ANN and attempt == 1:
            promises.waiting += [
                Callback("1", ANN, at_s, note="fifty seats"),
                Callback("2", "+13125550199", at_s),
                Callback("3", BOB, at_s),
                Callback("4", BOB, at_s, campaign_id="autumn"),
            ]
            return Answer("callback")
        return Answer("talked")

    async with open_desk(tmp_path, persona) as desk:
        desk.wishes = (promises,)
        assert await desk.run(desk.plan("[limits]\nattempts = 1", [ANN, BOB]))
        assert await desk.outcomes() == [
            (ANN, 1, "callback"),
            (ANN, 2, "talked"),
            (BOB, 1, "talked"),
        ]
        assert desk.network.dialled[-1][0] == pytest.approx(at_s, abs=1)
        # What it is about is known from then on, to whoever runs the campaign; of them only.
        notes = [
            (record.to_number, record.prospect.extra.get("callback_note"))
            for record in desk.network.records.values()
        ]
        assert notes == [(ANN, None), (BOB, None), (ANN, "fifty seats")]
        # Who is not on the list, or of another campaign, is somebody else's.
        assert [wish.id for wish in promises.waiting] == ["2", "4"]
        # It was kept, and is not made again by the next run, which asks what is taken already.
        assert await desk.run(desk.plan("[limits]\nattempts = 1", [ANN, BOB]))
        assert len(await desk.outcomes()) == 3


async def test_a_callback_whose_taking_up_was_cut_off_is_made(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """It is nobody else's any more: it must not be lost between there and our queue."""
    ann, bob = Callback("1", ANN, BEGIN + 3600), Callback("2", BOB, BEGIN + 3600)
    # The process before was killed behind the one, and of the other the answer is lost.
    promises = Promises([ann], [bob], loses=True)
    async with open_desk(tmp_path) as desk:
        desk.wishes = (promises,)
        assert await desk.run(desk.plan(rows=[ANN, BOB]))
        # Nobody knew yet that Ann wants to be called later; when she has hung up, it is known.
        assert await desk.outcomes() == [(ANN, 1, "talked"), (ANN, 2, "talked"), (BOB, 1, "talked")]
        times = [(number, round(at_s - BEGIN)) for at_s, number in desk.network.dialled]
        assert times == [(ANN, 0), (ANN, 3600), (BOB, 3665)]


async def test_nobody_is_done_while_a_server_cannot_tell_of_its_callbacks(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    promises = Promises()

    def persona(number: str, attempt: int) -> Answer:
        if attempt > 1:
            return Answer("talked")
        promises.waiting.append(Callback("1", number, BEGIN + 7200))
        promises.fails = lambda: CallbacksUnknown("no connection")
        return Answer("callback")

    async with open_desk(tmp_path, persona) as desk:
        desk.wishes = (promises,)

        async def mend() -> None:
            await trio.sleep(3600)
            promises.fails = None

        run = await desk.start(desk.plan(rows=[ANN]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mend)
            assert await run.run()
        assert await desk.outcomes() == [(ANN, 1, "callback"), (ANN, 2, "talked")]
        assert [news for news in desk.news if isinstance(news, Unread)] == [Unread("no connection")]


async def test_whoever_stops_it_need_not_wait_for_a_server(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    class Silent(Promises):
        async def open(self, due_s: float | None = None) -> list[Callback]:
            await trio.sleep_forever()
            raise AssertionError

    async with open_desk(tmp_path) as desk:
        desk.wishes = (Silent(),)
        run = await desk.start(desk.plan(rows=[ANN]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.run)
            await trio.sleep(1)
            run.stop()
        assert not desk.network.dialled


async def test_a_server_that_does_not_let_us_ask_stops_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.wishes = (Promises(fails=lambda: ConfigError("bring a token")),)
        with pytest.raises(CampaignStopped, match="bring a token"):
            await desk.run(desk.plan(rows=[ANN]))
        assert not desk.network.dialled


async def test_it_says_what_it_waits_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_desk(tmp_path) as desk:
        assert await desk.run(desk.plan('[hours]\nwindows = ["09:00-17:00"]', [ANN]))
        waiting = [n for n in desk.news if isinstance(n, Waiting)]
        assert waiting[0] == Waiting(BEGIN + 3 * 3600, 0)
        assert waiting[-1] == Waiting(None, 1)
        assert [n for n in desk.news if isinstance(n, Dialled)] == [Dialled(ANN, 1)]


# ---------------------------------------------------------------- three days

BIG = """
timezone = "America/New_York"
[pace]
max_concurrent = 4
calls_per_minute = 2
ramp_minutes = 30
[hours]
windows = ["09:00-12:00", "13:00-17:00"]
days = ["tue", "wed", "thu"]
end_date = 2026-12-03
[limits]
attempts = 3
attempts_per_day = 2
calls_per_day = 150
[retry]
voicemail_left = "1 d"
failed = "2 h"
"""
NUMBERS_200 = [f"+1{area}55501{n:02}" for n in range(67) for area in (212, 312, 310)][:200]
OUTCOMES = (
    *("talked",) * 6,
    *("busy", "busy", "no_answer", "no_answer", "machine", "voicemail_left", "failed"),
    *("hung_up", "opted_out", "transferred", "refused", "do_not_call"),
)


def people(number: str, attempt: int) -> Said:
    """What a number does depends on nothing but the number and how often it was called."""
    dice = zlib.crc32(f"{number}/{attempt}".encode())
    what = OUTCOMES[dice % len(OUTCOMES)]
    if what == "refused":
        return Refusal(number, (Reason("no_consent", "No consent."),))
    if what == "do_not_call":
        return Refusal(number, (Reason("do_not_call", "On the list."),))
    return Answer(what, ring_s=3 + dice % 25, talk_s=10 + dice % 300)  # type: ignore[arg-type]


async def three_days(desk: Desk, interruptions: list[float]) -> dict[str, Standing]:
    """Run to the end; each interruption is a time after which the run is killed or stopped."""
    plan = desk.plan(BIG, NUMBERS_200)
    for index, after_s in enumerate(interruptions):
        run = await desk.start(plan)
        if index % 2:
            # Gone, in the middle of a call.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run.run)
                await trio.sleep(after_s)
                while not run.active:  # noqa: ASYNC110 (virtual time)
                    await trio.sleep(1)
                nursery.cancel_scope.cancel()
            assert await run.store.pending()
            continue
        assert not await running(run, (after_s, run.stop))
        await run.store.close()
    assert await desk.run(plan)
    return await desk.results()


async def test_three_days_and_their_interruptions(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The same comes of it, whether it runs through or is stopped and killed on the way."""
    runs = []
    for name, interruptions in (
        ("through", []),
        ("stopped", [4 * 3600.0, 1000.0, 20 * 3600.0, 3.5 * 3600]),
    ):
        async with open_desk(tmp_path / name, people) as desk:
            hours = desk.plan(BIG, NUMBERS_200).rules.hours
            results = await three_days(desk, interruptions)
            runs.append((results, await desk.outcomes()))
            dialled = desk.network.dialled
            assert len(results) == 200
            assert {each.status for each in results.values()} == {"done"}
            assert desk.network.most_at_once <= 4
            days = Counter(day_of(at_s) for at_s, _ in dialled)
            assert max(days.values()) <= 150
            assert len(days) == 3
            for (earlier_s, _), (later_s, _) in pairwise(dialled):
                assert later_s - earlier_s >= 30 - 1e-6
            for at_s, number in dialled:
                assert hours.is_open(NUMBERS.zones(number), at_s)
            for each in results.values():
                assert each.attempts <= 3
                calls = [at_s for at_s, number in dialled if number == each.number]
                assert len(calls) == each.attempts
                per_day = Counter(day_of(at_s) for at_s in calls)
                assert not per_day or max(per_day.values()) <= 2
    through, stopped = runs
    assert through == stopped
    assert {outcome for _, _, outcome in through[1]} == set(OUTCOMES) - {"refused", "do_not_call"}
    at_last = {each.result for each in through[0].values()}
    assert at_last >= {"talked", "opted_out", "refused: do_not_call", "expired"}


def day_of(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, ZoneInfo("America/New_York")).date().isoformat()
