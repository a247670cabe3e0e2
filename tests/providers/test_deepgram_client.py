"""Deepgram's client against the simulated Deepgram, in memory and in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.patience import HANG_S, patient_settings
from vantum.config import DeepgramSettings, Secret
from vantum.core.audio import AudioFormat
from vantum.core.messages import (
    SpeechStarted,
    SttAudio,
    SttBehind,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
    UtteranceEnded,
)
from vantum.providers.deepgram.client import DeepgramProvider
from vantum.testing.deepgram import (
    ClosesWith,
    DeepgramScript,
    Disconnects,
    Drips,
    Fault,
    HangsInHandshake,
    IgnoresFinalize,
    RefusesConnection,
    Rejects,
    Repeats,
    SendsMalformed,
    SimulatedDeepgram,
    Stalls,
    simulated_deepgram,
    spoken_audio,
)

from .deepgram_line import FRAME_S, LINES, PHONE, WIDE, line, room

SENTENCES = ("Hello there, how are you?", "I am fine.")
SCRIPT = DeepgramScript(SENTENCES, speech="in_audio")


def spoken(script: DeepgramScript, audio: AudioFormat) -> bytes:
    """The script as it sounds on this line."""
    return spoken_audio(script, rate_hz=audio.rate_hz, encoding=audio.encoding)


FIRST = frozenset({0})


def peer(*faults: Fault, script: DeepgramScript = SCRIPT) -> SimulatedDeepgram:
    return SimulatedDeepgram(script, faults)


# ---------------------------------------------------------------- recognising


@pytest.mark.parametrize("audio", LINES)
async def test_words_in_order_with_times_on_the_sessions_axis(
    audio: AudioFormat, autojump_clock: trio.abc.Clock
) -> None:
    async with line(peer(), audio=audio) as call:
        await call.speak(spoken(SCRIPT, audio))
        assert call.texts() == list(SENTENCES)
        first = call.finals()[0]
        assert [word.text for word in first.words] == SENTENCES[0].split()
        assert (first.words[0].start_s, first.words[0].end_s) == (0.2, 0.44)
        assert first.confidence == 0.99
        kinds = [type(e) for e in call.events if not isinstance(e, Transcript)]
        assert kinds == [SpeechStarted, UtteranceEnded] * 2
        assert [e.at_s for e in call.of(UtteranceEnded)] == pytest.approx([1.64, 4.18])
        interim = [e.text for e in call.of(Transcript) if not e.is_final]
        assert interim[0] == "Hello"
        assert "Hello there, how" in interim


async def test_the_request_is_what_deepgram_wants(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(), model="nova-3", endpointing_ms=0) as call:
        (connection,) = call.peer.connections
        assert connection.authorization == "Token k"
        assert connection.query == {
            "model": "nova-3",
            "language": "en-US",
            "encoding": "linear16",
            "sample_rate": "16000",
            "channels": "1",
            "smart_format": "true",
            "interim_results": "true",
            "vad_events": "true",
            "endpointing": "false",
            "utterance_end_ms": "1000",
        }
        assert call.provider.health().ok


@pytest.mark.parametrize(
    ("settings", "encoding", "rate_hz"),
    [({}, "mulaw", "8000"), ({"phone_encoding": "linear16"}, "linear16", "16000")],
)
async def test_a_phone_is_heard_as_it_comes(
    settings: dict[str, Any], encoding: str, rate_hz: str, autojump_clock: trio.abc.Clock
) -> None:
    async with line(peer(), audio=PHONE, **settings) as call:
        (connection,) = call.peer.connections
        asked = {"encoding": encoding, "sample_rate": rate_hz, "channels": "1"}
        assert asked.items() <= connection.query.items()
        assert call.provider.takes(PHONE) == (PHONE if encoding == "mulaw" else WIDE)
        # Only a telephone's line: what a browser sends at 8 kHz is PCM.
        assert call.provider.takes(AudioFormat(8_000)) == WIDE


async def test_a_connection_without_audio_is_kept_with_silence_in_its_own_form(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer(), audio=PHONE, keepalive_ms=1000) as call:
        await trio.sleep(5)
        (connection,) = call.peer.connections
        assert connection.audio_s == pytest.approx(0.02)
        assert connection.ended == "open"
        await call.speak(spoken(SCRIPT, PHONE))
        assert call.texts() == list(SENTENCES)


async def test_without_endpointing_the_gap_ends_an_utterance(
    autojump_clock: trio.abc.Clock,
) -> None:
    script = DeepgramScript(SENTENCES, speech="in_audio", final_every_s=0.5)
    async with line(peer(script=script), endpointing_ms=0) as call:
        await call.speak(spoken_audio(script))
        assert call.words() == " ".join(SENTENCES).split()
        assert [e.at_s for e in call.of(UtteranceEnded)] == pytest.approx([1.64, 4.18])


async def test_what_is_not_of_the_protocol_does_no_harm(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(SendsMalformed(), Drips())) as call:
        await call.speak(spoken_audio(SCRIPT))
        await trio.sleep(30)
        assert call.texts() == list(SENTENCES)
        assert len(call.peer.connections) == 1


# ---------------------------------------------------------------- flushing


async def test_a_flush_brings_the_last_words_before_its_answer(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer()) as call:
        audio = spoken_audio(SCRIPT)
        await call.speak(audio[: int(1.6 * 32_000)])
        started_at = trio.current_time()
        assert await call.flush(7) == SttFlushed(7, complete=True)
        assert trio.current_time() - started_at < 0.05
        assert call.texts() == [SENTENCES[0]]
        assert isinstance(call.events[-1], SttFlushed)
        assert call.of(UtteranceEnded) == []  # the flush is the end
        await call.noise(3)
        assert call.of(UtteranceEnded) == []


async def test_nothing_new_to_flush_is_answered_at_once(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(IgnoresFinalize())) as call:
        started_at = trio.current_time()
        assert (await call.flush(1)).complete  # no audio at all
        assert trio.current_time() - started_at < 0.02
        assert call.types == []


async def test_silence_to_flush_is_answered_soon(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(IgnoresFinalize())) as call:
        await call.speak(bytes(32_000))
        started_at = trio.current_time()
        assert await call.flush() == SttFlushed(1, complete=True)
        assert trio.current_time() - started_at < 0.3


async def test_an_end_of_turn_just_behind_speech_final_waits_for_nothing(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Deepgram may not answer a Finalize with so little behind it, and no word fits into that."""
    async with line(peer(IgnoresFinalize())) as call:
        await call.speak(spoken_audio(SCRIPT)[: int(1.6 * 32_000)])
        for _ in range(100):
            await call.noise(0.02)
            if call.of(UtteranceEnded):
                break
        await call.noise(0.1)
        started_at = trio.current_time()
        assert await call.flush() == SttFlushed(1, complete=True)
        assert trio.current_time() - started_at < 0.02


