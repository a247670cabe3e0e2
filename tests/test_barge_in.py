"""Interruptions by voice in whole calls, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from hypothesis import given, settings

from tests.in_memory import FRAME, LOUD, Caller, LoudnessEar, a_call
from vantum.config import LocalSettings, Settings, TurnSettings
from vantum.core import events as e
from vantum.core.audio import dbfs, read_wav
from vantum.providers.local.activity import LocalActivityProvider
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript
from vantum.testing.calls import (
    Backchannel,
    CallSetup,
    EndCall,
    Hear,
    Pause,
    Say,
    Silence,
    run_call,
    turn_by_turn,
)
from vantum.testing.deepgram_script import ScriptWord, Utterance

ANSWER = (
    "Well, our platform answers every single phone call for you within a second. ||BREAK|| "
    "It never sleeps and it never forgets what a customer has said before. ||BREAK|| "
    "And it costs much less than most people would expect from such a thing."
)
SPOKEN = ANSWER.replace("||BREAK|| ", "")
LATER = "You are right. We will do that."
#: A frame of a recorded voice, and not of the room.
VOICED_DBFS = -40.0
FAST = CartesiaScript(first_audio_s=0.1, rate=4.0)


def hears(*sentences: str) -> DeepgramScript:
    """The first sentence from 0.2 s on; the others where `interrupted` begins, one every 6 s."""
    first = Utterance(_words("Hello there."), 2.6)
    others = (Utterance(_words(text), 6.0 - 0.3 * len(text.split())) for text in sentences)
    return DeepgramScript((first, *others), repeat=False, lead_s=0.2)


def _words(text: str) -> tuple[ScriptWord, ...]:
    return tuple(ScriptWord(w, 0.3 * n, 0.3 * n + 0.24) for n, w in enumerate(text.split()))


def answers(messages: Any) -> str:
    return ANSWER if "Hello" in str(messages[-1]["content"]) else LATER


def model(first_token_s: float = 0.0, tokens_per_s: float = 0.0) -> OpenAIScript:
    return OpenAIScript(answers, first_token_s=first_token_s, tokens_per_s=tokens_per_s)


async def asked(caller: Caller) -> float:
    """Say "Hello there." and be silent until 3.5 s, in the middle of the answer; the time then."""
    await caller.start(turn_detection="auto")
    began_s = trio.current_time()
    await caller.speak(0.2)
    await caller.speak(0.6, LOUD)
    await caller.speak(2.7)
    await trio.sleep_until(began_s + 3.5)
    assert caller.messages(e.StateChanged)[-1].new == "RESPONDING"
    return trio.current_time()


def said(caller: Caller) -> list[tuple[str, str, bool]]:
    assert caller.conductor is not None
    return [(x.role, x.text, x.interrupted) for x in caller.conductor.history.entries]


def states(caller: Caller) -> list[str]:
    return [m.new for m in caller.messages(e.StateChanged)]


def audible(caller: Caller) -> None:
    """No chunk of an utterance follows its cancel, and no answer overlaps another."""
    over: set[str] = set()
    for _, x in caller.got:
        match x.message:
            case e.OutputCancelled(utterance_id=name) | e.OutputCompleted(utterance_id=name):
                over.add(name)
            case e.OutputChunk(utterance_id=name) | e.OutputStarted(utterance_id=name):
                assert name not in over


async def test_a_real_interruption_stops_within_a_quarter_of_a_second(
    autojump_clock: object,
) -> None:
    async with a_call(
        openai=model(),
        deepgram=hears("Wait, I have a question."),
        activity=LoudnessEar(),
        cartesia=FAST,
    ) as caller:
        voiced_s = await asked(caller)
        await caller.speak(1.5, LOUD)
        await caller.speak(6)
        (cancelled_s,) = caller.when(e.OutputCancelled)
        assert cancelled_s - voiced_s <= 0.25
        (interrupted,) = caller.messages(e.Interrupted)
        assert SPOKEN.startswith(interrupted.heard_text)
        assert 3 <= len(interrupted.heard_text.split()) <= 8
        assert said(caller) == [
            ("user", "Hello there.", False),
            ("assistant", interrupted.heard_text, True),
            ("user", "Wait, I have a question.", False),
            ("assistant", LATER, False),
        ]
        context = caller.openai.chats[-1].body["messages"]
        assert context[-2] == {"role": "assistant", "content": interrupted.heard_text}
        assert states(caller)[3:5] == ["INTERRUPTED", "LISTENING"]
        assert len(caller.cartesia.cancelled) == 1
        audible(caller)
    assert caller.failure is None


@pytest.mark.parametrize(
    ("tokens_per_s", "split_seed"), [(0.0, None), (8.0, None), (12.0, 1), (12.0, 2), (12.0, 3)]
)
async def test_a_cough_resumes_at_the_unspoken_word(
    autojump_clock: object, tokens_per_s: float, split_seed: int | None
) -> None:
    """Also while the model is still writing, and in mid-word: then it goes on from there."""

    def script(messages: Any) -> str:
        last = messages[-1]
        if last["role"] == "system" and "Go on" in last["content"]:
            begun = messages[-2]["content"]
            assert f"{SPOKEN} ".startswith(f"{begun} "), "in whole words"
            return SPOKEN[len(begun) :].strip()
        return ANSWER

    async with a_call(
        openai=OpenAIScript(script, tokens_per_s=tokens_per_s, split_seed=split_seed),
        deepgram=hears(),
        activity=LoudnessEar(),
        cartesia=FAST,
    ) as caller:
        voiced_s = await asked(caller)
        await caller.speak(0.3, LOUD)
        await caller.speak(20)
        (interrupted,) = caller.messages(e.Interrupted)
        first, second = caller.messages(e.OutputStarted)
        assert first.utterance_id != second.utterance_id
        assert caller.when(e.OutputStarted)[1] - voiced_s < 1.7
        rest = SPOKEN.removeprefix(interrupted.heard_text).strip()
        assert caller.messages(e.ResponseCompleted)[-1].text == rest
        assert said(caller) == [("user", "Hello there.", False), ("assistant", SPOKEN, False)]
        assert caller.conductor is not None
        heard = [u.heard_text for u in caller.conductor.ledger.utterances]
        assert " ".join(heard) == SPOKEN
        audible(caller)


@pytest.mark.parametrize("words", ["Mm-hmm.", "single phone"])
async def test_a_listening_noise_and_an_echo_resume_and_are_no_turn(
    autojump_clock: object, words: str
) -> None:
    async with a_call(
        openai=model(), deepgram=hears(words), activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        await asked(caller)
        await caller.speak(0.5, LOUD)
        await caller.speak(20)
        assert len(caller.messages(e.OutputCancelled)) == 1
        assert said(caller) == [("user", "Hello there.", False), ("assistant", SPOKEN, False)]
        assert len(caller.messages(e.OutputCompleted)) == 1


@pytest.mark.parametrize("latency_ms", [80.0, 200.0])
def test_a_listening_noise_is_no_turn_though_its_final_text_comes_late(latency_ms: float) -> None:
    """Its first words are enough to go on; the last come when the answer is heard again."""
    heard = DeepgramScript((), latency_ms=latency_ms, interim_every_s=0.3)
    setup = CallSetup(openai=OpenAIScript(turn_by_turn(ANSWER, LATER)), deepgram=heard)
    call = run_call(
        [Say("Hello there."), Hear(2.0), Backchannel("mm-hmm", 0.5), Silence(3.0), EndCall()], setup
    )
    assert [(x.role, x.text) for x in call.history] == [
        ("user", "Hello there."),
        ("assistant", SPOKEN),
    ]
    assert len(call.answers) == 2, "it was stopped and went on"


async def test_a_sound_too_short_stops_nothing(autojump_clock: object) -> None:
    async with a_call(
        openai=model(), deepgram=hears(), activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        await asked(caller)
        await caller.speak(0.04, LOUD)
        await caller.speak(16)
        assert not caller.messages(e.OutputCancelled)
        assert said(caller)[-1] == ("assistant", SPOKEN, False)


async def test_a_resumed_answer_is_interrupted_again(autojump_clock: object) -> None:
    async with a_call(
        openai=model(),
        deepgram=hears("Mm-hmm.", "No, stop that."),
        activity=LoudnessEar(),
        cartesia=FAST,
    ) as caller:
        voiced_s = await asked(caller)
        await caller.speak(0.5, LOUD)
        await caller.speak(5.7)
        await trio.sleep_until(voiced_s + 6.2)
        await caller.speak(0.9, LOUD)
        await caller.speak(8)
        heard = [m.heard_text for m in caller.messages(e.Interrupted)]
        assert len(heard) == 2
        assert SPOKEN.startswith(" ".join(heard))
        assert said(caller)[1:] == [
            ("assistant", " ".join(heard), True),
            ("user", "No, stop that.", False),
            ("assistant", LATER, False),
        ]
        audible(caller)


async def test_words_alone_interrupt_if_there_is_no_ear(autojump_clock: object) -> None:
    turns = Settings(turns=TurnSettings(barge_in="words"))
    async with a_call(
        openai=model(), deepgram=hears("Wait, I have a question."), settings=turns, cartesia=FAST
    ) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(14)
        assert len(caller.messages(e.Interrupted)) == 1
        assert said(caller)[-2:] == [
            ("user", "Wait, I have a question.", False),
            ("assistant", LATER, False),
        ]


async def test_who_goes_on_while_we_think_has_said_one_thing(autojump_clock: object) -> None:
    heard = DeepgramScript(
        (Utterance(_words("Hello there."), 1.1), Utterance(_words("tell me more"), 9.0)),
        repeat=False,
        lead_s=0.2,
    )
    async with a_call(
        openai=model(first_token_s=3.0), deepgram=heard, activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(0.2)
        await caller.speak(0.6, LOUD)
        await caller.speak(1.2)
        assert states(caller)[-1] == "THINKING"
        await caller.speak(0.9, LOUD)
        await caller.speak(9)
        assert said(caller)[:2] == [
            ("user", "Hello there.", False),
            ("user", "tell me more", False),
        ]
        context = caller.openai.chats[-1].body["messages"]
        assert context[1:] == [{"role": "user", "content": "Hello there. tell me more"}]
        assert states(caller)[-1] == "RESPONDING"
        assert not caller.messages(e.Interrupted)


async def ready_while_he_speaks(caller: Caller, sound_s: float) -> float:
    """The caller makes a sound just before the answer would begin; when that was over."""
    await caller.start(turn_detection="auto")
    await caller.speak(0.2)
    await caller.speak(0.6, LOUD)
    await caller.speak(0.8)
    assert states(caller)[-1] == "THINKING"
    await caller.speak(0.3)
    await caller.speak(sound_s, LOUD)
    ended_s = trio.current_time()
    await caller.speak(9)
    return ended_s


async def test_an_answer_that_is_ready_waits_for_who_has_begun_to_speak(
    autojump_clock: object,
) -> None:
    """His words go on with the turn; nobody has heard a syllable of the answer to half of it."""
    heard = DeepgramScript(
        (Utterance(_words("Hello there."), 1.7), Utterance(_words("tell me more"), 9.0)),
        repeat=False,
        lead_s=0.2,
    )
    slow = model(first_token_s=1.2)
    async with a_call(openai=slow, deepgram=heard, activity=LoudnessEar(), cartesia=FAST) as caller:
        await ready_while_he_speaks(caller, 0.9)
        context = caller.openai.chats[-1].body["messages"]
        assert context[1:] == [{"role": "user", "content": "Hello there. tell me more"}]
        assert len(caller.messages(e.OutputStarted)) == 1
        assert not caller.messages(e.Interrupted)
        assert caller.conductor is not None
        dropped = caller.conductor.latencies[0]
        assert dropped.outcome == "cancelled"
        assert dropped.parts_ms["floor"] > 100, "it waited for him"
        assert dropped.framework_us == 0


async def test_an_answer_that_waited_for_a_cough_goes_on_with_its_ledger(
    autojump_clock: object,
) -> None:
    async with a_call(
        openai=model(first_token_s=1.2), deepgram=hears(), activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        ended_s = await ready_while_he_speaks(caller, 0.6)
        (began_s,) = caller.when(e.OutputStarted)
        assert 0.2 < began_s - ended_s < 0.5
        assert caller.conductor is not None
        (turn, *_) = caller.conductor.latencies
        assert turn.parts_ms["floor"] > 300
        assert turn.parts_ms["wire"] < 50


@pytest.mark.parametrize("says_so", [False, True])
async def test_who_sends_only_while_he_speaks_is_answered_and_interrupts(
    autojump_clock: object, says_so: bool
) -> None:
    """What does not come is silence: else his voice never ended, and the next one never began."""
    first = Utterance(_words("Hello there."), 0.3)
    second = Utterance(_words("Wait, I have a question."), 9.0)
    heard = DeepgramScript((first, second), repeat=False, lead_s=0.2)
    async with a_call(
        openai=model(), deepgram=heard, activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(0.2)
        await caller.speak(0.6, LOUD)
        ended_s = trio.current_time()
        if says_so:
            await caller.end()
        await caller.until_state("RESPONDING")
        assert trio.current_time() - ended_s < (0.5 if says_so else 3.5)
        await trio.sleep_until(ended_s + 6)
        voiced_s = trio.current_time()
        await caller.speak(2.4, LOUD)
        (cancelled_s,) = caller.when(e.OutputCancelled)
        assert cancelled_s - voiced_s <= 0.25
        await trio.sleep(6)
        assert said(caller)[2:] == [
            ("user", "Wait, I have a question.", False),
            ("assistant", LATER, False),
        ]


async def test_a_late_report_corrects_what_the_model_is_told(autojump_clock: object) -> None:
    async with a_call(
        openai=model(),
        deepgram=hears("Wait, I have a question."),
        activity=LoudnessEar(),
        cartesia=FAST,
    ) as caller:
        await asked(caller)
        await caller.speak(0.4, LOUD)
        (cancel,) = caller.messages(e.OutputCancelled)
        await caller.send(e.Played(caller.request(), cancel.utterance_id, 900.0))
        await caller.speak(1.1, LOUD)
        await caller.speak(6)
        told = caller.openai.chats[-1].body["messages"][-2]["content"]
        assert told == "Well, our"
        assert said(caller)[1] == ("assistant", told, True)


async def test_looking_at_the_history_changes_nothing(autojump_clock: object) -> None:
    """Of an answer that was just cut it says what is known, and a report still corrects that."""
    async with a_call(openai=model(), deepgram=hears(), activity=None, cartesia=FAST) as caller:
        await caller.start(turn_detection="manual")
        await caller.speak(0.8)
        await caller.end()
        first = await caller.until(e.OutputChunk)
        await trio.sleep(1.5)
        await caller.send(e.Interrupt(caller.request()))
        await caller.until_state("LISTENING")
        looked = said(caller)
        assert looked == said(caller)
        assert looked[-1][2]
        assert caller.conductor is not None
        assert len(caller.conductor.answering.history) == len(looked) - 1
        assert not caller.conductor.ledger.utterances
        await caller.send(e.Played(caller.request(), first.utterance_id, 900.0))
        await trio.sleep(0.1)
        assert said(caller)[:-1] == looked[:-1]
        assert said(caller)[-1] == ("assistant", "Well, our", True)
        await caller.hang_up()
        assert said(caller)[-1] == ("assistant", "Well, our", True)
        assert len(caller.conductor.answering.history) == len(looked)


async def test_looking_at_an_answer_that_goes_on_does_not_part_it(autojump_clock: object) -> None:
    async with a_call(
        openai=model(), deepgram=hears(), activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        await asked(caller)
        await caller.speak(0.3, LOUD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 20)
            await caller.until(e.OutputStarted, 2)
            assert said(caller) == [("user", "Hello there.", False)]
        assert said(caller) == [("user", "Hello there.", False), ("assistant", SPOKEN, False)]


@pytest.mark.parametrize("after_s", [0.1, 0.25, 0.9, 1.6])
@pytest.mark.parametrize("gone", [True, False])
async def test_hanging_up_in_every_phase_of_an_interruption(
    autojump_clock: object, after_s: float, gone: bool
) -> None:
    """Before the stop, right after it, while it is doubtful, while the answer goes on."""
    async with a_call(
        openai=model(), deepgram=hears(), activity=LoudnessEar(), cartesia=FAST
    ) as caller:
        await asked(caller)
        await caller.speak(min(after_s, 0.3), LOUD)
        await caller.speak(max(after_s - 0.3, 0.02))
        if gone:
            await caller.hang_up()
        else:
            await caller.send(e.EndCall(caller.request()))
            await caller.over.wait()
        role, text, interrupted = said(caller)[-1]
        assert (role, interrupted) == ("assistant", True)
        assert SPOKEN.startswith(text)
        assert text
        assert caller.conductor is not None
        heard = " ".join(u.heard_text for u in caller.conductor.ledger.utterances if u.heard_text)
        assert heard == text
    assert caller.failure is None


@pytest.mark.local
@pytest.mark.parametrize("name", ["austen-0870", "austen-0890", "austen-0930", "kennedy"])
async def test_a_human_voice_stops_within_a_quarter_of_a_second(
    autojump_clock: object, name: str
) -> None:
    """With the embedded ear; counted from the first 20 ms that are as loud as a voice."""
    pytest.importorskip("onnxruntime")
    ear = LocalActivityProvider(LocalSettings()).for_session()
    pcm = read_wav((Path(__file__).parent / "recordings" / f"{name}.wav").read_bytes()).pcm
    frames = [pcm[at : at + 640] for at in range(0, len(pcm) - 639, 640)]
    first = next(n for n, frame in enumerate(frames) if dbfs(frame) > VOICED_DBFS)
    turns = Settings(turns=TurnSettings(greeting=SPOKEN))
    silent = DeepgramScript(lead_s=60.0)
    async with a_call(activity=ear, settings=turns, cartesia=FAST, deepgram=silent) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(3.0)
        began_s = trio.current_time()
        for n, frame in enumerate(frames[first : first + 50]):
            await trio.sleep_until(began_s + 0.02 * n)
            await caller.send(e.InputChunk(caller.request(), frame))
        (cancelled_s,) = caller.when(e.OutputCancelled)
        assert cancelled_s - began_s <= 0.25


def run(main: Callable[[], Any]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@given(
    bursts=st.lists(
        st.tuples(st.floats(0.05, 4.0), st.sampled_from([0.06, 0.15, 0.3, 0.8, 1.5])), max_size=4
    ),
    tokens_per_s=st.sampled_from([0.0, 10.0, 40.0]),
    first_audio_s=st.floats(0.0, 0.4),
    way=st.sampled_from(["Mm-hmm.", "Wait a moment please.", "single phone call", ""]),
    explicit_s=st.none() | st.floats(1.0, 8.0),
)
@settings(max_examples=12, deadline=None)
def test_nothing_audible_after_a_cancel_and_history_is_what_was_heard(
    bursts: list[tuple[float, float]],
    tokens_per_s: float,
    first_audio_s: float,
    way: str,
    explicit_s: float | None,
) -> None:
    """Sounds at any moment, first and last audio included, words that fit or do not."""

    async def main() -> None:
        cartesia = CartesiaScript(first_audio_s=first_audio_s, rate=4.0)
        async with a_call(
            openai=model(tokens_per_s=tokens_per_s),
            deepgram=hears(way) if way else hears(),
            activity=LoudnessEar(),
            cartesia=cartesia,
            settings=Settings(turns=TurnSettings(reprompt_after_ms=0)),
        ) as caller:
            await caller.start(turn_detection="auto")
            await caller.speak(0.2)
            await caller.speak(0.6, LOUD)
            async with trio.open_nursery() as nursery:

                async def cut() -> None:
                    await trio.sleep(explicit_s or 0.0)
                    await caller.send(e.Interrupt(caller.request()))

                if explicit_s is not None:
                    nursery.start_soon(cut)
                for pause_s, burst_s in bursts:
                    await caller.speak(pause_s)
                    await caller.speak(burst_s, LOUD)
                await caller.speak(25)
            audible(caller)
            assert states(caller)[-1] == "LISTENING", "no dead end"
        assert caller.failure is None
        assert caller.conductor is not None  # whose call is over: all is settled
        entries = caller.conductor.history.entries
        heard = [u.heard_text for u in caller.conductor.ledger.utterances if u.heard_text]
        said_by_us = [x.text for x in entries if x.role == "assistant" and x.text]
        assert " ".join(said_by_us) == " ".join(heard)
        words = [x.text for x in entries if x.role == "user"]
        assert words[0] == "Hello there."
        if way.startswith("Wait"):
            assert "Wait a moment please." in " ".join(words), "no word is lost"

    run(main)


assert len(FRAME) == len(LOUD)


@pytest.mark.parametrize("pause_s", [0.6, 0.7, 0.8, 0.9])
def test_a_listening_noise_just_before_the_first_sound_is_no_turn_of_its_own(
    pause_s: float,
) -> None:
    """It came while the answer was thought of, and its turn is judged while that is heard."""
    setup = CallSetup(
        openai=OpenAIScript(turn_by_turn(ANSWER, LATER), first_token_s=0.5, tokens_per_s=60),
        cartesia=FAST,
        direct=True,
    )
    hello = Say("Hello there, my friend.")
    call = run_call([hello, Pause(pause_s), Backchannel(), Silence(3.0), EndCall()], setup)
    (user,) = [x.text for x in call.history if x.role == "user"]
    assert user in ("Hello there, my friend.", "Hello there, my friend. mm-hmm")
    assert call.history[-1].text == SPOKEN
