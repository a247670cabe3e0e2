"""Blind transfers that reach nobody: the caller comes back to the agent, in the same call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest
import trio
import trio.testing
from attrs import define, field
from twilio.request_validator import RequestValidator

from tests.telephony.office import (
    OTHER,
    PROSPECT,
    SETTINGS,
    SETUP,
    Office,
    an_office,
    stopping,
)
from vantum.config import TransferSettings, TurnSettings
from vantum.core.scripts import parse_script
from vantum.http import build_app
from vantum.telephony.live import LiveCall
from vantum.telephony.record import CallRecord
from vantum.testing import CallTool, DeepgramScript, OpenAIScript, Reply
from vantum.testing.openai_wire import Messages
from vantum.testing.twilio import (
    Answered,
    AnsweringMachine,
    Busy,
    Callbacks,
    Failed,
    HangUp,
    NoAnswer,
    Pause,
    Person,
    Persona,
    Press,
    RestFault,
    Say,
    TwilioScript,
)
from vantum.testing.twilio.script import AUTH_TOKEN

Clock = trio.testing.MockClock

FRONT_DESK = "+12125550144"
VOICE_URL = "https://server.test/twilio/voice"
OPENING = "Hello, this is an AI assistant calling. Is now a good moment?"
APOLOGY = "I am sorry, nobody is free. Shall we call you back?"
UNREACHED = "I am sorry, please call again."
TRANSFER = TransferSettings(
    numbers=f"sales={OTHER}, front desk={FRONT_DESK}",
    mode="blind",
    ring_timeout_ms=10_000,
    unavailable_text=APOLOGY,
    unreached_text=UNREACHED,
)
#: Asks for sales, hears that he is connected and the apology, and goes on.
CALLER = Person(
    (
        Pause(6),
        Say("I want sales please."),
        Pause(22),
        Say("When do you open?"),
        Answered(),
        HangUp(),
    ),
    rings_s=3,
)
#: Twilio is not asked what has answered: a test says so.
UNDETECTED = {"twilio": attrs.evolve(SETTINGS.twilio, machine_detection=False)}
SCRIPT = """
[stages.hello]
goals = ["find out what they want"]
next = ["closing"]

[stages.closing]
goals = ["say goodbye"]
"""


@define
class Model:
    """Puts through who asks for somebody. `asked`: what it was asked with, each time."""

    asked: list[Messages] = field(factory=list)
    notes: bool = False
    warm: bool = False

    def reply(self, messages: Messages) -> str | Reply:
        self.asked.append(list(messages))
        said = str(messages[-1]["content"])
        if messages[-1]["role"] == "system":  # where the call is in its script
            said = str(messages[-2]["content"])
        for name in ("sales", "front desk"):
            if name in said:
                noted = CallTool("remember", {"key": "wants", "value": name})
                moved = CallTool("move_to_stage", {"stage": "closing"})
                more = (noted, moved) if self.notes else ()
                arguments = {"to": name} | ({"summary": "They ask."} if self.warm else {})
                return Reply("", (*more, CallTool("transfer", arguments)))
        return "We open at nine."


@asynccontextmanager
async def an_office_with(
    sales: Persona,
    *,
    caller: Persona = CALLER,
    front_desk: Persona = Busy(),  # noqa: B008 (frozen)
    model: Model | None = None,
    settings: dict[str, Any] | None = None,
    max_sessions: int = 10,
    callbacks: Callbacks = Callbacks(),  # noqa: B008 (frozen)
    **changes: Any,
) -> AsyncIterator[Office]:
    """`changes`: of the transfers' settings."""
    all_settings = attrs.evolve(
        SETTINGS,
        transfer=attrs.evolve(TRANSFER, **changes),
        turns=TurnSettings(reprompt_after_ms=0),
        server=attrs.evolve(SETTINGS.server, max_sessions=max_sessions),
        **(settings or {}),
    )
    setup = attrs.evolve(
        SETUP,
        settings=all_settings,
        openai=OpenAIScript((model or Model()).reply),
        deepgram=DeepgramScript(()),  # hears what is said
    )
    personas = {PROSPECT: caller, OTHER: sales, FRONT_DESK: front_desk}
    script = TwilioScript(personas=personas, callbacks=callbacks)
    async with an_office(script, setup=setup) as office:
        yield office


