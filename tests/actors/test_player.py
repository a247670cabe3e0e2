"""The player in virtual time: even chunks, absolute deadlines, nothing held back too long."""

from __future__ import annotations

from contextlib import suppress

import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given, settings

from vantum.actors.call import Inbox, Outgoing
from vantum.actors.player import Playing, play
from vantum.core.decisions import FirstAudio
from vantum.core.events import OutputChunk, OutputCompleted, OutputStarted
from vantum.core.messages import (
    PieceSpoken,
    Speech,
    SpeechAudio,
    SpeechFailed,
    SpeechFinished,
    SpeechPiece,
    SpeechWords,
    SpokenWord,
)
from vantum.core.playout import Playout
from vantum.core.sounding import Sounding

RATE = 16_000
LEAD_S = 0.2


def audio(length_s: float, piece: int = 0) -> SpeechAudio:
    return SpeechAudio(piece, b"\x01\x00" * round(RATE * length_s))


@define
class Run:
    playing: Playing = field(
        factory=lambda: Playing(7, Playout("u", RATE, LEAD_S), RATE, RATE, 100, lambda: 0)
    )
    sent: list[tuple[float, Outgoing]] = field(factory=list)
    inbox: list[Inbox] = field(factory=list)
    ended_s: float = 0.0

    def chunks(self) -> list[tuple[float, float]]:
        """(when, length in seconds)"""
        return [
            (at_s, len(m.audio) / (2 * RATE)) for at_s, m in self.sent if isinstance(m, OutputChunk)
        ]

    async def play(self, *script: float | Speech) -> None:
        """A number is a pause in seconds; the rest goes to the player."""
        speech_tx, speech_rx = trio.open_memory_channel[Speech](4)
        out_tx, out_rx = trio.open_memory_channel[Outgoing](0)
        inbox_tx, inbox_rx = trio.open_memory_channel[Inbox](10)

        async def feed() -> None:
            for item in script:
                if isinstance(item, float):
                    await trio.sleep(item)
                else:
                    await speech_tx.send(item)

        async def collect() -> None:
            async for message in out_rx:
                self.sent.append((trio.current_time(), message))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            nursery.start_soon(feed)
            await play(self.playing, speech_rx, out_tx, inbox_tx)
            self.ended_s = trio.current_time()
            nursery.cancel_scope.cancel()
        with suppress(trio.WouldBlock):
            while True:
                self.inbox.append(inbox_rx.receive_nowait())


async def test_even_chunks_and_the_rest_at_the_end(autojump_clock: object) -> None:
    run = Run()
    await run.play(audio(0.03), audio(0.33), SpeechFinished())
    assert [length for _, length in run.chunks()] == pytest.approx([0.1, 0.1, 0.1, 0.06])
    assert isinstance(run.sent[0][1], OutputStarted)
    assert run.sent[-1][1] == OutputCompleted("u", 360)
    assert run.inbox == [FirstAudio(7)]


async def test_it_returns_when_the_last_audio_was_heard(autojump_clock: object) -> None:
    run = Run()
    began_s = trio.current_time()
    await run.play(audio(2.0), SpeechFinished())
    assert run.ended_s - began_s == pytest.approx(2.0, abs=1e-6)
    assert run.sent[-1][0] - began_s == pytest.approx(1.8, abs=1e-6)


async def test_a_piece_without_audio_makes_no_utterance(autojump_clock: object) -> None:
    run = Run()
    await run.play(SpeechPiece(0, "…"), PieceSpoken(0), SpeechFinished())
    assert run.sent == []
    assert run.inbox == []


async def test_the_rest_of_a_piece_leaves_before_the_client_runs_dry(
    autojump_clock: object,
) -> None:
    run = Run()
    began_s = trio.current_time()
    await run.play(audio(0.25), 3.0, audio(0.1, 1), SpeechFinished())
    chunks = run.chunks()
    assert [length for _, length in chunks] == pytest.approx([0.1, 0.1, 0.05, 0.1])
    assert chunks[2][0] - began_s <= 0.2
    assert chunks[3][0] - began_s == pytest.approx(3.0)
    assert len(run.playing.playout.underruns) == 1


async def test_a_failed_synthesis_plays_what_was_made(autojump_clock: object) -> None:
    run = Run()
    await run.play(SpeechPiece(0, "Half of it"), audio(0.5), SpeechFailed("network", "gone"))
    assert sum(length for _, length in run.chunks()) == pytest.approx(0.5)
    assert run.playing.failure is not None
    assert run.playing.failure.message == "gone"
    assert isinstance(run.sent[-1][1], OutputCompleted)


async def test_words_say_what_was_heard(autojump_clock: object) -> None:
    run = Run()
    words = SpeechWords(0, (SpokenWord("One", 0.0, 0.4), SpokenWord("two.", 0.5, 0.9)))
    began_s = trio.current_time()
    await run.play(SpeechPiece(0, "One two."), words, audio(1.0), PieceSpoken(0), SpeechFinished())
    assert run.playing.playout.heard_text(began_s + 0.45) == "One"
    assert run.playing.playout.heard_text(began_s + 1.0) == "One two."


@given(st.lists(st.tuples(st.floats(0, 0.8), st.floats(0.001, 0.7)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_pace_of_the_synthesiser(pieces: list[tuple[float, float]]) -> None:
    """Nothing lost, nothing more than the lead ahead, no chunk longer than it should be."""
    run = Run()
    script: list[float | Speech] = []
    for number, (pause_s, length_s) in enumerate(pieces):
        script += [pause_s, SpeechPiece(number, "x"), audio(length_s, number), PieceSpoken(number)]

    async def main() -> None:
        await run.play(*script, SpeechFinished())

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    chunks = run.chunks()
    made = sum(round(RATE * length_s) for _, length_s in pieces)
    assert sum(round(RATE * length) for _, length in chunks) == made
    assert all(length <= 0.1 + 1e-9 for _, length in chunks)
    started_s, sent_s = chunks[0][0], 0.0
    gaps = iter(run.playing.playout.underruns)
    gap, late_s = next(gaps, None), 0.0
    for at_s, length in chunks:
        if gap is not None and at_s >= gap.at_s - 1e-9:
            late_s += gap.gap_s
            gap = next(gaps, None)
        sent_s += length
        assert sent_s <= at_s - started_s - late_s + LEAD_S + 1e-6
    assert run.ended_s == pytest.approx(started_s + late_s + sent_s, abs=1e-5)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_what_leaves_is_remembered_where_it_sounds(
    autojump_clock: object, rate_hz: int
) -> None:
    """Also behind an underrun, at whatever rate the client has."""
    ours = Sounding(10.0, is_wanted=True)
    run = Run(Playing(7, Playout("u", rate_hz, LEAD_S), RATE, rate_hz, 100, lambda: 0, ours=ours))
    loud = SpeechAudio(0, b"\x00\x10" * round(RATE * 0.5))
    began_s = trio.current_time()
    await run.play(loud, 2.0, loud, SpeechFinished())
    heard = ours.until(round((began_s + 3.0) * 8000), 24_000)
    is_loud = (heard > 2000).reshape(-1, 80).mean(axis=1) > 0.5
    gap = [at for at in range(10, 290) if is_loud[at] != is_loud[at - 1]]
    assert [at / 100 for at in (0, *gap)] == pytest.approx([0, 0.5, 2.0, 2.5], abs=0.021)