async def test_a_finalize_that_is_not_answered_has_a_deadline(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer(IgnoresFinalize()), finalize_timeout_ms=700) as call:
        await call.speak(spoken_audio(SCRIPT)[: int(1.6 * 32_000)])
        started_at = trio.current_time()
        assert await call.flush() == SttFlushed(1, complete=False)
        assert 0.69 < trio.current_time() - started_at < 0.75
        assert call.texts() == ["Hello there, how are"]  # the best known text
        # What Deepgram still makes of that stretch is not said again.
        await call.speak(spoken_audio(SCRIPT)[int(1.6 * 32_000) :])
        assert call.words() == " ".join(SENTENCES).split()


async def test_flushes_in_a_row_are_each_answered(autojump_clock: trio.abc.Clock) -> None:
    script = DeepgramScript(("one", "two", "three"), speech="on_finalize", latency_ms=150)
    async with line(peer(script=script)) as call:
        for flush_id in (1, 2, 3):
            await call.noise(0.5)
            await call.flush(flush_id)
        assert call.texts() == ["one", "two", "three"]
        assert [e.flush_id for e in call.of(SttFlushed)] == [1, 2, 3]
        assert all(e.complete for e in call.of(SttFlushed))


# ---------------------------------------------------------------- keeping and losing


async def test_half_an_hour_of_nothing(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(), keepalive_ms=4000) as call:
        await trio.sleep(1800)
        (connection,) = call.peer.connections
        assert connection.ended == "open"
        assert connection.audio_s == pytest.approx(0.02)  # KeepAlive alone would not do
        assert len(connection.messages) == pytest.approx(450, abs=3)
        await call.speak(spoken_audio(SCRIPT))
        assert call.texts() == list(SENTENCES)
        assert call.finals()[0].words[0].start_s == pytest.approx(0.2)  # the caller's first sample
        assert len(call.peer.connections) == 1


