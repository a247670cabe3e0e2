"""The call simulator itself: what the caller says is heard, the log is true, the seed decides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from vantum.config.providers import LocalSettings
from vantum.core.events import ErrorReply, OutputCancelled, OutputChunk, OutputStarted
from vantum.providers.local.activity import LocalActivityProvider
from vantum.testing import CallTool, CartesiaScript, OpenAIScript, Reply
from vantum.testing.calls import (
    Answered,
    CallSetup,
    Cough,
    EndCall,
    EndTurn,
    HangUp,
    Hear,
    HearWord,
    InterruptAfter,
    LoseConnection,
    Mute,
    Network,
    Noise,
    Pause,
    Play,
    PressInterrupt,
    Say,
    SimulatedCall,
    Stall,
    Step,
    StopReading,
    coarse,
    cough,
    run_call,
    simulate,
    simulated_call,
    speech,
    turn_by_turn,
)
from vantum.testing.calls.earpiece import Earpiece
from vantum.testing.calls.line import MemorySocket
from vantum.testing.calls.voice import ROOM
from vantum.testing.cartesia_script import speech as voiced
from vantum.testing.deepgram import Disconnects
from vantum.testing.openai_wire import Messages
from vantum.testing.word_errors import word_error_rate
from vantum.tools import tool
from vantum.wire.client import Envelope

RECORDINGS = Path(__file__).parent.parent / "recordings"

ANSWERS = (
    "Hi, this is Alex from Vantum. ||BREAK|| How do you find new customers today?",
    "That depends on how many calls you make. ||BREAK|| May I show you in a short demo?",
    "Thursday it is. ||BREAK|| Thank you, and have a good day!",
)
TALK = OpenAIScript(turn_by_turn(*ANSWERS), first_token_s=0.35, tokens_per_s=60.0)
SETUP = CallSetup(openai=TALK)
MANUAL = attrs.evolve(SETUP, options={"turn_detection": "manual"})


def who_said_what(call: SimulatedCall) -> list[tuple[str, str]]:
    return [(entry.role, entry.text) for entry in call.history]


def lines(call: SimulatedCall, who: str) -> list[str]:
    return [line.text for line in call.log.lines if line.who == who]


def test_a_call_reads_like_a_transcript() -> None:
    call = run_call([Say("Hello, who is this?"), Answered(), EndCall()], SETUP)
    text = call.log.text()
    assert text.splitlines()[:3] == [
        "00:00.000 state    INITIALIZING → LISTENING",
        "00:00.000 caller   “Hello, who is this?”",
        "00:01.600 heard    “Hello, who is this?”",
    ]
    assert "agent    “Hi, this is Alex from Vantum. How do you find new customers today?”" in text
    assert text.index("LISTENING → THINKING") < text.index("agent ") < text.index("RESPONDING →")
    assert text.splitlines()[-1].endswith("→ ENDED")
    assert call.failure is None


def test_history_is_what_both_sides_heard() -> None:
    call = run_call(
        [Say("Hello, who is this?"), Answered(), Say("What does it cost?"), Answered()], SETUP
    )
    assert who_said_what(call) == [
        ("user", "Hello, who is this?"),
        ("assistant", "Hi, this is Alex from Vantum. How do you find new customers today?"),
        ("user", "What does it cost?"),
        ("assistant", "That depends on how many calls you make. May I show you in a short demo?"),
    ]
    assert call.heard() == [text for role, text in who_said_what(call) if role == "assistant"]
    assert call.asked[-1][-1] == {"role": "user", "content": "What does it cost?"}


def test_an_answer_that_is_begun_meanwhile_is_not_what_is_heard() -> None:
    asked: dict[str, list[str]] = {"said": ["One moment."], "begun": []}
    ear = Earpiece(lambda: asked)
    pcm = voiced("One", 16_000).pcm
    for message in (OutputStarted("1", 0, 16_000), OutputChunk("1", pcm, 16_000)):
        ear.take(0.0, Envelope("", "", "", {}, None, message))
    asked["begun"].append("Something else.")
    ear.learn_words(ear.utterances[0])
    assert [word.text for word in ear.utterances[0].words] == ["One", "moment."]


def test_an_interruption_is_cut_where_the_caller_heard_it() -> None:
    steps: list[Step] = [Say("Hello, who is this?"), HearWord("Vantum"), PressInterrupt(), Pause(1)]
    call = run_call(steps, SETUP)
    assert call.heard() == ["Hi, this is Alex from Vantum."]
    assert who_said_what(call)[1] == ("assistant", "Hi, this is Alex from Vantum.")
    assert call.history[1].interrupted
    assert "after “Hi, this is Alex from Vantum.”" in call.log.text()
    assert [u.late_chunks for u in call.answers] == [0]


@pytest.mark.parametrize(
    ("step", "began_s"),
    [(InterruptAfter(1.0, "Stop, please."), 1.0), (InterruptAfter(0.3, "Stop.", word="Alex"), 1.5)],
)
def test_the_caller_cuts_in_when_told_to(step: Step, began_s: float) -> None:
    call = run_call([Say("Hello, who is this?"), step, Answered()], SETUP)
    first, *_ = call.answers
    spoke_s = [line.at_s for line in call.log.lines if line.who == "caller"][1]
    assert first.began_s is not None
    assert spoke_s - first.began_s == pytest.approx(began_s, abs=0.3)
    # The cut is heard at once: what the caller hears of the answer ends within a quarter second.
    assert first.cut_s is not None
    assert first.cut_s - spoke_s <= 0.25 + 0.02
    assert next(entry.interrupted for entry in call.history if entry.role == "assistant")


def test_interims_grow_and_words_come_from_the_audio() -> None:
    from vantum.core.events import TranscriptOut

    call = run_call([Say("one two three four five six seven"), Pause(3)], SETUP)
    told = call.phone.messages(TranscriptOut)
    interims = [t.transcript for t in told if not t.is_final and t.transcript]
    assert len(interims) >= 4
    assert interims == sorted(interims, key=len)
    assert [t.transcript for t in told if t.is_final] == ["one two three four five six seven"]


def test_what_is_said_into_a_muted_microphone_is_not_heard() -> None:
    call = run_call(
        [Mute(), Say("not for you"), Mute(False), Say("but this is"), Answered()], SETUP
    )
    assert who_said_what(call)[0] == ("user", "but this is")


def test_coughs_and_noise_have_no_words() -> None:
    call = run_call([Cough(), Noise(1.0), Pause(3.0)], SETUP)
    assert call.history == ()
    assert lines(call, "noise") == ["(a cough)", "(noise, -40 dBFS)"]


def test_manual_turns() -> None:
    call = run_call([Say("Hello"), Pause(5.0), EndTurn(), Answered()], MANUAL)
    assert call.log.text().count("THINKING") == 2
    assert call.answers[0].began_s is not None
    assert call.answers[0].began_s > 5.3


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_words_are_heard_at_every_rate(rate_hz: int) -> None:
    setup = attrs.evolve(SETUP, options={"sampling_rate_hz": rate_hz})
    call = run_call([Say("Hello, who is this?"), Answered(), Say("I see."), Answered()], setup)
    said = [text for role, text in who_said_what(call) if role == "user"]
    assert said == ["Hello, who is this?", "I see."]
    assert call.heard() == [text for role, text in who_said_what(call) if role == "assistant"]


def test_a_recording_is_played_and_heard() -> None:
    name, text = (RECORDINGS / "texts.tsv").read_text("utf-8").splitlines()[0].split("\t")
    call = run_call([Play(RECORDINGS / name, text), Pause(4.0)], MANUAL)
    heard = " ".join(line.strip("“”") for line in lines(call, "heard"))
    assert word_error_rate(text, heard) == 0


def test_no_word_is_lost_or_doubled_when_the_recogniser_is_lost() -> None:
    faults = (Disconnects(after_s=1.0, connections=frozenset({0})),)
    setup = attrs.evolve(SETUP, deepgram_faults=faults)
    call = run_call([Say("one two three four five six seven eight"), Answered()], setup)
    assert who_said_what(call)[0] == ("user", "one two three four five six seven eight")
    assert len(call.deepgram.connections) == 2


@pytest.mark.local
def test_the_embedded_ear_hears_the_synthetic_voice_and_no_cough(
    local_settings: LocalSettings,
) -> None:
    ears = LocalActivityProvider(local_settings)
    setup = attrs.evolve(SETUP, ear=ears.for_session)
    steps: list[Step] = [Cough(), Pause(2.0), Say("Hello, who is this?"), Answered()]
    call = run_call(steps, setup)
    assert who_said_what(call)[0] == ("user", "Hello, who is this?")
    ear = ears.for_session()
    assert ear.feed(ROOM * 50 + cough().pcm + ROOM * 50) == []
    edges = ear.feed(speech("What does it cost me today?").pcm + ROOM * 50)
    # It may take a short word for a pause, as it does with people.
    assert [edges[0].speaking, edges[-1].speaking] == [True, False]


@pytest.mark.parametrize("direct", [False, True])
def test_an_answer_in_turn_may_ask_for_tools(direct: bool) -> None:
    """Behind their results the same turn goes on; it does not ask for them again."""
    booked: list[int] = []

    @tool(effect="irreversible", filler="")
    async def book(persons: int) -> str:
        booked.append(persons)
        return "booked"

    asks = Reply("One moment.", (CallTool("book", {"persons": 4}),))
    answers = turn_by_turn((asks, "It is booked."), asks, "Goodbye.")
    setup = CallSetup(openai=OpenAIScript(answers), tools=(book,), direct=direct)
    steps: list[Step] = [
        Say("For four."),
        Answered(),
        Say("Once more."),
        Answered(),
        Say("Bye."),
        Answered(),
    ]
    call = run_call(steps, setup)
    # An answer that has nothing of its own behind the results says its text again.
    assert call.heard() == [
        "One moment. It is booked.",
        "One moment. One moment.",
        "Goodbye.",
    ]
    assert booked == [4, 4]


@tool(effect="pure", filler="")
async def look_up() -> str:
    """Takes longer than the synthesiser keeps an answer open that says nothing."""
    await trio.sleep(3.0)
    return "nothing"


@pytest.mark.parametrize("direct", [False, True])
def test_what_is_said_behind_a_tool_is_heard_too(direct: bool) -> None:
    def answer(messages: Messages) -> str | Reply:
        asks = Reply("Let me see.", (CallTool("look_up"),))
        return "There is nothing." if messages[-1]["role"] == "tool" else asks

    setup = CallSetup(openai=OpenAIScript(answer), tools=(look_up,), direct=direct)
    call = run_call([Say("Hello, who is this?"), Answered()], setup)
    assert call.heard() == ["Let me see. There is nothing."]
    assert direct or list(call.cartesia.transcripts.values()) == [
        ["Let me see. "],
        ["There is nothing. "],
    ]


# ---------------------------------------------------------------- the network


def unheard(pause_s: float, reports_ms: int = 0, delay_ms: float = 0.0) -> int:
    """How many words more are in the record than were heard, when the network stalled for 1 s and
    the answer was cut then or later."""
    network = Network(delay_ms=delay_ms, stalls=(Stall(2.5, 1.0),))
    setup = attrs.evolve(SETUP, network=network, reports_ms=reports_ms)
    call = run_call([Say("Hello"), Pause(pause_s), PressInterrupt(), Pause(2.0)], setup)
    recorded = [x.text for x in call.history if x.role == "assistant"]
    return len(recorded[0].split()) - len(call.heard()[0].split())


@pytest.mark.parametrize("reports_ms", [0, 200])
@pytest.mark.parametrize("pause_s", [2.2, 2.6, 3.0, 3.7])
def test_the_server_knows_what_a_stall_held_back(pause_s: float, reports_ms: int) -> None:
    """From the client's reports, or from what has not left for it yet."""
    assert abs(unheard(pause_s, reports_ms)) <= 1
    assert abs(unheard(pause_s, reports_ms, delay_ms=60)) <= 1


