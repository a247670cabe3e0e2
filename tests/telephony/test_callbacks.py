"""Who wants to be called back: noted in a call, taken up once, called when it is due."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import httpx2
import pytest
import trio
import trio.testing
from attrs import define, field
from click.testing import CliRunner

from tests.telephony.office import API_TOKEN, BEGAN, OTHER, PROSPECT, SETUP, Office, an_office
from vantum.campaigns.remote import RemoteDialler, open_remote
from vantum.campaigns.remote_wishes import RemoteWishes
from vantum.cli import commands
from vantum.core.events import Prospect
from vantum.core.refusals import Reason, Refusal
from vantum.errors import ConfigError
from vantum.http import build_app
from vantum.storage.database import open_database
from vantum.telephony.callbacks import SCHEMA, Callback, Callbacks, CallbackState
from vantum.telephony.calling_back import call_back, order_of
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lines import NoLine
from vantum.telephony.orders import CallOrder, CallRefused
from vantum.telephony.record import CallRecord
from vantum.telephony.wishes import CallbacksUnknown, OwnWishes
from vantum.testing import CallTool, OpenAIScript, Reply
from vantum.testing.openai_wire import Messages
from vantum.testing.twilio import HangUp, Pause, Person, TwilioScript

Clock = trio.testing.MockClock

BOB = Prospect("Bob", "Acme", extra={"city": "Oslo"})


@asynccontextmanager
async def wishes(path: str = ":memory:") -> AsyncIterator[Callbacks]:
    ids = count(1)
    async with open_database(path, [SCHEMA]) as database:
        yield Callbacks(database, lambda: trio.current_time() + 1e9, new_id=lambda: f"c{next(ids)}")


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(1e9 + seconds).astimezone()


# ---------------------------------------------------------------- the table


async def test_a_wish_is_kept_as_it_was_said(autojump_clock: Clock) -> None:
    async with wishes() as callbacks:
        when = datetime.fromisoformat("2026-03-31T14:30:00-05:00")
        made = await callbacks.add(
            PROSPECT, when, "an offer", prospect=BOB, call_id="w0-1", campaign_id="k", script="s"
        )
        (found,) = await callbacks.list("waiting")
        assert found == made == await callbacks.get(made.id)
        assert Callback.from_json(found.to_json()) == found
        assert found.wanted == "2026-03-31T14:30:00-05:00"
        assert found.at_s == when.timestamp()
        assert found.prospect == BOB


async def test_the_last_word_of_a_call_counts(autojump_clock: Clock) -> None:
    async with wishes() as callbacks:
        for seconds in (10, 20):
            await callbacks.add(PROSPECT, at(seconds), "", prospect=BOB, call_id="w0-1")
        await callbacks.add(PROSPECT, at(5), "", prospect=BOB, call_id="w0-2")
        assert [c.at_s - 1e9 for c in await callbacks.list("waiting")] == [5, 20]
        assert [c.state for c in await callbacks.list()] == ["waiting", "cancelled", "waiting"]


async def test_a_wish_is_taken_up_once_by_whoever_comes_first(tmp_path: Path) -> None:
    """In a file, by two connections at once, as by two processes."""
    path = str(tmp_path / "db")
    async with wishes(path) as one, wishes(path) as other:
        for _ in range(20):
            await one.add(PROSPECT, at(1), "", prospect=BOB)
        taken: list[str] = []

        async def take_all(callbacks: Callbacks) -> None:
            wishes = OwnWishes(callbacks, f"{id(callbacks)}")
            for callback in await wishes.open():
                if await wishes.take(callback):
                    taken.append(callback.id)
            mine = [callback.id for callback in await wishes.mine()]
            assert set(mine) <= set(taken)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_all, one)
            nursery.start_soon(take_all, other)
        assert sorted(taken) == sorted(f"c{n}" for n in range(1, 21))
        assert not await one.list("waiting")


async def test_what_is_called_off_is_not_taken_up(autojump_clock: Clock) -> None:
    async with wishes() as callbacks:
        callback = await callbacks.add(PROSPECT, at(1), "", prospect=BOB)
        assert await callbacks.cancel(callback.id)
        assert not await callbacks.cancel(callback.id)
        assert not await callbacks.take(callback.id, "a")
        assert not await callbacks.give_back(callback.id, "a")
        assert not await callbacks.cancel("another")


async def test_who_has_taken_one_up_may_say_it_twice(autojump_clock: Clock) -> None:
    """And nobody else gives back what is not his."""
    async with wishes() as callbacks:
        callback = await callbacks.add(PROSPECT, at(1), "", prospect=BOB)
        assert [await callbacks.take(callback.id, by) for by in "aab"] == [True, True, False]
        (taken,) = await callbacks.list()
        assert (taken.state, taken.taken_by) == ("taken", "a")
        assert not await callbacks.cancel(callback.id)
        assert [await callbacks.give_back(callback.id, by) for by in "baa"] == [False, True, False]
        (waiting,) = await callbacks.list()
        assert (waiting.state, waiting.taken_by) == ("waiting", "")
        # Taken up before there were names, nobody can claim it.
        await callbacks.take(callback.id, "")
        assert not await callbacks.take(callback.id, "a")


async def test_some_of_them(autojump_clock: Clock) -> None:
    async with wishes() as callbacks:
        for number, seconds, campaign in ((PROSPECT, 30, "k"), (OTHER, 10, ""), (OTHER, 20, "k")):
            await callbacks.add(number, at(seconds), "", prospect=BOB, campaign_id=campaign)
        await callbacks.take("c3", "a")

        async def ids(*states: CallbackState, **which: Any) -> list[str]:
            return [callback.id for callback in await callbacks.list(*states, **which)]

        assert await ids() == ["c2", "c3", "c1"]
        assert await ids("waiting") == ["c2", "c1"]
        assert await ids("waiting", "taken", number=OTHER) == ["c2", "c3"]
        assert await ids(campaign_id="k", due_s=1e9 + 25) == ["c3"]
        assert await ids(taken_by="a") == ["c3"]
        assert await ids(limit=2) == ["c2", "c3"]
        assert await ids(limit=2, after=await callbacks.get("c3")) == ["c1"]


# ---------------------------------------------------------------- in a call


def answering(*whens: str) -> OpenAIScript:
    """The model notes these times, one after the other, and says what it was told."""

    def reply(messages: Messages) -> str | Reply:
        told = [m for m in messages if m["role"] == "tool"]
        if len(told) < len(whens):
            when = whens[len(told)]
            about = {"when": when, "note": "an offer for fifty seats"}
            return Reply("", (CallTool("schedule_callback", about),))
        return f"Told: {told[-1]['content']}"

    return OpenAIScript(reply)


async def called(*whens: str, **about: Any) -> tuple[CallRecord, tuple[Callback, ...]]:
    script = TwilioScript(answers=Person((Pause(25), HangUp()), rings_s=3))
    setup = attrs.evolve(SETUP, openai=answering(*whens))
    async with an_office(script, setup=setup) as office:
        record = await office.call(prospect=BOB, **about)
        return record, await wanted(office)


async def wanted(office: Office) -> tuple[Callback, ...]:
    assert office.desk.abilities is not None
    return await office.desk.abilities.callbacks.list()


async def test_the_agent_notes_a_callback(autojump_clock: Clock) -> None:
    record, (callback,) = await called("2026-03-03T10:00:00-05:00")
    assert record.outcome == "callback"
    assert (callback.number, callback.note) == (PROSPECT, "an offer for fifty seats")
    assert callback.wanted == "2026-03-03T10:00:00-05:00"
    assert callback.call_id == record.id
    assert callback.prospect.name == "Bob"
    assert "Noted for 2026-03-03T10:00-05:00" in record.turns[-1].said


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("2026-03-03T10:00:00", "needs its offset"),
        ((BEGAN - timedelta(hours=1)).isoformat(), "in the future"),
        ((BEGAN + timedelta(days=400)).isoformat(), "within a year"),
        ("next Tuesday", "when"),
    ],
)
async def test_a_time_that_is_none_is_told_to_the_model(
    autojump_clock: Clock, when: str, problem: str
) -> None:
    record, callbacks = await called(when)
    assert not callbacks
    assert problem in record.turns[-1].said
    assert record.outcome == "talked"


# ---------------------------------------------------------------- calling


@define
class Phones:
    """A dialler that writes down what it is asked for, and takes the callbacks for good as a server
    does. `refuses`: what is raised, in order."""

    callbacks: Callbacks
    refuses: list[Exception | None] = field(factory=list)
    placed: list[tuple[float, CallOrder, str]] = field(factory=list)

    def new_id(self) -> str:
        return ""

    async def place(self, order: CallOrder, call_id: str, key: str) -> str:
        self.placed.append((trio.current_time(), order, key))
        if self.refuses and (error := self.refuses.pop(0)) is not None:
            raise error
        assert order.promise is not None
        assert await self.callbacks.claim(order.promise.id, order.promise.by, "w0-1")
        return "w0-1"

    async def wait(self, call_id: str) -> CallRecord:
        await trio.sleep(30)
        return CallRecord(call_id, "outbound", "", PROSPECT, 0.0, outcome="talked")


async def called_back(
    callbacks: Callbacks, phones: Phones, said: list[str], *, watch: bool = False
) -> None:
    wishes = OwnWishes(callbacks, "somebody")
    await call_back(wishes, phones, now_s=callbacks.now_s, say=said.append, watch=watch)


async def test_who_is_due_is_called_once(autojump_clock: Clock) -> None:
    async with wishes() as callbacks:
        phones, said = Phones(callbacks), list[str]()
        now_s = trio.current_time()
        await callbacks.add(PROSPECT, at(now_s - 10), "fifty seats", prospect=BOB, campaign_id="k")
        await callbacks.add("+12125550144", at(now_s + 3600), "", prospect=BOB)
        for _ in range(2):
            await called_back(callbacks, phones, said)
        ((_, order, key),) = phones.placed
        assert (order.to, order.campaign_id) == (PROSPECT, "k")
        assert key.startswith("callback-c1-")
        assert order.prospect.extra == {"city": "Oslo", "callback_note": "fifty seats"}
        assert said[-1].endswith(": talked")
        assert [c.id for c in await callbacks.list("waiting")] == ["c2"]


async def test_who_calls_back_knows_what_it_is_about(autojump_clock: Clock) -> None:
    """From the tool in one call to the prompt of the next."""
    noting, prompts = answering("2026-03-03T10:00:00-05:00"), list[str]()

    def reply(messages: Messages) -> str | Reply:
        prompts.append(str(messages[0]["content"]))
        return noting.reply(0, messages) if len(prompts) < 3 else "It is about your offer."

    script = TwilioScript(answers=Person((Pause(25), HangUp()), rings_s=3))
    setup = attrs.evolve(SETUP, openai=OpenAIScript(reply))
    async with an_office(script, setup=setup) as office:
        await office.call(prospect=BOB)
        (wish,) = await wanted(office)
        await office.calls.wait((await office.calls.place(order_of(wish))).id)
    assert 'Callback note: "an offer for fifty seats"' in prompts[-1]
    assert "fifty seats" not in prompts[0]


def refused(retry_at_s: float | None) -> CallRefused:
    code = "outside_hours" if retry_at_s else "do_not_call"
    return CallRefused(Refusal(PROSPECT, (Reason(code, "not now", retry_at_s),)))  # type: ignore[arg-type]


async def test_who_may_not_be_called_now_waits_until_he_may(autojump_clock: Clock) -> None:
    async with wishes() as callbacks:
        began_s = trio.current_time()
        phones = Phones(callbacks, [refused(1e9 + began_s + 3000), NoLine("all lines are taken")])
        await callbacks.add(PROSPECT, at(began_s), "", prospect=BOB)
        said: list[str] = []
        with trio.move_on_after(4000):
            await called_back(callbacks, phones, said, watch=True)
        assert [round(at_s - began_s) for at_s, _, _ in phones.placed] == [0, 3000, 3020]
        assert "it waits on" in said[0]
        assert not await callbacks.list("waiting")


@pytest.mark.parametrize("error", [refused(None), CarrierError("invalid_number", "no such number")])
async def test_who_may_never_be_called_is_not_tried_again(
    autojump_clock: Clock, error: Exception
) -> None:
    async with wishes() as callbacks:
        await callbacks.add(PROSPECT, at(trio.current_time()), "", prospect=BOB)
        phones, said = Phones(callbacks, [error]), list[str]()
        with trio.move_on_after(100):
            await called_back(callbacks, phones, said, watch=True)
        assert len(phones.placed) == 1
        assert len(said) == 1
        assert "not called" in said[0]


@asynccontextmanager
async def a_server(
    script: TwilioScript | None = None, gate: Callable[[httpx2.Request], None] = lambda _: None
) -> AsyncIterator[tuple[Office, RemoteDialler, RemoteWishes]]:
    """A server that is reached by its HTTP API. `gate` sees each request that was answered, and may
    lose the answer."""
    async with an_office(script) as office:
        served = httpx2.ASGITransport(build_app(office.server, office.desk.phone.routes))

        class Gate(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                answer = await served.handle_async_request(request)
                gate(request)
                return answer

        async with open_remote("http://server.test", API_TOKEN, transport=Gate()) as dialler:
            yield office, dialler, RemoteWishes(dialler.http, "somebody")


async def promise(office: Office, number: str, seconds: float) -> Callback:
    assert office.desk.abilities is not None
    callbacks = office.desk.abilities.callbacks
    when = datetime.fromtimestamp(callbacks.now_s()).astimezone() + timedelta(seconds=seconds)
    return await callbacks.add(number, when, "", prospect=BOB)


async def test_a_running_server_calls_its_own(autojump_clock: Clock) -> None:
    """By its HTTP API, as `vantum-actors callbacks run` does; a busy one is called later."""
    script = TwilioScript(answers=Person((Pause(12), HangUp()), rings_s=3))
    async with a_server(script) as (office, dialler, theirs):
        for number, seconds in ((PROSPECT, -5), (OTHER, 60)):
            await promise(office, number, seconds)
        said: list[str] = []
        now_s = office.calls.means.now_s
        with trio.move_on_after(300):
            await call_back(theirs, dialler, now_s=now_s, say=said.append, watch=True)
        assert [call.to_number for call in office.twilio.calls] == [PROSPECT, OTHER]
        assert [line.rsplit(": ")[-1] for line in said] == ["calling …", "talked"] * 2
        assert [c.state for c in await wanted(office)] == ["taken", "taken"]


async def test_those_of_a_server(autojump_clock: Clock) -> None:
    async with a_server() as (office, dialler, theirs):
        added = [await promise(office, PROSPECT, seconds) for seconds in range(450)]
        now_s = office.calls.means.now_s()
        assert await theirs.open() == added
        assert len(await theirs.open(now_s)) == 1
        other = RemoteWishes(dialler.http, "somebody else")
        assert await theirs.take(added[0])
        assert await theirs.take(added[0])
        assert not await other.take(added[0])
        assert [wish.id for wish in await theirs.mine()] == [added[0].id]
        assert not await other.mine()
        await other.give_back(added[0])
        assert await theirs.mine()
        for _ in range(2):
            await theirs.give_back(added[0])
        assert len(await other.open()) == 450
        assert not await theirs.take(attrs.evolve(added[0], id="gone/?x"))


async def test_one_whose_answer_was_lost_is_asked_for_again(autojump_clock: Clock) -> None:
    lost = 0

    def gate(request: httpx2.Request) -> None:
        nonlocal lost
        if request.method == "PATCH" and lost < 3:
            lost += 1
            raise httpx2.ReadError("the connection broke")

    async with a_server(gate=gate) as (office, _, theirs):
        assert await theirs.take(await promise(office, PROSPECT, 0))
        assert lost == 3


async def test_a_server_that_does_not_answer(autojump_clock: Clock) -> None:
    is_down = False

    def gate(request: httpx2.Request) -> None:
        if is_down:
            raise httpx2.ReadError("the connection broke")

    script = TwilioScript(answers=Person((Pause(12), HangUp()), rings_s=3))
    async with a_server(script, gate) as (office, dialler, theirs):
        wish = await promise(office, PROSPECT, 0)
        is_down = True
        with pytest.raises(CallbacksUnknown, match="does not tell of its callbacks: the answer wa"):
            await theirs.open()
        with trio.fail_after(70), pytest.raises(CallbacksUnknown):
            await theirs.take(wish)
        now_s, said = office.calls.means.now_s, list[str]()
        with pytest.raises(CallbacksUnknown):
            await call_back(theirs, dialler, now_s=now_s, say=said.append)
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await call_back(theirs, dialler, now_s=now_s, say=said.append, watch=True)

            nursery.start_soon(watch)
            await trio.sleep(30)
            is_down = False
            second = await promise(office, OTHER, 0)
            await trio.sleep(120)
            nursery.cancel_scope.cancel()
        assert "does not tell of its callbacks" in said[0]
        assert said[0].endswith("; again in 20 s")
        assert said[-1].endswith(": talked")
        assert [call.to_number for call in office.twilio.calls] == [second.number]


@pytest.mark.parametrize(
    ("routes", "why"),
    [(False, "has no /v1/callbacks: it is older"), (True, "does not tell of its callbacks: bring")],
)
async def test_a_server_that_cannot_tell(autojump_clock: Clock, routes: bool, why: str) -> None:
    async with an_office() as office:
        own = office.desk.phone.routes if routes else ()
        transport = httpx2.ASGITransport(build_app(office.server, own))
        async with httpx2.AsyncClient(transport=transport, base_url="http://server.test") as http:
            with pytest.raises(ConfigError, match=why):
                await RemoteWishes(http, "somebody").open()


# ---------------------------------------------------------------- commands


def run(path: Path, *arguments: str) -> tuple[int, str]:
    environment = {"VANTUM_DATABASE": str(path)}
    done = CliRunner().invoke(commands, ["callbacks", *arguments], env=environment)
    return done.exit_code, done.output


def test_wishes_are_listed_and_called_off(tmp_path: Path) -> None:
    path = tmp_path / "vantum.sqlite3"

    async def add() -> None:
        async with wishes(str(path)) as callbacks:
            when = datetime.fromisoformat("2026-03-31T14:30:00-05:00")
            await callbacks.add(PROSPECT, when, "an offer\nfor you", prospect=BOB)

    assert run(path, "list") == (0, "")
    trio.run(add)
    code, output = run(path, "list")
    assert code == 0
    (line,) = output.splitlines()
    assert line.split("  ")[1:] == [
        "2026-03-31T14:30:00-05:00",
        PROSPECT,
        "waiting",
        "Bob Acme",
        *line.split("  ")[5:],
    ]
    assert "an offer" in line
    assert run(path, "cancel", "c1") == (0, "")
    assert run(path, "list") == (0, "")
    assert "cancelled" in run(path, "list", "--all")[1]
    code, output = run(path, "cancel", "c1")
    assert (code, "no callback c1 waits" in output) == (1, True)
    rows = sqlite3.connect(path).execute("SELECT state FROM callbacks").fetchall()
    assert rows == [("cancelled",)]


def test_the_call_that_was_made_for_a_wish_is_listed(tmp_path: Path) -> None:
    """What became of it, its record says; without one, the server died before it was dialled."""
    path = tmp_path / "vantum.sqlite3"

    async def call() -> None:
        async with wishes(str(path)) as callbacks:
            when = datetime.fromisoformat("2026-03-31T14:30:00-05:00")
            wish = await callbacks.add(PROSPECT, when, "", prospect=BOB)
            assert await callbacks.take(wish.id, "me", for_s=60)
            assert await callbacks.claim(wish.id, "me", "w0-17")

    trio.run(call)
    assert run(path, "list") == (0, "")
    code, output = run(path, "list", "--all")
    assert code == 0
    assert f"  {PROSPECT}  taken  call w0-17  Bob Acme" in output


def test_a_server_that_cannot_be_reached(tmp_path: Path) -> None:
    code, output = run(tmp_path / "vantum.sqlite3", "run", "--url", "http://127.0.0.1:1")
    assert (code, "http://127.0.0.1:1: nobody answers" in output) == (1, True)