async def test_keepalive_only_in_silence(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(), keepalive_ms=1000) as call:
        await call.noise(5)
        assert call.types == []
        await trio.sleep(5)
        assert call.types == ["KeepAlive"] * 4 or call.types == ["KeepAlive"] * 5


@settings(max_examples=25, deadline=None)
@given(
    drops=st.lists(st.floats(0.02, 4.0), min_size=1, max_size=3),
    latency_ms=st.sampled_from([0, 30, 400]),
    flush_at_s=st.none() | st.floats(0.3, 5.0),
    refused=st.booleans(),
    most_speed=st.sampled_from([0.0, 1.25]),
    audio=st.sampled_from(LINES),
)
def test_no_word_is_lost_and_none_comes_twice(
    drops: list[float],
    latency_ms: float,
    flush_at_s: float | None,
    refused: bool,
    most_speed: float,
    audio: AudioFormat,
) -> None:
    """Wherever connections break, and with or without a flush while they do; what is sent again may
    be heard only slowly."""
    script = DeepgramScript(
        ("one two three four five six", "seven eight", "nine ten eleven"),
        speech="in_audio",
        latency_ms=latency_ms,
        most_speed=most_speed,
        final_every_s=1.0,
        pause_s=0.7,
    )
    faults = [Disconnects(after_s=s, connections=frozenset({n})) for n, s in enumerate(drops)]

    def dial(n: int) -> None:
        if refused and n == 1:
            raise OSError("no route")

    if refused:  # one attempt of the schedule less for connections that break
        del faults[2:]

    async def main() -> None:
        async with line(peer(*faults, script=script), dial=dial, audio=audio) as call:
            said = spoken(script, audio)
            cut = round((flush_at_s or 0) * 50) * audio.bytes_in(FRAME_S)
            await call.speak(said[:cut])
            if cut:
                await call.flush(1)
            await call.speak(said[cut:])
            await trio.sleep(latency_ms / 1000)
            await call.flush(2)
            assert call.words() == " ".join(map(str, script.sentences)).split()
            assert [e.flush_id for e in call.of(SttFlushed)] == ([1, 2] if cut else [2])
            starts = [word.start_s for final in call.finals() for word in final.words]
            assert starts == sorted(starts)
            assert call.recogniser.lost_s == 0
            assert call.failure is None
            if not cut:
                assert len(call.of(UtteranceEnded)) == 3
                assert len(call.of(SpeechStarted)) == 3

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@st.composite
def a_fault(draw: st.DrawFn, connection: int) -> Fault:
    """What becomes of this connection: it breaks, is closed, or is half dead; a second one is not
    half dead too, or the end of a turn would be given up, and its words come in the next."""
    only, after_s = frozenset({connection}), draw(st.floats(0.02, 4.0))
    kinds: list[Fault] = [
        Disconnects(after_s=after_s, connections=only),
        Disconnects(after_messages=1 + int(after_s * 10), connections=only),
        ClosesWith(1011, "NET-0000", after_s, only),
        ClosesWith(1000, "", after_s, only),
    ]
    if connection:
        kinds += [RefusesConnection(only), Rejects(503, only), HangsInHandshake(only)]
    else:
        kinds.append(Stalls(after_s, only))
    return draw(st.sampled_from(kinds))


