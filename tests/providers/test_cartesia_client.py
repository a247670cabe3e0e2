"""The Cartesia client against the simulated peer, in virtual time."""

import math
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.patience import HANG_S, nobody_listening, until
from tests.providers.cartesia_call import (
    KEY,
    LINES,
    PHONE,
    WIDE,
    call,
    check_nearly_whole,
    check_whole,
    expected_pcm,
    pcm,
    say,
    words,
)
from vantum.config import CartesiaSettings, Secret
from vantum.core.audio import AudioFormat
from vantum.core.messages import PieceSpoken, SpeechAudio, SpeechFinished, SpeechPiece, TtsOutput
from vantum.errors import ConfigError, ProviderError
from vantum.ports import Metered, TextToSpeech
from vantum.providers.cartesia import link as link_module
from vantum.providers.cartesia.answer import MAX_CHARS_UNDER_WAY
from vantum.providers.cartesia.client import CartesiaProvider
from vantum.providers.cartesia.protocol import Failure
from vantum.testing.cartesia import CartesiaScript
from vantum.testing.cartesia_script import Fault, Refusal

TEXTS = ("Hello there, my friend.", "This is the second piece of it.", "And good bye!")
STREAMED = CartesiaScript(first_audio_s=0.09, rate=4.0, api_key=KEY)