async def begun(office: Office, *, inbound: bool = False, caller: Person = CALLER) -> LiveCall:
    """A call in which somebody asks to be put through."""
    if inbound:
        await office.twilio.ring(VOICE_URL, caller).until("in-progress")
    else:
        await office.place()
    (live,) = office.calls.all_live
    return live


async def over(office: Office, live: LiveCall) -> CallRecord:
    with trio.fail_after(4000):
        record = await office.calls.wait(live.id)
        await office.twilio.calls[0].over.wait()
    assert not office.twilio.calls[0].problems
    assert office.is_idle()
    return record


def heard(record: CallRecord) -> list[str]:
    return [turn.heard for turn in record.turns if turn.role == "assistant" and turn.heard]


def told(record: CallRecord) -> list[str]:
    return [turn.said for turn in record.turns if turn.role == "tool"]


async def until_ringing(office: Office) -> None:
    """Until a colleague's telephone rings and the caller's stream is gone."""
    with trio.fail_after(100):
        while len(office.twilio.calls) < 2 or office.server.sessions:  # noqa: ASYNC110
            await trio.sleep(0.1)


async def post(office: Office, path: str, **form: str) -> httpx.Response:
    """A request of Twilio's about the first call."""
    call = office.twilio.calls[0]
    (live,) = [c for c in office.calls.all_live if c.record.sid == call.sid]
    path = f"/twilio/calls/{live.id}/{path}"
    form = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "From": call.from_number,
        "To": call.to_number,
        "CallStatus": "in-progress",
    } | form
    signature = RequestValidator(AUTH_TOKEN).compute_signature(f"https://server.test{path}", form)
    transport = httpx.ASGITransport(build_app(office.server, office.desk.phone.routes))
    async with httpx.AsyncClient(transport=transport, base_url="https://server.test") as web:
        return await web.post(path, data=form, headers={"X-Twilio-Signature": signature})


# ---------------------------------------------------------------- back to the agent


@pytest.mark.parametrize("inbound", [False, True])
@pytest.mark.parametrize(
    ("sales", "why"),
    [
        (Busy(), "the line was busy"),
        (NoAnswer(), "nobody answered"),
        (Failed(), "it could not be put through"),
    ],
)
async def test_who_reaches_nobody_comes_back_to_the_agent(
    autojump_clock: Clock, sales: Persona, why: str, inbound: bool
) -> None:
    model = Model()
    async with an_office_with(sales, model=model) as office:
        live = await begun(office, inbound=inbound)
        record = await over(office, live)
        assert (record.outcome, record.status) == ("talked", "completed")
        assert record.ended_because == "the other party hung up"
        opening = [] if inbound else [OPENING]
        connect = TRANSFER.connect_text
        assert heard(record) == [*opening, connect, APOLOGY, "We open at nine."]
        assert told(record)[0] == "transfer: They are being connected with sales."
        assert told(record)[1].startswith(f"transfer: Not connected after all: {why}.")
        assert len(told(record)) == 2
        # One call, of two streams, and one record.
        assert [r.id for r in await office.calls.list()] == [record.id]
        streams = office.twilio.calls[0].streams
        assert len(streams) == 2
        assert record.duration_s is not None
        assert record.duration_s > 15
        # The model knows what became of it, and what was said.
        last = [m for m in model.asked[-1] if m["role"] != "system"]
        assert [m["role"] for m in last[-5:]] == ["user", "assistant", "tool", "assistant", "user"]
        assert last[-3]["content"] == told(record)[1].removeprefix("transfer: ")
        assert str(last[-2]["content"]).endswith(APOLOGY)
        assert "They are being connected" not in str(last)