# A log of what happened tells more than a smaller example, which takes minutes to find.
@settings(max_examples=10, deadline=None, phases=(Phase.generate,))
@given(
    faults=st.tuples(a_fault(0), a_fault(1)) | st.tuples(a_fault(0)),
    manner=st.sampled_from([Drips(61, 1.0), Repeats(), SendsMalformed(), None]),
    flush_at_s=st.none() | st.floats(0.3, 5.0),
    audio=st.sampled_from(LINES),
)
def test_whatever_goes_wrong_each_word_comes_once(
    faults: tuple[Fault, ...], manner: Fault | None, flush_at_s: float | None, audio: AudioFormat
) -> None:
    """Any two connections that fail, each in its own way, and a peer with a manner of its own."""
    script = DeepgramScript(
        ("one two three four five six", "seven eight", "nine ten eleven"),
        speech="in_audio",
        final_every_s=1.0,
        pause_s=0.7,
    )

    async def main() -> None:
        given_faults = (*faults, manner) if manner else faults
        # A ring for the longest of it: one that says nothing until it is given up.
        async with line(peer(*given_faults, script=script), ring_s=40.0, audio=audio) as call:
            said = spoken(script, audio)
            cut = round((flush_at_s or 0) * 50) * audio.bytes_in(FRAME_S)
            await call.speak(said[:cut])
            if cut:
                await call.flush(1)
            await call.speak(said[cut:] + room(4.0, audio))
            await call.flush(2)
            assert call.words() == " ".join(map(str, script.sentences)).split()
            assert [e.flush_id for e in call.of(SttFlushed)] == ([1, 2] if cut else [2])
            assert call.recogniser.lost_s == 0
            assert call.failure is None

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(("most_speed", "answers_by_s"), [(0.0, 0.3), (1.25, 3.4)])
async def test_a_turn_whose_words_are_sent_again_is_answered_when_they_are_heard(
    autojump_clock: trio.abc.Clock, most_speed: float, answers_by_s: float
) -> None:
    """Four seconds, of which nothing was final yet, on a new connection."""
    words = "one two three four five six seven eight nine ten eleven twelve"
    script = DeepgramScript((words,), speech="in_audio", latency_ms=200, most_speed=most_speed)
    async with line(peer(Disconnects(after_s=3.6, connections=FIRST), script=script)) as call:
        await call.speak(spoken_audio(script)[: 4 * 32_000])
        asked_at = trio.current_time()
        assert await call.flush() == SttFlushed(1, complete=True)
        assert trio.current_time() - asked_at < answers_by_s
        assert " ".join(call.texts()) == words
        told = [each.by_s for each in call.of(SttBehind)]
        assert told == ([pytest.approx(2.9, abs=0.3)] if most_speed else told)