async def test_one_context_speaks_an_answer_piece_by_piece(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        check_whole(await say(c.voice, TEXTS), TEXTS)
        messages = [r.message for r in c.peer.requests]
    assert list(c.peer.transcripts.values()) == [[t + " " for t in TEXTS]]
    first = messages[0]
    assert first["model_id"] == "sonic-3.5"
    assert first["voice"] == {"mode": "id", "id": "c961b81c-a935-4c17-bfb3-ba2239de8c2f"}
    assert first["language"] == "en"
    assert first["output_format"] == {
        "container": "raw",
        "encoding": "pcm_s16le",
        "sample_rate": 16_000,
    }
    assert [(m["transcript"], m["continue"], m.get("flush", False)) for m in messages] == [
        *((t, True, f) for text in TEXTS for t, f in ((text + " ", False), ("", True))),
        ("", False, False),
    ]
    assert c.peer.cancelled == type(c.peer.cancelled)()


async def test_a_phone_gets_its_speech_in_its_own_form(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        assert c.voice.rate_hz(PHONE) == 8_000
        check_whole(await say(c.voice, TEXTS, line=PHONE), TEXTS, line=PHONE)
        formats = [r.message["output_format"] for r in c.peer.requests]
        # The next answer may be for another line: nothing of the connection depends on it.
        check_whole(await say(c.voice, TEXTS), TEXTS)
    asked = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000}
    assert formats == [asked] * len(formats)


async def test_the_key_travels_in_a_header_and_is_nowhere_else(autojump_clock: Any) -> None:
    async with call() as c:
        await say(c.voice, TEXTS)
        handshake = c.peer.handshakes[0]
        assert handshake.headers["authorization"] == f"Bearer {KEY}"
        assert handshake.path == "/tts/websocket?cartesia_version=2026-08-14"
        assert KEY not in repr(c.provider) + repr(c.voice) + handshake.path
    assert c.line.opened == [("cartesia.test", 8000)]


async def test_a_piece_is_sent_when_it_comes_not_when_the_last_one_was_heard(
    autojump_clock: Any,
) -> None:
    async with call(STREAMED) as c:
        piece_tx, piece_rx = trio.open_memory_channel(0)
        speech_tx, speech_rx = trio.open_memory_channel(0)  # nobody listens

        async with trio.open_nursery() as nursery:
            speak = partial(c.voice.synthesize, voice_id=None, language="en", line=WIDE)
            nursery.start_soon(speak, piece_rx, speech_tx)
            await piece_tx.send(SpeechPiece(0, TEXTS[0]))
            await trio.sleep(0.3)
            await piece_tx.send(SpeechPiece(1, TEXTS[1]))
            await trio.testing.wait_all_tasks_blocked()
            assert [*c.peer.transcripts.values()] == [[TEXTS[0] + " ", TEXTS[1] + " "]]
            nursery.cancel_scope.cancel()
        speech_rx.close()


async def test_first_audio_is_as_early_as_the_provider(autojump_clock: Any) -> None:
    outputs: list[Any] = []
    async with call(STREAMED) as c:
        start_s = trio.current_time()
        await say(c.voice, TEXTS, pauses_s=(0, 5), outputs=outputs)
    audio = [(at, o) for at, o in outputs if isinstance(o, SpeechAudio)]
    assert audio[0][0] - start_s == pytest.approx(0.09)
    second = next(at for at, o in audio if o.piece_index == 1)
    assert second - start_s == pytest.approx(5 + 0.09)


async def test_a_context_that_would_expire_is_not_used_again(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        outputs = await say(c.voice, TEXTS, pauses_s=(0, 1.5, 3))
        check_whole(outputs, TEXTS)
        assert [len(t) for t in c.peer.transcripts.values()] == [1, 1, 1]
        # Slow pieces, but no silence long enough.
        check_whole(await say(c.voice, TEXTS, pauses_s=(0, 0.6, 0.6)), TEXTS)
        assert [len(t) for t in c.peer.transcripts.values()] == [1, 1, 1, 3]
    assert c.peer.expired_inputs == 0


@pytest.mark.parametrize(("pause_s", "contexts"), [(0.6, [2]), (0.8, [1, 1])])
async def test_a_context_is_left_before_it_expires(
    pause_s: float, contexts: list[int], autojump_clock: Any
) -> None:
    # On a real network the news of the expiry may be under way while the next piece is sent.
    async with call() as c:
        check_whole(await say(c.voice, TEXTS[:2], pauses_s=(0, pause_s)), TEXTS[:2])
        assert [len(t) for t in c.peer.transcripts.values()] == contexts


async def test_an_error_when_all_was_said_does_not_matter(autojump_clock: Any) -> None:
    async with call() as c:
        outputs: list[Any] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(say, c.voice, TEXTS, pauses_s=(0, 0.5), outputs=outputs))
            await trio.sleep(0.2)
            voice: Any = c.voice
            voice.link.route(Failure("context-0", 400, None))
        check_whole([o for _, o in outputs], TEXTS)


async def test_a_late_piece_goes_ahead_while_earlier_ones_are_still_being_heard(
    autojump_clock: Any,
) -> None:
    # The provider is long done with the first piece, the listener is not.
    async with call(STREAMED) as c:
        outputs = await say(c.voice, TEXTS, pauses_s=(0, 3), listen_s=0.5)
        check_whole(outputs, TEXTS)
        assert [len(t) for t in c.peer.transcripts.values()] == [1, 2]
        assert c.peer.requests[2].message["transcript"] == TEXTS[1] + " "
    assert c.peer.expired_inputs == 0


async def test_pieces_without_words_and_empty_answers(autojump_clock: Any) -> None:
    async with call() as c:
        outputs = await say(c.voice, ("—", "Yes.", "…", "!"))
        assert words(outputs) == [("Yes.", 0.0, 0.28)]
        assert [o for o in outputs if isinstance(o, PieceSpoken)] == [*map(PieceSpoken, range(4))]
        assert await say(c.voice, ()) == [SpeechFinished()]
        assert list(c.peer.transcripts.values()) == [["Yes. "]]


@pytest.mark.parametrize("timestamps", ["before", "after", "restart"])
async def test_words_are_placed_on_the_answers_axis(timestamps: Any, autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, timestamps=timestamps)) as c:
        check_whole(await say(c.voice, TEXTS), TEXTS)


async def test_text_under_way_is_bounded(autojump_clock: Any) -> None:
    texts = [f"Sentence number {n} is spoken by the voice of the machine." for n in range(30)]
    async with call() as c:
        outputs: list[Any] = []
        with trio.move_on_after(5):
            await say(c.voice, texts, outputs=outputs, listen_s=100)
        sent = sum(len(t) for one in c.peer.transcripts.values() for t in one)
        assert MAX_CHARS_UNDER_WAY / 2 < sent < MAX_CHARS_UNDER_WAY + 2 * len(texts[0])
        check_whole(await say(c.voice, texts), texts)