async def test_who_was_put_through_without_our_hearing_of_it_is_not_cut_off(
    autojump_clock: Clock,
) -> None:
    """The telephone company does what it was asked for, and its answers are lost."""
    async with an_office_with(Person((Pause(20), HangUp()), rings_s=4)) as office:
        live = await begun(office)
        office.twilio.faults.extend([RestFault("drop", 1.0)] * 9)
        record = await over(office, live)
        assert (record.outcome, record.ended_because) == ("transferred", "transferred to sales")
        assert [call.ended_because for call in office.twilio.calls[1:]] == ["the person hangs up"]
        assert told(record)[-1] == "transfer: They are being connected with sales."


async def test_what_was_noted_and_where_the_script_stood_stay(autojump_clock: Clock) -> None:
    model = Model(notes=True)
    prompts = attrs.evolve(
        SETTINGS.prompts, script=parse_script(SCRIPT, "script"), script_moves="tool"
    )
    tools = attrs.evolve(SETTINGS.tools, built_in="remember")
    changes = {"prompts": prompts, "tools": tools}
    async with an_office_with(Busy(), model=model, settings=changes) as office:
        record = await over(office, await begun(office))
        assert heard(record)[-2:] == [APOLOGY, "We open at nine."]
        assert (record.stage, dict(record.facts)) == ("closing", {"wants": "sales"})
        assert "closing" in str(model.asked[-1][-1]["content"])


async def test_one_may_be_put_through_again_and_again(autojump_clock: Clock) -> None:
    caller = Person(
        (
            Pause(6),
            Say("I want sales please."),
            Pause(22),
            Say("Then sales once more."),
            Pause(22),
            Say("Then the front desk please."),
            Pause(60),
            HangUp(),
        ),
        rings_s=3,
    )
    desk = Person((Pause(20), HangUp()), rings_s=3)
    async with an_office_with(NoAnswer(), caller=caller, front_desk=desk) as office:
        record = await over(office, await begun(office))
        assert record.outcome == "transferred"
        assert record.ended_because == "transferred to front desk"
        assert heard(record)[1:] == [TRANSFER.connect_text, APOLOGY] * 2 + [TRANSFER.connect_text]
        assert sum("Not connected" in text for text in told(record)) == 2
        assert len(office.twilio.calls[0].streams) == 3


async def test_who_comes_back_and_says_nothing_has_talked(autojump_clock: Clock) -> None:
    caller = Person((Pause(6), Say("I want sales please."), Pause(15), HangUp()))
    async with an_office_with(Busy(), caller=caller) as office:
        record = await over(office, await begun(office))
        assert (record.outcome, heard(record)[-1]) == ("talked", APOLOGY)


async def test_a_late_verdict_of_the_machine_detection_is_not_believed(
    autojump_clock: Clock,
) -> None:
    async with an_office_with(Busy(), settings=UNDETECTED) as office:
        live = await begun(office)
        await until_ringing(office)
        while not live.conductor:  # noqa: ASYNC110
            await trio.sleep(0.1)
        live.judged("machine_start")
        record = await over(office, live)
        assert heard(record)[-1] == "We open at nine.", "who asks to be put through is no machine"
        assert (record.answered_by, record.outcome) == ("machine", "talked")


async def test_who_was_transferred_was_no_machine(autojump_clock: Clock) -> None:
    sales = Person((Pause(20), HangUp()), rings_s=3)
    async with an_office_with(sales, settings=UNDETECTED) as office:
        live = await begun(office)
        await until_ringing(office)
        live.judged("machine_start")
        record = await over(office, live)
        assert (record.answered_by, record.outcome) == ("machine", "transferred")


# ---------------------------------------------------------------- only who presses a key