async def test_a_flush_that_waits_when_the_connection_breaks_is_asked_again(
    autojump_clock: trio.abc.Clock,
) -> None:
    # Latency keeps the answer back until the connection is gone.
    script = DeepgramScript(SENTENCES, speech="in_audio", latency_ms=300)
    async with line(peer(ClosesWith(1011, "x", 1.62, FIRST), script=script)) as call:
        await call.speak(spoken_audio(script)[: int(1.6 * 32_000)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.flush)
            await trio.sleep(0.01)
            await call.noise(0.04)
        assert call.of(SttFlushed) == [SttFlushed(1, complete=True)]
        assert call.texts() == [SENTENCES[0]]
        assert [c.types for c in call.peer.connections] == [["Finalize"], ["Finalize"]]
        sent_s = sum(c.audio_s for c in call.peer.connections)
        assert call.recogniser.spent.heard_s == pytest.approx(sent_s)
        assert sent_s > 1.7, "some of it was sent again"


async def test_reconnecting_follows_the_schedule_and_then_gives_up(
    autojump_clock: trio.abc.Clock,
) -> None:
    def dial(n: int) -> None:
        if n > 0:
            raise OSError("no route")

    async with line(peer(Disconnects(after_s=1.2)), dial=dial) as call:
        await call.speak(spoken_audio(SCRIPT)[:64_000])
        await call.ended.wait()
        lost_at = call.dialled_at[1]
        assert [round(at - lost_at, 3) for at in call.dialled_at[1:]] == [0, 0.1, 0.6]
        assert call.failure is not None
        assert call.failure.kind == "network"
        assert call.failure.retryable
        assert not call.provider.health().ok


async def test_a_peer_that_drops_everything_is_given_up(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(Disconnects(after_messages=1))) as call:
        with trio.move_on_after(20):
            await call.speak(spoken_audio(SCRIPT))
        assert call.failure is not None
        assert call.failure.kind == "network"
        assert len(call.peer.connections) == 4


async def test_a_long_outage_keeps_the_last_seconds(autojump_clock: trio.abc.Clock) -> None:
    def dial(n: int) -> None:
        if n == 1:
            raise OSError("no route")

    script = DeepgramScript(("a b c d e f g h",), speech="in_audio", word_s=0.5, final_every_s=0.5)
    hang = HangsInHandshake(frozenset({1}))
    faults = (Disconnects(after_s=0.2, connections=FIRST), hang)
    async with line(peer(*faults, script=script), dial=dial, ring_s=2.0) as call:
        call_audio = spoken_audio(script)
        await call.speak(call_audio + room(FRAME_S) * 50)
        await call.flush()
        # 0.2 s of audio were sent when it was lost; it came back after 5.1 s, with 2 s of ring.
        assert call.recogniser.lost_s > 2
        assert call.words() == ["a", "b", "c", "d", "e", "f", "g", "h"][-len(call.words()) :]
        assert call.words()


async def test_a_socket_that_is_not_read_is_a_lost_one(autojump_clock: trio.abc.Clock) -> None:
    """Its peer stalls, and the stream between them holds nothing back."""
    stalls = Stalls(after_s=1.0, connections=FIRST)
    async with line(peer(stalls), pair=trio.testing.lockstep_stream_pair) as call:
        await call.speak(spoken_audio(SCRIPT) + room(FRAME_S) * 100)
        await call.flush()
        assert call.words() == " ".join(SENTENCES).split()
        assert len(call.peer.connections) == 2
        # Stalled at 1 s, its queue full a little later, and 5 s for the send.
        assert 6.0 < call.dialled_at[1] < 6.5
        assert call.recogniser.lost_s == 0


async def test_a_peer_that_reads_and_says_nothing_is_a_lost_one(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer(Stalls(after_s=1.0, connections=FIRST))) as call:
        await call.speak(spoken_audio(SCRIPT) + room(FRAME_S) * 400)
        await call.flush()
        assert call.words() == " ".join(SENTENCES).split()
        assert len(call.peer.connections) == 2
        assert call.recogniser.lost_s == 0


@pytest.mark.parametrize("after_s", [0.0, 0.7, 3.0])
async def test_two_that_hang_one_after_the_other_cost_no_word(
    autojump_clock: trio.abc.Clock, after_s: float
) -> None:
    """By then there is more to be heard again than the ring usually holds."""
    letters = ["".join(pair) for pair in product("abcdef", "ghijklmn")]
    script = DeepgramScript((" ".join(letters),), speech="in_audio", most_speed=1.25)
    faults = (Stalls(after_s=3.0, connections=FIRST), Stalls(after_s, frozenset({1})))
    async with line(peer(*faults, script=script)) as call:
        await call.speak(spoken_audio(script) + room(10.0))
        await call.flush()
        assert len(call.peer.connections) == 3
        assert call.words() == letters
        assert call.recogniser.lost_s == 0
        await call.noise(30)
        assert call.recogniser._timeline.capacity == 10 * WIDE.rate_hz, "as usual again"


async def test_a_peer_that_is_silent_all_the_time_is_reconnected_to_ever_less(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Nothing shows that any of them had hung."""
    async with line(peer(Stalls())) as call:
        await call.noise(120)
        waits = [b - a for a, b in pairwise(call.dialled_at)]
        assert waits == pytest.approx([5, 5, 10, 20, 40], abs=0.5)


async def test_the_rest_of_a_sentence_is_heard_again_if_its_peer_has_hung_in_it(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Some of it is interim text: of that a living peer would make a final one when asked."""
    sentence = "one two three four five six seven"
    script = DeepgramScript((sentence,), speech="in_audio")
    async with line(peer(Stalls(after_s=1.2, connections=FIRST), script=script)) as call:
        await call.speak(spoken_audio(script))
        assert call.of(Transcript)
        assert not call.finals()
        await call.flush()
        assert call.words() == sentence.split()
        assert len(call.peer.connections) == 2


# ---------------------------------------------------------------- not getting there


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request"), (401, "auth"), (402, "quota"), (403, "auth")],
)
async def test_a_final_refusal_ends_it(
    autojump_clock: trio.abc.Clock, status: int, kind: str
) -> None:
    async with line(peer(Rejects(status)), wait_ready=False) as call:
        await call.ended.wait()
        assert call.failure is not None
        assert (call.failure.kind, call.failure.status) == (kind, status)
        assert not call.failure.retryable
        assert len(call.dialled_at) == 1
        health = call.provider.health()
        # A wrong request may be one session's language: it says nothing of the provider.
        assert health.ok == (kind == "invalid_request")
        assert (str(status) in health.detail) != health.ok


@pytest.mark.parametrize(
    ("fault", "delays_s", "kind"),
    [
        (Rejects(500), [0, 0.1, 1, 3, 5], "server"),
        (Rejects(429), [0, 1, 2, 4, 8], "rate_limit"),
        (Rejects(503), [0, 0.5, 1, 2, 4], "server"),
        (RefusesConnection(), [0, 0.1, 1, 3, 5], "network"),
    ],
)
async def test_the_first_connection_is_tried_by_the_schedule(
    autojump_clock: trio.abc.Clock, fault: Fault, delays_s: list[float], kind: str
) -> None:
    async with line(peer(fault), wait_ready=False) as call:
        await call.ended.wait()
        expected = [sum(delays_s[: n + 1]) for n in range(len(delays_s))]
        assert call.dialled_at == pytest.approx([call.dialled_at[0] + at for at in expected])
        assert call.failure is not None
        assert call.failure.kind == kind
        assert "k" not in call.failure.message.split()


@pytest.mark.parametrize(
    ("asked", "waited_s"), [("0.1", 1.0), ("3", 3.0), ("3600", 8.0), ("soon", 1.0)]
)
async def test_a_pause_that_is_asked_for(
    autojump_clock: trio.abc.Clock, asked: str, waited_s: float
) -> None:
    refused = Rejects(429, FIRST, retry_after=asked)
    async with line(peer(refused)) as call:
        first, second = call.dialled_at
        assert second - first == pytest.approx(waited_s)


async def test_a_handshake_that_hangs_times_out(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(HangsInHandshake()), wait_ready=False, connect_timeout_ms=500) as call:
        await call.ended.wait()
        assert call.failure is not None
        assert call.failure.kind == "timeout"
        assert len(call.dialled_at) == 5


async def test_a_server_without_tls_where_tls_is_wanted(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(), wait_ready=False, base_url="wss://deepgram.test") as call:
        await call.ended.wait()
        assert call.failure is not None
        assert call.failure.kind == "network"
        assert "TLS" in call.failure.message


async def test_a_key_that_is_revoked_in_mid_call_ends_it(autojump_clock: trio.abc.Clock) -> None:
    faults = (Disconnects(after_s=1.5, connections=FIRST), Rejects(401, frozenset({1})))
    async with line(peer(*faults)) as call:
        await call.noise(2)
        await call.ended.wait()
        assert call.failure is not None
        assert call.failure.kind == "auth"
        assert len(call.dialled_at) == 2


async def test_audio_that_came_before_the_connection_is_recognised(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer(Rejects(500, frozenset({0, 1, 2}))), wait_ready=False) as call:
        await call.speak(spoken_audio(SCRIPT))
        await call.flush()
        assert call.words() == " ".join(SENTENCES).split()


async def test_undecodable_audio_is_final(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(ClosesWith(1008, "DATA-0000", 0.1))) as call:
        await call.noise(0.5)
        await call.ended.wait()
        assert call.failure is not None
        assert call.failure.kind == "invalid_request"
        assert len(call.peer.connections) == 1


# ---------------------------------------------------------------- hanging up


async def test_the_end_of_the_input_closes_the_stream_and_brings_the_last_words(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer()) as call:
        await call.speak(spoken_audio(SCRIPT)[: int(1.6 * 32_000)])
        started_at = trio.current_time()
        call.input_tx.close()
        await call.ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() - started_at < 0.1
        assert call.failure is None
        assert call.texts() == [SENTENCES[0]]
        assert call.peer.connections[0].ended == "closed by CloseStream"


async def test_a_peer_that_does_not_close_is_left_after_a_second(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer(Stalls(after_s=0.5))) as call:
        await call.noise(1)
        started_at = trio.current_time()
        call.input_tx.close()
        await call.ended.wait()
        assert trio.current_time() - started_at == pytest.approx(1.0)
        assert call.failure is None


async def test_the_end_of_the_input_also_ends_connecting(autojump_clock: trio.abc.Clock) -> None:
    async with line(peer(HangsInHandshake()), wait_ready=False) as call:
        await trio.sleep(1)
        call.input_tx.close()
        await call.ended.wait()
        assert trio.current_time() - call.dialled_at[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "pair", [trio.testing.memory_stream_pair, trio.testing.lockstep_stream_pair]
)
async def test_cancelling_says_goodbye_and_leaves_nothing(
    autojump_clock: trio.abc.Clock,
    pair: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]],
) -> None:
    simulated = peer()
    async with trio.open_nursery() as nursery:

        async def open_stream(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = pair()
            nursery.start_soon(simulated.handle, theirs)
            return ours

        provider = DeepgramProvider(
            DeepgramSettings(api_key=Secret("k"), base_url="http://deepgram.test"), open_stream
        )
        input_tx, input_rx = trio.open_memory_channel[SttInput](50)
        event_tx, _event_rx = trio.open_memory_channel[object](50)
        recogniser = provider.for_session(language="en", line=WIDE)
        async with trio.open_nursery() as session:
            await session.start(recogniser.run, input_rx, event_tx)
            await input_tx.send(SttAudio(room(FRAME_S)))
            await trio.sleep(0.1)
            started_at = trio.current_time()
            session.cancel_scope.cancel()
        assert trio.current_time() == started_at
    (connection,) = simulated.connections  # the nursery is empty: the peer has seen the end
    assert connection.types == ["CloseStream"]


async def test_cancelling_in_mid_send_cuts_the_stream(autojump_clock: trio.abc.Clock) -> None:
    simulated = peer(Stalls())
    async with line(simulated, pair=trio.testing.lockstep_stream_pair) as call:
        await call.noise(2)
        started_at = trio.current_time()
    assert trio.current_time() - started_at < 1.1
    assert simulated.connections[0].types == []


async def test_a_session_that_listens_no_more_is_hung_up_on(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with line(peer()) as call:
        call.event_rx.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.speak, spoken_audio(SCRIPT))
            await call.ended.wait()
            nursery.cancel_scope.cancel()
        assert call.failure is None
    assert call.peer.connections[0].types == ["CloseStream"]


# ---------------------------------------------------------------- the provider


async def test_on_real_sockets() -> None:
    script = DeepgramScript(("Hello there.", "How are you?"), speech="on_finalize")
    with trio.fail_after(HANG_S):
        async with simulated_deepgram(script) as simulated, trio.open_nursery() as nursery:
            provider = DeepgramProvider(
                attrs.evolve(
                    patient_settings().deepgram, api_key=Secret("k"), base_url=simulated.base_url
                )
            )
            input_tx, input_rx = trio.open_memory_channel[SttInput](50)
            event_tx, event_rx = trio.open_memory_channel[SttEvent](50)
            recogniser = provider.for_session(language="en", line=WIDE)
            await nursery.start(recogniser.run, input_rx, event_tx)
            for flush_id, sentence in enumerate(script.sentences):
                await input_tx.send(SttAudio(room(FRAME_S) * 10))
                await input_tx.send(SttFlush(flush_id))
                transcript = await event_rx.receive()
                if isinstance(transcript, SttBehind):  # that much audio at once takes its time
                    transcript = await event_rx.receive()
                assert isinstance(transcript, Transcript)
                assert (transcript.text, transcript.is_final) == (sentence, True)
                assert await event_rx.receive() == SttFlushed(flush_id)
            input_tx.close()
    assert simulated.connections[0].ended == "closed by CloseStream"


def test_a_wrong_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="DEEPGRAM_BASE_URL"):
        DeepgramProvider(DeepgramSettings(base_url="ftp://deepgram.test"))


async def test_health_before_any_contact() -> None:
    provider = DeepgramProvider(DeepgramSettings(api_key=Secret("topsecret")))
    assert provider.name == "deepgram"
    assert provider.health().ok
    assert "topsecret" not in repr(provider)