async def test_a_sender_that_just_goes_leaves_no_end(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        piece_tx, piece_rx = trio.open_memory_channel[Any](2)
        speech_tx, speech_rx = trio.open_memory_channel[Any](math.inf)
        piece_tx.send_nowait(SpeechPiece(0, TEXTS[0]))
        piece_tx.close()
        await c.voice.synthesize(piece_rx, speech_tx, voice_id=None, language="en", line=WIDE)
        await trio.sleep(1)
        assert speech_rx.statistics().current_buffer_used == 0
        assert list(c.peer.cancelled) == ["context-0"]


async def test_a_listener_that_goes_ends_the_answer(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        piece_tx, piece_rx = trio.open_memory_channel[Any](2)
        speech_tx, speech_rx = trio.open_memory_channel[Any](0)
        piece_tx.send_nowait(SpeechPiece(0, TEXTS[0]))
        speech_rx.close()
        with pytest.raises(trio.BrokenResourceError):
            await c.voice.synthesize(piece_rx, speech_tx, voice_id=None, language="en", line=WIDE)
        await trio.sleep(1)
        assert list(c.peer.cancelled) == ["context-0"]


# ---------------------------------------------------------------- cancelling


async def test_cancelling_stops_the_context_and_keeps_the_connection(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        with trio.move_on_after(0.2):
            await say(c.voice, TEXTS)
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert list(c.peer.cancelled) == ["context-0"]
        assert c.peer.connections == 1


@settings(max_examples=40, deadline=None)
@given(
    cancel_after_s=st.lists(st.floats(0, 2.5), min_size=1, max_size=4),
    rate=st.sampled_from([0.0, 1.0, 4.0, 30.0]),
    listen_s=st.sampled_from([0.0, 0.03]),
)
def test_no_audio_of_a_cancelled_answer_in_the_next(
    cancel_after_s: list[float], rate: float, listen_s: float
) -> None:
    async def main() -> None:
        async with call(evolve(STREAMED, rate=rate)) as c:
            for number, after_s in enumerate(cancel_after_s):
                with trio.move_on_after(after_s):
                    await say(c.voice, [f"Old answer number {number}."] * 3, listen_s=listen_s)
            check_whole(await say(c.voice, TEXTS, listen_s=listen_s), TEXTS)
            assert c.peer.connections == 1
            await trio.sleep(3)
            assert c.peer.open_connections == 1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# ---------------------------------------------------------------- breaks


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 25), max_size=3),
    chunk_s=st.sampled_from([0.02, 0.05, 0.1, 0.13, 0.4]),
    timestamps=st.sampled_from(["before", "after", "restart"]),
    kind=st.sampled_from(["disconnect", "malformed", "error", "done_early"]),
    listen_s=st.sampled_from([0.0, 0.0, 0.11]),
    line=st.sampled_from(LINES),
)
def test_every_word_is_heard_once_whatever_breaks(
    cuts: list[int],
    chunk_s: float,
    timestamps: Any,
    kind: Any,
    listen_s: float,
    line: AudioFormat,
) -> None:
    # A context that says that it is over, with no timestamp beyond its audio, has said all.
    assume(kind != "done_early" or timestamps != "after")

    async def main() -> None:
        script = CartesiaScript(
            first_audio_s=0.09,
            rate=4.0,
            chunk_s=chunk_s,
            timestamps=timestamps,
            faults=tuple(Fault(kind, after_chunks=n) for n in cuts),
        )
        async with call(script) as c:
            outputs = await say(
                c.voice, TEXTS, pauses_s=(0, 0.4, 0.4), listen_s=listen_s, line=line
            )
        if timestamps == "after":
            check_nearly_whole(outputs, TEXTS, len(cuts), line=line)
        else:
            check_whole(outputs, TEXTS, broken=True, line=line)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_pieces_that_were_spoken_are_not_sent_again(autojump_clock: Any) -> None:
    # The first piece has 16 chunks; the cut falls into the second word of the second one.
    script = evolve(STREAMED, faults=(Fault("disconnect", after_chunks=20),))
    async with call(script) as c:
        outputs: list[Any] = []
        await say(c.voice, TEXTS, outputs=outputs)
        sent = list(c.peer.transcripts.values())
    assert sent == [[t + " " for t in TEXTS], ["is the second piece of it. ", TEXTS[2] + " "]]
    check_whole([o for _, o in outputs], TEXTS)
    times = [at for at, _ in outputs]
    gaps = [after - before for before, after in pairwise(times)]
    assert 0.5 <= max(gaps) < 0.8


