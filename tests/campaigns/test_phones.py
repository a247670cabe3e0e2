"""Campaigns over whole phone calls: our server, its API and the simulated Twilio, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import httpx2
import pytest
import trio
from trio.testing import MockClock

from tests.campaigns.desk import NUMBERS, database_at
from tests.telephony.office import API_TOKEN, BEGAN, SETUP, Office, an_office
from vantum.campaigns.dialling import Dialler, OwnDialler
from vantum.campaigns.lease import Owner
from vantum.campaigns.loading import load_list
from vantum.campaigns.plan import read_plan
from vantum.campaigns.promised import Promised
from vantum.campaigns.remote import RemoteDialler, open_remote
from vantum.campaigns.remote_wishes import RemoteWishes
from vantum.campaigns.report import Report, read_report
from vantum.campaigns.run import CampaignRun
from vantum.campaigns.store import CampaignStore
from vantum.errors import ConfigError
from vantum.http import build_app
from vantum.storage.database import Database
from vantum.telephony.wishes import OwnWishes, Wishes
from vantum.testing import CallTool, OpenAIScript, Reply
from vantum.testing.openai_wire import Messages
from vantum.testing.twilio import (
    AnsweringMachine,
    Busy,
    HangUp,
    NoAnswer,
    Pause,
    Person,
    Persona,
    TwilioScript,
)

HUMAN, LINE_BUSY, AWAY, MACHINE, NOWHERE = (f"+1212555014{n}" for n in (2, 3, 4, 5, 6))
FILE = """
name = "spring"
prospects = "list.csv"
greeting = "Hello {{prospect.name|}}, this is Ada, an AI assistant."
[pace]
max_concurrent = 2
calls_per_minute = 20
[limits]
attempts = 2
[retry]
busy = "10 min"
no_answer = "20 min"
[converted]
outcomes = ["talked"]
"""
PERSONAS: dict[str, Persona] = {
    HUMAN: Person((Pause(9), HangUp()), rings_s=3),
    LINE_BUSY: Busy(),
    AWAY: NoAnswer(),
    MACHINE: AnsweringMachine(answered_by="machine_start"),
}


@asynccontextmanager
async def a_campaign(
    office: Office,
    directory: Path,
    numbers: tuple[str, ...],
    dialler: Dialler,
    wishes: tuple[Wishes, ...] = (),
) -> AsyncIterator[tuple[CampaignRun, Database]]:
    (directory / "list.csv").write_text("number\n" + "\n".join(numbers), "utf-8")
    (directory / "spring.toml").write_text(FILE, "utf-8")
    plan = read_plan(directory / "spring.toml")
    now_s = office.calls.means.now_s
    # Each is another process's, which is dead when the next one begins.
    owner = Owner(pid=2**22 + round(now_s()) % 1000)
    async with database_at(directory / "campaigns.sqlite3") as database:
        store = CampaignStore(database, plan.name, owner, plan.rules, now_s, now_s())
        await store.open("spring.toml")
        await load_list(store, plan, NUMBERS, print)
        promised = Promised(wishes, store, now_s, print)
        yield CampaignRun(plan, store, dialler, now_s, lambda news: None, promised), database


async def figures(database: Database) -> Report:
    report = await database.run(lambda c: read_report(c, "spring", BEGAN.timestamp()))
    assert report is not None
    return report


@asynccontextmanager
async def through_the_api(office: Office, token: str = API_TOKEN) -> AsyncIterator[RemoteDialler]:
    transport = httpx2.ASGITransport(build_app(office.server, office.desk.phone.routes))
    async with open_remote("ws://server.test/ws", token, transport=transport) as remote:
        yield remote


async def test_a_server_without_a_phone_is_named_so() -> None:
    nothing_there = httpx2.MockTransport(lambda _: httpx2.Response(404, json={"error": "No"}))
    with pytest.raises(ConfigError, match=r"http://server.test: that server has no phone"):
        async with open_remote("ws://server.test/ws", API_TOKEN, transport=nothing_there):
            raise AssertionError


@pytest.mark.parametrize("way", ["own", "api"])
async def test_a_campaign_of_phone_calls(
    tmp_path: Path, autojump_clock: MockClock, way: str
) -> None:
    """The same comes of it with calls of this process and with those of a running server."""
    script = TwilioScript(answers=lambda number: PERSONAS[number])
    async with an_office(script) as office, through_the_api(office) as remote:
        compliance = office.desk.compliance
        assert compliance is not None
        await compliance.opt_out(NOWHERE, source="test")
        dialler = OwnDialler(office.calls) if way == "own" else remote
        numbers = (HUMAN, LINE_BUSY, NOWHERE, AWAY, MACHINE)
        async with a_campaign(office, tmp_path, numbers, dialler) as (run, database):
            with trio.fail_after(6 * 3600):
                # The machine is called again tomorrow, which nobody waits for here.
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_stop_after, run, 2 * 3600)
                    assert not await run.run()
            report = await figures(database)
        assert report.outcomes == {"busy": 2, "no_answer": 2, "machine": 1, "talked": 1}
        assert report.results == {
            "busy": 1,
            "no_answer": 1,
            "refused: do_not_call": 1,
            "talked": 1,
        }
        assert report.waiting == 1
        assert report.refusals == {"do_not_call": 1}
        assert (report.answered, report.converted) == (1, 1)
        assert report.talk_s > 9
        assert report.costs["USD"] > 0
        greeted = {record.turns[0].said for record in await office.calls.list() if record.turns}
        assert greeted == {"Hello, this is Ada, an AI assistant."}
        assert office.is_idle()


async def _stop_after(run: CampaignRun, after_s: float) -> None:
    await trio.sleep(after_s)
    run.stop()


@pytest.mark.parametrize("way", ["own", "api"])
async def test_a_process_that_dies_in_mid_call_leaves_a_call_that_is_found(
    tmp_path: Path, autojump_clock: MockClock, way: str
) -> None:
    script = TwilioScript(answers=Person((Pause(12), HangUp()), rings_s=3))
    async with an_office(script) as office, through_the_api(office) as remote:
        dialler = OwnDialler(office.calls) if way == "own" else remote
        async with a_campaign(office, tmp_path, (HUMAN, LINE_BUSY), dialler) as (run, _):
            with trio.move_on_after(10):
                await run.run()
        assert len(office.calls.all_live) == 2
        async with a_campaign(office, tmp_path, (HUMAN, LINE_BUSY), dialler) as (run, database):
            assert await run.run()
            report = await figures(database)
        assert report.outcomes == {"talked": 2}
        assert len(office.twilio.calls) == 2
        assert office.is_idle()


async def test_a_call_that_nobody_knows_of_is_not_dialled_again_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The process died between its word that it would dial and the dialling."""

    class Dies(OwnDialler):
        async def place(self, order: object, call_id: str, key: str) -> str:
            await trio.sleep_forever()
            raise AssertionError

    script = TwilioScript(answers=PERSONAS[HUMAN])
    async with an_office(script) as office:
        async with a_campaign(office, tmp_path, (HUMAN,), Dies(office.calls)) as (run, _):
            with trio.move_on_after(10):
                await run.run()
        assert not office.twilio.calls
        began_s = office.calls.means.now_s()
        dialler = OwnDialler(office.calls)
        async with a_campaign(office, tmp_path, (HUMAN,), dialler) as (run, database):
            assert await run.run()
            report = await figures(database)
        assert report.outcomes == {"interrupted": 1, "talked": 1}
        (record,) = await office.calls.list()
        assert record.created_s - began_s >= 3600