#: Hears Twilio's question, presses a key and talks.
ACCEPTS = Person((Pause(5), Press("1"), Pause(25), HangUp()), rings_s=4)
DECLINES = Person((Pause(5), Press("2"), Pause(25), HangUp()), rings_s=4)
#: So that he waits for those who do not press anything.
PATIENT = attrs.evolve(
    CALLER, steps=(*CALLER.steps[:2], Pause(60), Say("When do you open?"), Answered(), HangUp())
)


@pytest.mark.parametrize("inbound", [False, True])
@pytest.mark.parametrize(
    "sales", [AnsweringMachine(), DECLINES, Person((Pause(60), HangUp()), rings_s=4)]
)
async def test_who_presses_no_key_was_not_reached(
    autojump_clock: Clock, sales: Persona, inbound: bool
) -> None:
    async with an_office_with(sales, caller=PATIENT, blind_needs_key=True) as office:
        live = await begun(office, inbound=inbound, caller=PATIENT)
        record = await over(office, live)
        assert heard(record)[-2:] == [APOLOGY, "We open at nine."]
        assert "nobody accepted the call" in told(record)[1]
        assert record.outcome == "talked"
        _, colleague = office.twilio.calls
        assert not colleague.bridged
        assert record.cost.transfers > 0, "whoever it was, it was answered"


async def test_who_presses_the_key_is_connected(autojump_clock: Clock) -> None:
    async with an_office_with(ACCEPTS, blind_needs_key=True, max_sessions=1) as office:
        live = await begun(office)
        await until_ringing(office)
        _, colleague = office.twilio.calls
        await colleague.until("in-progress")
        await trio.sleep(1)
        assert len(office.server.held_back) == 1, "he has not accepted yet"
        bridged = [colleague.bridged]
        await trio.sleep(8)
        assert [*bridged, colleague.bridged] == [False, True]
        assert not office.server.held_back
        record = await over(office, live)
        assert (record.outcome, record.ended_because) == ("transferred", "transferred to sales")


async def test_a_caller_who_goes_while_the_colleague_is_asked(autojump_clock: Clock) -> None:
    caller = attrs.evolve(CALLER, steps=(*CALLER.steps[:2], Pause(12), HangUp()))
    silent = Person((Pause(60), HangUp()), rings_s=4)
    async with an_office_with(silent, caller=caller, blind_needs_key=True) as office:
        record = await over(office, await begun(office))
        assert record.outcome == "talked"
        assert len(office.twilio.calls[0].streams) == 1


async def test_who_accepts_what_does_not_wait_any_more_is_let_go(autojump_clock: Clock) -> None:
    async with an_office_with(Busy(), blind_needs_key=True) as office:
        live = await begun(office)
        await trio.sleep(3)
        assert "Hangup" in (await post(office, "transfer/accept", Digits="1")).text
        await over(office, live)


# ---------------------------------------------------------------- not back


@pytest.mark.parametrize("inbound", [False, True])
async def test_who_is_put_through_does_not_come_back(autojump_clock: Clock, inbound: bool) -> None:
    sales = Person((Pause(25), HangUp()), rings_s=4)
    async with an_office_with(sales, max_sessions=1) as office:
        live = await begun(office, inbound=inbound)
        await until_ringing(office)
        assert len(office.server.held_back) == 1, "he may come back"
        caller, colleague = office.twilio.calls
        await colleague.until("in-progress")
        await trio.sleep(1)
        assert not office.server.held_back, "others may have his place"
        record = await over(office, live)
        assert record.outcome == "transferred"
        assert record.ended_because == "transferred to sales"
        assert len(caller.streams) == 1
        assert colleague.bridged


@pytest.mark.parametrize("inbound", [False, True])
async def test_a_caller_who_hangs_up_while_it_rings(autojump_clock: Clock, inbound: bool) -> None:
    caller = Person((Pause(6), Say("I want sales please."), Pause(10), HangUp()), rings_s=3)
    async with an_office_with(Person(rings_s=100), caller=caller, ring_timeout_ms=60_000) as office:
        live = await begun(office, inbound=inbound, caller=caller)
        record = await over(office, live)
        assert record.outcome == "talked"
        assert record.ended_because.startswith("transferred to sales")
        assert len(office.twilio.calls[0].streams) == 1