async def test_a_cut_line_in_mid_answer_is_mended(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        outputs: list[Any] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(say, c.voice, TEXTS, outputs=outputs))
            await trio.sleep(0.4)
            await c.line.cut()
        check_whole([o for _, o in outputs], TEXTS, broken=True)
        assert c.peer.connections == 2


async def test_breaks_while_nothing_is_to_be_said_do_not_matter(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        outputs: list[Any] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(say, c.voice, TEXTS, pauses_s=(0, 60), outputs=outputs))
            for _ in range(5):
                await trio.sleep(5)
                await c.line.cut()
        check_whole([o for _, o in outputs], TEXTS)


async def test_the_line_stays_down_then_comes_back(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        c.line.down = True
        await c.line.cut()
        start_s = trio.current_time()
        with pytest.raises(ProviderError) as caught:
            await say(c.voice, TEXTS)
        assert trio.current_time() - start_s == pytest.approx(0.5 + 1 + 2)
        assert (caught.value.kind, caught.value.retryable) == ("network", True)
        assert not c.provider.health().ok
        await trio.sleep(60)
        attempts = len(c.line.opened)
        with pytest.raises(ProviderError):
            await say(c.voice, TEXTS)
        assert len(c.line.opened) == attempts + 3
        c.line.down = False
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.provider.health().ok


async def test_lost_while_idle_is_mended_ahead(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        await c.line.cut()
        await trio.sleep(1)
        outputs: list[Any] = []
        start_s = trio.current_time()
        await say(c.voice, TEXTS, outputs=outputs)
        assert outputs[0][0] - start_s == pytest.approx(0.09)


# ---------------------------------------------------------------- faults of a context


async def test_an_error_of_a_context_is_tried_again_on_the_same_connection(
    autojump_clock: Any,
) -> None:
    faults = (Fault("error", 5, 503), Fault("error", 0, 429, "concurrency_limited"))
    async with call(evolve(STREAMED, faults=faults)) as c:
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.peer.connections == 1
        asked = [str(each.message.get("transcript", "")) for each in c.peer.requests]
        assert isinstance(c.voice, Metered)
        assert c.voice.spent.characters == sum(map(len, asked)), "those that failed, too"
        assert c.voice.spent.characters > sum(map(len, TEXTS))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, None, "auth"),
        (402, "quota_exceeded", "quota"),
        (400, "voice_not_found", "invalid_request"),
        (404, "model_sunsetted", "invalid_request"),
    ],
)
async def test_a_hopeless_error_is_not_tried_again(
    status: int, code: str, kind: str, autojump_clock: Any
) -> None:
    async with call(evolve(STREAMED, faults=(Fault("error", 3, status, code),))) as c:
        with pytest.raises(ProviderError) as caught:
            await say(c.voice, TEXTS)
        assert (caught.value.kind, caught.value.status) == (kind, status)
        assert len(c.peer.transcripts) == 1
        # What a request asks wrongly says nothing of the provider.
        assert c.provider.health().ok == (kind == "invalid_request")
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.peer.connections == 1


async def test_errors_without_end_are_given_up(autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, faults=(Fault("error", 0),) * 9)) as c:
        with pytest.raises(ProviderError) as caught:
            await say(c.voice, TEXTS)
        assert caught.value.kind == "server"
        assert len(c.peer.transcripts) == 4


@pytest.mark.parametrize("kind", ["hang", "stall"])
@pytest.mark.parametrize("times", [1, 2])
async def test_what_stalls_is_spoken_on_another_connection(
    kind: Any, times: int, autojump_clock: Any
) -> None:
    """Nothing is wrong with the line: pings are answered."""
    async with call(evolve(STREAMED, faults=(Fault(kind, after_chunks=3),) * times)) as c:
        outputs: list[Any] = []
        with trio.fail_after(20):
            await say(c.voice, TEXTS, pauses_s=(0, 1.0), outputs=outputs)
        check_whole([o for _, o in outputs], TEXTS, broken=True)
        assert c.peer.connections == 1 + times
        times_s = [at_s for at_s, _ in outputs]
        gaps_s = [b - a for a, b in pairwise([0.0, *times_s])]
        assert max(gaps_s) < (4 if times == 1 else 10), "the deadline"