async def test_a_server_that_goes_down_and_forgets(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Its calls fail with it; the campaign holds on, and calls again when it is back."""
    script = TwilioScript(answers=PERSONAS[HUMAN])
    is_down = False
    async with an_office(script) as office:
        served = httpx2.ASGITransport(build_app(office.server, office.desk.phone.routes))

        class Gate(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                if is_down:
                    raise httpx2.ConnectError("refused")
                return await served.handle_async_request(request)

        async with (
            open_remote("http://server.test", API_TOKEN, transport=Gate()) as remote,
            a_campaign(office, tmp_path, (HUMAN,), remote) as (run, database),
            trio.open_nursery() as nursery,
        ):
            is_down = True

            async def comes_back() -> None:
                nonlocal is_down
                await trio.sleep(600)
                is_down = False

            nursery.start_soon(comes_back)
            assert await run.run()
            report = await figures(database)
        assert report.outcomes == {"talked": 1}
        assert report.attempts == {1: 1}


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_request_whose_answer_is_lost_dials_once(
    tmp_path: Path, autojump_clock: MockClock, lost: str
) -> None:
    script = TwilioScript(answers=PERSONAS[HUMAN])
    async with an_office(script) as office:
        served = httpx2.ASGITransport(build_app(office.server, office.desk.phone.routes))
        failures = [0]

        class Drops(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                drops = request.method == "POST" and failures[0] < 3
                if drops:
                    failures[0] += 1
                if not drops or lost == "answer":
                    answer = await served.handle_async_request(request)
                if drops:
                    raise httpx2.ReadError("the connection broke")
                return answer

        async with (
            open_remote("http://server.test", API_TOKEN, transport=Drops()) as remote,
            a_campaign(office, tmp_path, (HUMAN,), remote) as (run, database),
        ):
            assert await run.run()
            report = await figures(database)
        assert failures == [3]
        assert report.outcomes == {"talked": 1}
        assert len(office.twilio.calls) == 1


def promising(when: datetime) -> OpenAIScript:
    """In its first call the agent promises to call back; in others it only talks."""
    promises = iter((when,))

    def reply(messages: Messages) -> str | Reply:
        if messages[-1]["role"] == "tool" or (promise := next(promises, None)) is None:
            return "Until then."
        about = {"when": promise.isoformat(), "note": "fifty seats"}
        return Reply("", (CallTool("schedule_callback", about),))

    return OpenAIScript(reply)


@pytest.mark.parametrize("way", ["own", "api"])
async def test_a_callback_promised_in_a_call_is_made(
    tmp_path: Path, autojump_clock: MockClock, way: str
) -> None:
    """Whoever's database it is in: ours, or that of the server that calls."""
    script = TwilioScript(answers=Person((Pause(25), HangUp()), rings_s=3))
    when = BEGAN + timedelta(hours=2)
    setup = attrs.evolve(SETUP, openai=promising(when))
    async with an_office(script, setup=setup) as office, through_the_api(office) as remote:
        assert office.desk.abilities is not None
        theirs = office.desk.abilities.callbacks
        dialler: Dialler = OwnDialler(office.calls) if way == "own" else remote
        own, far = OwnWishes(theirs, "spring"), RemoteWishes(remote.http, "spring")
        wishes: tuple[Wishes, ...] = (own if way == "own" else far,)
        async with a_campaign(office, tmp_path, (HUMAN,), dialler, wishes) as (run, database):
            assert await run.run()
            report = await figures(database)
        assert report.outcomes == {"callback": 1, "talked": 1}
        second, first = await office.calls.list()
        assert first.outcome == "callback"
        assert second.created_s == pytest.approx(when.timestamp(), abs=5)
        assert second.prospect.extra["callback_note"] == "fifty seats"
        (wish,) = await theirs.list()
        assert (wish.state, wish.taken_by) == ("taken", "spring")


async def test_the_callees_hours_are_waited_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    """At noon in New York it is seven in Honolulu: one may call there from eight on."""
    honolulu = "+18085550142"
    script = TwilioScript(answers=PERSONAS[HUMAN])
    async with an_office(script) as office:
        dialler = OwnDialler(office.calls)
        async with a_campaign(office, tmp_path, (honolulu, HUMAN), dialler) as (run, database):
            assert await run.run()
            report = await figures(database)
        assert report.outcomes == {"talked": 2}
        assert report.refusals == {"outside_hours": 1}
        last, first = await office.calls.list()
        assert first.to_number == HUMAN
        assert last.created_s - BEGAN.timestamp() == pytest.approx(3600, abs=5)


async def test_a_server_that_does_not_let_us_in(autojump_clock: MockClock) -> None:
    async with an_office() as office:
        with pytest.raises(ConfigError, match="bring one of the server's API_TOKENS"):
            async with through_the_api(office, token="another one"):
                pass