async def test_an_action_that_is_asked_for_who_has_gone_connects_nobody(
    autojump_clock: Clock,
) -> None:
    async with an_office_with(NoAnswer(), ring_timeout_ms=60_000) as office:
        live = await begun(office)
        await until_ringing(office)
        answer = await post(
            office, "transfer/dialled", DialCallStatus="no-answer", CallStatus="completed"
        )
        assert answer.text.endswith("<Response><Hangup /></Response>")
        with trio.fail_after(60):
            record = await office.calls.wait(live.id)
        assert record.ended_because == "transferred to sales: nobody answered"
        assert record.outcome == "talked"


async def test_who_has_gone_is_not_waited_for(autojump_clock: Clock) -> None:
    """The question what to do with him tells that he has, where nothing else does."""
    async with an_office_with(NoAnswer(), ring_timeout_ms=60_000) as office:
        live = await begun(office, inbound=True)
        await until_ringing(office)
        answered_s = live.progress.answered_s
        assert answered_s is not None
        await trio.sleep(5)
        form = {"DialCallStatus": "no-answer", "CallStatus": "completed", "CallDuration": "17"}
        await post(office, "transfer/dialled", **form)
        with trio.fail_after(1):
            record = await office.calls.wait(live.id)
        assert (record.status, record.duration_s, record.outcome) == ("completed", 17, "talked")
        assert not office.server.held_back


@pytest.mark.parametrize("status", ["busy", "completed"])
@pytest.mark.parametrize("lost", [0.0, 1.0])
async def test_late_news_of_one_transfer_is_none_of_the_next(
    autojump_clock: Clock, status: str, lost: float
) -> None:
    """Twilio may tell twice, or late: by then the caller has been put through to somebody else."""
    caller = attrs.evolve(
        CALLER, steps=(*CALLER.steps[:3], Say("The front desk then."), Pause(60), HangUp())
    )
    desk = Person((Pause(30), HangUp()), rings_s=3)
    lossy = Callbacks(lost=lost)
    async with an_office_with(Busy(), caller=caller, front_desk=desk, callbacks=lossy) as office:
        live = await begun(office, inbound=True, caller=caller)
        with trio.fail_after(100):
            while len(office.twilio.calls) < 3:  # noqa: ASYNC110
                await trio.sleep(0.1)
        _, first, second = office.twilio.calls
        await second.until("in-progress")
        for late in ("in-progress", status):
            about = {"CallSid": first.sid, "To": OTHER, "CallStatus": late}
            await post(office, "transfer/dialled-status", **about)
        record = await over(office, live)
        assert record.outcome == "transferred"
        assert second.bridged
        assert second.ended_because == "the person hangs up", "they were not cut off"


@pytest.mark.parametrize("path", ["dialled", "dialled-status"])
async def test_a_call_that_does_not_come_back_is_given_up(autojump_clock: Clock, path: str) -> None:
    """Its stream does not come; or not even the question what to do with it."""
    async with an_office_with(NoAnswer(), ring_timeout_ms=120_000) as office:
        live = await begun(office)
        await until_ringing(office)
        began_s = trio.current_time()
        status = {"dialled": "DialCallStatus", "dialled-status": "CallStatus"}[path]
        for _ in range(2):  # Twilio may tell twice
            answer = await post(office, f"transfer/{path}", **{status: "no-answer"})
        assert ("<Stream" in answer.text) == (path == "dialled")
        lifetime_s = SETTINGS.twilio.token_lifetime_ms / 1000 if path == "dialled" else 10
        with trio.fail_after(lifetime_s + 20):
            record = await office.calls.wait(live.id)
        assert trio.current_time() - began_s > lifetime_s - 0.5
        assert record.ended_because == "transferred to sales: nobody answered"
        assert record.outcome == "talked"
        await trio.sleep(1)
        assert office.twilio.calls[0].is_over
        assert office.is_idle()