async def test_slow_speech_is_better_than_none(autojump_clock: Any) -> None:
    """The second connection is given more time, and the third what there is."""
    for first_audio_s, connections in ((5.0, 2), (8.0, 3)):
        async with call(evolve(STREAMED, first_audio_s=first_audio_s)) as c:
            check_whole(await say(c.voice, TEXTS), TEXTS)
            assert c.peer.connections == connections


async def test_who_never_speaks_is_waited_for_by_the_callers_deadline(autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, faults=(Fault("hang"),) * 3)) as c:
        outputs: list[Any] = []
        with trio.move_on_after(10) as scope:
            await say(c.voice, TEXTS, outputs=outputs)
        assert scope.cancelled_caught
        assert not outputs
        assert c.peer.connections == 3
        check_whole(await say(c.voice, TEXTS), TEXTS)


async def test_a_connection_that_was_silent_for_long_is_not_used_again(autojump_clock: Any) -> None:
    """It may be as good as dead, though whoever waited for it did not wait to the end."""
    async with call(evolve(STREAMED, faults=(Fault("hang"),) * 2)) as c:
        with trio.move_on_after(8.8):
            await say(c.voice, TEXTS)
        assert c.peer.connections == 2
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.peer.connections == 3


async def test_a_listener_who_takes_his_time_is_no_silence(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        check_whole(await say(c.voice, TEXTS, listen_s=5), TEXTS)
        assert c.peer.connections == 1


async def test_a_slow_drip_still_makes_a_whole(autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, faults=(Fault("drip"),))) as c:
        check_whole(await say(c.voice, TEXTS), TEXTS)


async def test_too_much_audio_ends_the_connection_not_the_process(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_MAX_INBOX_BYTES", 20_000)
    async with call() as c:
        with trio.move_on_after(0.1):
            await say(c.voice, TEXTS, listen_s=100)
        assert c.peer.open_connections == 0
        await trio.sleep(1)
        assert c.peer.open_connections == 1


# ---------------------------------------------------------------- connecting


@pytest.mark.parametrize(
    ("fault", "kind"), [(401, "auth"), (402, "quota"), (403, "auth"), (400, "invalid_request")]
)
async def test_a_refusal_that_will_stay_ends_run_at_once(
    fault: Any, kind: str, autojump_clock: Any
) -> None:
    async with call(evolve(STREAMED, connect_faults=(fault,)), ready=False) as c:
        start_s = trio.current_time()
        with pytest.raises(ProviderError) as caught:
            await c.voice.run()
        assert (caught.value.kind, caught.value.status) == (kind, fault)
        assert trio.current_time() == start_s
        assert KEY not in str(caught.value)
        assert c.provider.health().ok == (kind == "invalid_request")


async def test_a_wrong_key_is_told_apart(autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, api_key="another"), ready=False) as c:
        with pytest.raises(ProviderError, match="CARTESIA_API_KEY"):
            await c.voice.run()


@pytest.mark.parametrize("fault", ["refuse", "silent", 429, 500, 503])
async def test_a_passing_refusal_is_survived(fault: Any, autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, connect_faults=(fault,) * 3)) as c:
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.peer.connections == 4


@pytest.mark.parametrize(
    ("fault", "kind", "took_s"),
    [("refuse", "network", 3.5), ("silent", "timeout", 23.5), (429, "rate_limit", 3.5)],
)
async def test_a_refusal_that_goes_on_ends_run(
    fault: Any, kind: str, took_s: float, autojump_clock: Any
) -> None:
    async with call(evolve(STREAMED, connect_faults=(fault,) * 4), ready=False) as c:
        start_s = trio.current_time()
        with pytest.raises(ProviderError) as caught:
            await c.voice.run()
        assert caught.value.kind == kind
        assert trio.current_time() - start_s == pytest.approx(took_s)