def test_behind_a_proxy_only_reports_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them it believes that the caller heard what had not come yet."""
    monkeypatch.setattr(MemorySocket, "held", None)
    assert unheard(3.7) >= 2
    assert abs(unheard(3.7, reports_ms=200)) <= 1


def test_a_burst_behind_a_long_stall_is_taken_as_from_a_real_connection() -> None:
    setup = attrs.evolve(SETUP, network=Network(stalls=(Stall(0.5, 3.0),)))
    words = "one two three four five six seven eight nine ten"
    call = run_call([Say(words), Answered(), Pause(2.0)], setup)
    assert " ".join(text for role, text in who_said_what(call) if role == "user") == words
    assert not call.phone.messages(ErrorReply)


def test_a_delayed_line_delays_and_a_stalled_one_stalls() -> None:
    plain = run_call([Say("Hello"), Answered()], SETUP).answers[0].began_s or 0.0
    slow = attrs.evolve(SETUP, network=Network(delay_ms=150))
    delayed = run_call([Say("Hello"), Answered()], slow).answers[0].began_s or 0.0
    # Connection and start take a way there and back, and so do the words and the answer.
    assert delayed - plain == pytest.approx(0.75, abs=0.06)
    stuck = attrs.evolve(SETUP, network=Network(stalls=(Stall(1.0, 2.0),)))
    stalled = run_call([Say("Hello"), Answered()], stuck)
    assert 3.0 <= (stalled.answers[0].began_s or 0.0) < 3.8
    assert who_said_what(stalled)[0] == ("user", "Hello")


def test_jitter_keeps_the_order() -> None:
    setup = attrs.evolve(SETUP, network=Network(delay_ms=40, jitter_ms=120), seed=3)
    call = run_call([Say("one two three four"), Answered()], setup)
    assert who_said_what(call)[0] == ("user", "one two three four")
    assert call.heard() == [who_said_what(call)[1][1]]


@pytest.mark.parametrize("end", [HangUp(), LoseConnection()])
def test_a_lost_caller_ends_the_call(end: Step) -> None:
    call = run_call([Say("Hello"), Hear(0.5), end, Say("anybody?"), Answered()], SETUP)
    assert call.failure is None
    assert call.ended_s is not None
    assert call.ended_s < 5
    assert call.wires.open == 0


def test_a_connection_can_be_reset_by_the_clock() -> None:
    call = run_call([Say("Hello"), Answered()], attrs.evolve(SETUP, network=Network(reset_at_s=2)))
    assert call.ended_s == pytest.approx(2.0, abs=1.0)
    assert lines(call, "network") == ["the connection is lost"]


def test_a_client_that_stops_reading_is_closed() -> None:
    long = OpenAIScript((" ".join(["word"] * 200) + ".",))
    setup = attrs.evolve(SETUP, openai=long, window=4)
    call = run_call([Say("Hello"), Hear(1.0), StopReading(), Pause(30)], setup)
    assert call.ended_s is not None
    assert call.ended_s < 15
    assert call.failure is not None


async def _cut_while_nobody_reads() -> int:
    long = OpenAIScript((" ".join(["word"] * 200) + ".",))
    async with simulated_call(attrs.evolve(SETUP, openai=long, window=2)) as call:
        await call.caller.start()
        await call.caller.say("Hello")
        await call.caller.hear(1.0)
        call.caller.stop_reading()
        await call.caller.pause(0.7)
        before = call.phone.count(OutputChunk)
        await call.caller.press_interrupt()
        await call.caller.pause(0.2)
        call.caller.stop_reading(False)
        await call.phone.until(OutputCancelled)
        return call.phone.count(OutputChunk) - before


def test_a_cut_takes_back_what_waits_for_a_slow_client() -> None:
    """All that still comes is what was on its way: the window, and what the writer holds."""
    assert simulate(_cut_while_nobody_reads) <= 3


@pytest.mark.parametrize("end", [HangUp(), EndCall(), LoseConnection()])
def test_what_was_said_right_before_the_end_is_in_the_record(end: Step) -> None:
    steps: list[Step] = [Say("Hello"), Hear(0.7), Say("I have to go."), Pause(0.3), end]
    assert who_said_what(run_call(steps, SETUP))[-1] == ("user", "I have to go.")


# ---------------------------------------------------------------- the same again

BUSY: list[Step] = [
    Say("Hello, who is this?"),
    Hear(1.0),
    Cough(),
    Answered(),
    Say("What does it cost?"),
    HearWord("calls"),
    Say("Stop, I have no time."),
    Answered(),
    EndCall(),
]
ROUGH = attrs.evolve(
    SETUP,
    network=Network(delay_ms=30, jitter_ms=60, stalls=(Stall(4.0, 0.4),)),
    deepgram_faults=(Disconnects(after_s=3.0, connections=frozenset({0})),),
)


def test_the_same_seed_gives_the_same_log_and_another_one_does_not() -> None:
    first, again = (run_call(BUSY, ROUGH).log.text() for _ in range(2))
    assert first == again
    assert run_call(BUSY, attrs.evolve(ROUGH, seed=1)).log.text() != first


def test_the_same_log_in_another_process_with_other_hashes() -> None:
    script = (
        "import sys\n"
        "from tests.testing.test_call_simulator import BUSY, ROUGH, run_call\n"
        "sys.stdout.buffer.write(run_call(BUSY, ROUGH).log.text().encode())"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent.parent,
        )
        for seed in ("1", "2")
    ]
    here = run_call(BUSY, ROUGH).log.text()
    assert [run.communicate()[0].decode() for run in runs] == [here, here]


# ---------------------------------------------------------------- other ways to run one


def test_without_wires_the_same_is_said_and_heard() -> None:
    wired, direct, rough = (
        run_call([Say("Hello, who is this?"), Answered(), Say("I see."), Answered()], setup)
        for setup in (SETUP, attrs.evolve(SETUP, direct=True), coarse(SETUP))
    )
    assert who_said_what(wired) == who_said_what(direct) == who_said_what(rough)
    for a, b, c in zip(wired.answers, direct.answers, rough.answers, strict=True):
        assert a.began_s == pytest.approx(b.began_s or 0.0, abs=0.03)
        assert a.began_s == pytest.approx(c.began_s or 0.0, abs=0.5)


def test_minutes_of_talk_take_no_time() -> None:
    """Figures are in docs/how-to/test-a-conversation.md; here only that it is no wait."""

    async def talk() -> SimulatedCall:
        async with simulated_call(coarse(SETUP)) as call:
            await call.caller.start()
            while trio.current_time() < 300:
                await call.caller.say("So what would it cost us if we made more calls than today?")
                await call.caller.answered()
        return call

    call = simulate(talk)
    said = [text for role, text in who_said_what(call) if role == "user"]
    assert len(said) > 25
    assert set(said) == {"So what would it cost us if we made more calls than today?"}
    assert call.failure is None


def test_who_waits_for_all_to_be_blocked_comes_before_the_next_deadline() -> None:
    async def body() -> list[float]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5.0)
            await trio.testing.wait_all_tasks_blocked()
            times = [trio.current_time()]
        return [*times, trio.current_time()]

    assert simulate(body) == [0.0, 5.0]


@pytest.mark.parametrize("network", [Network(), Network(delay_ms=50)])
def test_what_the_phone_cannot_take_is_not_the_servers_fault(network: Network) -> None:
    def puzzled(now_s: float, envelope: object) -> None:
        raise LookupError("what is this?")

    async def body() -> None:
        async with simulated_call(attrs.evolve(SETUP, network=network)) as call:
            call.phone.listeners.append(puzzled)
            await call.caller.start()

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True, allow_unwrapped=True):
        simulate(body)


def test_a_wait_for_what_never_comes_fails_with_the_log() -> None:
    async def body() -> None:
        async with simulated_call(SETUP) as call:
            await call.caller.start()
            await call.caller.say("Hello")
            await call.caller.hear_word("Rumpelstiltskin")

    with pytest.raises(ExceptionGroup) as failure:
        simulate(body)
    notes = _notes(failure.value)
    assert "caller   “Hello”" in notes


def _notes(error: BaseException) -> str:
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "".join([*getattr(error, "__notes__", []), *map(_notes, inner)])


async def test_it_runs_in_any_test_with_a_clock_that_jumps(autojump_clock: object) -> None:
    async with simulated_call(attrs.evolve(SETUP, cartesia=CartesiaScript())) as call:
        await call.caller.start()
        await call.caller.say("Hello")
        answer = await call.caller.answered()
        assert answer.complete