# ---------------------------------------------------------------- no place


async def test_the_place_of_who_may_come_back_is_kept(autojump_clock: Clock) -> None:
    async with an_office_with(NoAnswer(), max_sessions=1) as office:
        live = await begun(office)
        await until_ringing(office)
        stranger = office.twilio.ring(VOICE_URL, Person((Pause(5),)))
        await stranger.over.wait()
        assert not stranger.streams, "there is no place"
        record = await over(office, live)
        assert heard(record)[-1] == "We open at nine."


async def test_a_server_that_goes_down_takes_nobody_back(autojump_clock: Clock) -> None:
    async with an_office_with(NoAnswer()) as office:
        live = await begun(office)
        await until_ringing(office)
        office.desk.drain()
        office.server.draining = True
        record = await over(office, live)
        assert record.ended_because == "transferred to sales: nobody answered"
        caller = office.twilio.calls[0]
        assert len(caller.streams) == 1
        (told_s,) = [w.at_s for w in office.twilio.webhooks if w.url.endswith("/dialled")]
        assert caller.ended_s is not None
        assert caller.ended_s - told_s > 1, "a sentence was said"


@pytest.mark.parametrize("mode", ["blind", "warm"])
async def test_a_server_that_stops_leaves_those_alone_who_were_connected(
    autojump_clock: Clock, mode: str
) -> None:
    sales = Person((Pause(8), Press("1"), Pause(60), HangUp()), rings_s=3)
    caller = Person((Pause(6), Say("I want sales please."), Pause(100), HangUp()), rings_s=3)
    async with an_office_with(
        sales, caller=caller, mode=mode, model=Model(warm=mode == "warm")
    ) as office:
        live = await begun(office)
        with trio.fail_after(100):
            while not live.handed_over:  # noqa: ASYNC110
                await trio.sleep(0.1)
        await trio.sleep(10)
        with stopping(office):
            await trio.sleep(10)
            caller_leg, colleague = office.twilio.calls
            assert not caller_leg.is_over
            assert not colleague.is_over
            assert (live.record.outcome, live.record.status) == ("transferred", "completed")
            assert live.record.ended_because == "transferred to sales"


async def test_who_reaches_nobody_after_a_restart_is_told_so(autojump_clock: Clock) -> None:
    async with an_office_with(NoAnswer()) as office:
        live = await begun(office)
        await until_ringing(office)
        caller = office.twilio.calls[0]
        with stopping(office):
            await caller.over.wait()
            assert office.calls.live(live.id) is None
            (told_s,) = [w.at_s for w in office.twilio.webhooks if w.url.endswith("/dialled")]
            assert caller.ended_s is not None
            assert caller.ended_s - told_s > 1, "a sentence was said"


async def test_a_session_that_fails_on_the_way_back_ends_the_call(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office_with(Busy()) as office:
        live = await begun(office)
        await until_ringing(office)
        monkeypatch.setattr(type(office.server), "new_call", _fails)
        record = await over(office, live)
        assert record.ended_because == "transferred to sales: the line was busy"


def _fails(*_args: Any, **_more: Any) -> None:
    raise ZeroDivisionError("of the test")


# ---------------------------------------------------------------- streams


async def test_no_second_stream_while_the_first_is_there(autojump_clock: Clock) -> None:
    """Twilio was told to bring the call back, but its first stream goes on."""
    caller = Person((Pause(60),), rings_s=3)
    async with an_office_with(Busy(), caller=caller) as office:
        live = await begun(office)
        while live.conductor is None:  # noqa: ASYNC110
            await trio.sleep(0.1)
        live.hand_over("transferred to sales", may_return=True)
        live.not_taken("the line was busy")
        answer = await post(office, "transfer/dialled", DialCallStatus="busy")
        assert "<Stream" not in answer.text
        assert UNREACHED in answer.text
        first = await office.calls.get(live.id)
        assert first.turns, "the first one goes on"