@pytest.mark.parametrize(("asked", "waited_s"), [("0", 0.5), ("3", 3.0), ("3600", 8.0)])
async def test_a_pause_that_is_asked_for(asked: str, waited_s: float, autojump_clock: Any) -> None:
    start_s = trio.current_time()
    async with call(evolve(STREAMED, connect_faults=(Refusal(429, asked),))) as c:
        assert trio.current_time() - start_s == pytest.approx(waited_s)
        assert c.peer.connections == 2


async def test_an_answer_waits_for_a_context_of_the_accounts(autojump_clock: Any) -> None:
    """An account for one context at a time, and two calls that are answered at the same moment."""
    async with call(evolve(STREAMED, concurrency=1)) as c:
        other = c.provider.for_session()
        async with trio.open_nursery() as nursery:
            await nursery.start(other.run)
            answers: list[list[TtsOutput]] = []

            async def speak(voice: TextToSpeech) -> None:
                answers.append(await say(voice, ["One moment."]))

            async with trio.open_nursery() as speaking:
                speaking.start_soon(speak, c.voice)
                speaking.start_soon(speak, other)
            nursery.cancel_scope.cancel()
        for answer in answers:
            check_whole(answer, ["One moment."])
        assert len(c.peer.transcripts) > 2, "one of them was refused first"
        assert c.peer.open_contexts == 0


async def test_each_attempt_that_fails_is_logged(autojump_clock: Any) -> None:
    refusals = (Refusal(503), Refusal(503))
    with capture_logs() as logs:
        async with call(evolve(STREAMED, connect_faults=refusals)) as c:
            check_whole(await say(c.voice, TEXTS), TEXTS)
    failed = [entry["error"] for entry in logs if entry["event"] == "an attempt to connect failed"]
    assert len(failed) == len(refusals)
    assert all("503" in error for error in failed), failed


async def test_without_run_there_is_no_voice(autojump_clock: Any) -> None:
    async with call(ready=False) as c:
        with trio.CancelScope() as scope:
            scope.cancel()
            await c.voice.run()
        with pytest.raises(ProviderError, match="no connection"):
            await say(c.voice, TEXTS)


async def test_hanging_up_says_goodbye(autojump_clock: Any) -> None:
    async with call(ready=False) as c:
        async with trio.open_nursery() as nursery:
            await nursery.start(c.voice.run)
            assert c.peer.open_connections == 1
            start_s = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - start_s <= 0.1
        await trio.testing.wait_all_tasks_blocked()
        assert c.peer.open_connections == 0


def test_a_wrong_address_is_named() -> None:
    for url in ("ftp://x", "ws://", "http://x:99999"):
        with pytest.raises(ConfigError, match="CARTESIA_BASE_URL"):
            CartesiaProvider(CartesiaSettings(api_key=Secret(KEY), base_url=url))


# ---------------------------------------------------------------- staying connected


async def test_half_an_hour_of_silence(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        assert c.provider.health().ok
        await trio.sleep(1800)
        assert c.peer.connections == 8  # renewed every four minutes, before Cartesia's five
        assert c.peer.open_connections == 1
        outputs: list[Any] = []
        start_s = trio.current_time()
        await say(c.voice, TEXTS, outputs=outputs)
        assert outputs[0][0] - start_s == pytest.approx(0.09)
        check_whole([o for _, o in outputs], TEXTS)
        assert c.peer.connections == 8


async def test_a_renewal_that_fails_keeps_the_old_connection(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        c.line.down = True
        await trio.sleep(250)
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.peer.connections == 1
        c.line.down = False
        await trio.sleep(300)
        assert (c.peer.connections, c.peer.open_connections) == (2, 1)


async def test_the_line_goes_down_for_an_hour_of_silence(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        await trio.sleep(200)
        c.line.down = True
        await trio.sleep(45)  # the renewal has failed by now
        await c.line.cut()
        await trio.sleep(3600)
        assert len(c.line.opened) < 10
        c.line.down = False
        check_whole(await say(c.voice, TEXTS), TEXTS)


async def test_whatever_the_socket_raises_is_a_lost_connection(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:

        async def broken(max_bytes: int | None = None) -> bytes:
            raise OSError("something of the network")

        c.line.streams[0].receive_some = broken  # type: ignore[method-assign]
        check_whole(await say(c.voice, TEXTS), TEXTS, broken=True)
        assert c.peer.connections == 2


async def test_an_answer_during_a_renewal_ends_on_the_old_connection(autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, connect_faults=(None, "silent"))) as c:
        await trio.sleep(242)  # in the middle of the renewal's attempt, which fails
        check_whole(await say(c.voice, TEXTS), TEXTS)
        assert c.peer.open_connections == 1


async def test_the_closing_of_an_idle_connection_is_survived(autojump_clock: Any) -> None:
    async with call(evolve(STREAMED, idle_close_s=100)) as c:
        await trio.sleep(150)
        assert c.peer.connections == 2
        check_whole(await say(c.voice, TEXTS), TEXTS)


async def test_a_dead_connection_is_found(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:
        stream = c.line.streams[0]

        async def swallow(data: bytes) -> None:
            await trio.lowlevel.checkpoint()

        stream.send_all = swallow  # type: ignore[method-assign, assignment]
        await trio.sleep(35)
        assert c.peer.connections == 2
        check_whole(await say(c.voice, TEXTS), TEXTS)


@pytest.mark.parametrize("after_s", [0.0, 0.5])
async def test_a_line_that_dies_in_an_answer_is_replaced_in_time(
    after_s: float, autojump_clock: Any
) -> None:
    """Nobody says that it is gone; a caller waits for the rest of a sentence."""
    async with call(STREAMED) as c:
        stream = c.line.streams[0]

        async def nothing(_max_bytes: int | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        async def die() -> None:
            await trio.sleep(after_s)
            stream.receive_some = nothing  # type: ignore[method-assign, assignment]

        outputs: list[Any] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(die)
            await say(c.voice, TEXTS, outputs=outputs)
        check_whole([o for _, o in outputs], TEXTS)
        times_s = [at_s for at_s, _ in outputs]
        assert max(b - a for a, b in pairwise([0.0, *times_s])) < 4.0
        assert c.peer.connections == 2


async def test_a_peer_that_closes_each_connection_at_once_is_not_stormed(
    autojump_clock: Any,
) -> None:
    async with call(evolve(STREAMED, idle_close_s=0.0)) as c:
        await trio.sleep(600)
        assert c.peer.connections <= 5
        c.peer.script = STREAMED
        check_whole(await say(c.voice, TEXTS), TEXTS)


async def test_a_line_that_takes_nothing_is_given_up(autojump_clock: Any) -> None:
    async with call(STREAMED) as c:

        async def stuck(data: bytes) -> None:
            await trio.sleep_forever()

        c.line.streams[0].send_all = stuck  # type: ignore[method-assign, assignment]
        outputs: list[Any] = []
        start_s = trio.current_time()
        await say(c.voice, TEXTS, outputs=outputs)
        check_whole([o for _, o in outputs], TEXTS)
        assert outputs[0][0] - start_s < 8
        assert c.peer.connections == 2


# ---------------------------------------------------------------- real sockets


async def test_over_a_real_socket() -> None:
    from vantum.testing.cartesia import simulated_cartesia

    script = CartesiaScript(api_key=KEY, expiry_s=HANG_S)
    async with simulated_cartesia(script) as peer:
        provider = CartesiaProvider(CartesiaSettings(api_key=Secret(KEY), base_url=peer.base_url))
        voice = provider.for_session()
        async with trio.open_nursery() as nursery:
            with trio.fail_after(HANG_S):
                await nursery.start(voice.run)
                outputs = await say(voice, TEXTS)
            check_whole(outputs, TEXTS)
            assert pcm(outputs) == expected_pcm(TEXTS)
            nursery.cancel_scope.cancel()


async def test_nobody_listens_on_the_port() -> None:
    with nobody_listening() as port:
        settings_ = CartesiaSettings(api_key=Secret(KEY), base_url=f"http://127.0.0.1:{port}")
        provider = CartesiaProvider(settings_, new_context_id=lambda: "x")
        over = False

        async def run() -> None:
            nonlocal over
            await provider.for_session().run()
            over = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await until(lambda: not provider.health().ok)
            await trio.testing.wait_all_tasks_blocked()
            assert not over, "it goes on trying"
            nursery.cancel_scope.cancel()
