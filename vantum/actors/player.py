"""Player: synthesised audio goes out at the client's rate, in even chunks, on absolute deadlines.

At most the lead is ever ahead of real time, so that what a client still holds when its user cuts in
is at most that. One answer is one utterance: one start, all chunks, one complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import trio
from attrs import define, field

from vantum.actors.call import Inbox, Outgoing
from vantum.actors.gate import Hold
from vantum.channels import Sender, give_way, put, take, take_before
from vantum.core.audio import AudioFormat, Framer
from vantum.core.decisions import FirstAudio, RoleLost
from vantum.core.dtmf import sounding_s, tone
from vantum.core.events import OutputChunk, OutputCompleted, OutputStarted
from vantum.core.latency import Marks
from vantum.core.messages import (
    PieceSpoken,
    Speech,
    SpeechAudio,
    SpeechFailed,
    SpeechFinished,
    SpeechPiece,
    SpeechWords,
    TonePiece,
)
from vantum.core.playout import Playout
from vantum.core.resampling import Resampler
from vantum.core.sounding import Sounding

#: How many chunks of an utterance have arrived at the client's machine; None: nobody knows.
Arrived: TypeAlias = Callable[[str], int | None]

#: A chunk needs its time on the way: short audio leaves so long before the client runs dry.
_DRY_MARGIN_S = 0.03


def _unknown(utterance_id: str) -> None:
    return None


@define
class Playing:
    """One utterance on its way out: what the player needs to know and what it leaves behind.

    `playout` is the record of what was sent; the conductor reads it when it wants to know what was
    heard. `spoken` counts the pieces whose audio has come. `failure` is set if the synthesis broke
    off. Until `committed` is set nothing leaves, and nothing begins to while `hold` keeps it.
    `arrived`: see `Arrived`; it is asked before each chunk, and by `look`. Speech comes at
    `from_hz` and leaves at `to_hz`, the client's, in chunks of `chunk_ms`. `ours` remembers how it
    sounds, for whoever has to know its echo.
    """

    turn: int
    playout: Playout
    from_hz: int
    to_hz: int
    chunk_ms: int
    wall_ms: Callable[[], int]
    started: bool = False
    failure: RoleLost | None = None
    spoken: int = 0
    marks: Marks = field(factory=Marks)
    committed: trio.Event | None = None
    hold: Hold = field(factory=Hold)
    arrived: Arrived = _unknown
    ours: Sounding | None = None

    def look(self) -> None:
        """Note how far it has come on its way."""
        chunks = self.arrived(self.playout.utterance_id)
        if chunks is not None:
            self.playout.arrived(trio.current_time(), chunks)


async def play(
    playing: Playing,
    speech_rx: trio.MemoryReceiveChannel[Speech],
    out_tx: Sender[Outgoing],
    inbox_tx: Sender[Inbox],
) -> None:
    """Play one answer; returns when its last audio has been heard, by the clock."""
    playout = playing.playout
    resampler = Resampler(playing.from_hz, playing.to_hz)
    # Even, or a sample would be cut in two.
    framer = Framer(2 * (playing.to_hz * playing.chunk_ms // 1000))
    step = 2 * (playing.from_hz * playing.chunk_ms // 1000)
    made_s, stretches = 0.0, 0

    async def send(*chunks: bytes) -> None:
        for pcm in chunks:
            if pcm:
                playing.marks.chunk(stretches, trio.current_time())
                await _send_chunk(playing, pcm, out_tx, inbox_tx)

    while True:
        # What is too short for a chunk waits for more, but not until the client runs dry: the model
        # may be thinking about the next piece.
        ends_s = playout.finished_at_s
        dry_s = float("inf") if ends_s is None else ends_s - _DRY_MARGIN_S
        message = await take_before(speech_rx, dry_s)
        if message is None:
            await send(framer.flush())
            message = await take(speech_rx)
        match message:
            case SpeechPiece(text=text):
                playout.piece(text, made_s)
            case TonePiece() as piece:
                pcm = _tone(playing, piece, made_s)
                made_s, stretches = made_s + len(pcm) / (2 * playing.from_hz), stretches + 1
                await send(*framer.feed(resampler.feed(pcm)))
            case SpeechAudio(pcm=pcm):
                made_s, stretches = made_s + len(pcm) / (2 * playing.from_hz), stretches + 1
                # A chunk's worth at once: what waits to leave is there once, what has left is not,
                # and the first of it does not wait for the rest to be resampled.
                parts = [pcm[at : at + step] for at in range(0, len(pcm), step)]
                del message, pcm
                while parts:
                    await send(*framer.feed(resampler.feed(parts.pop(0))))
            case SpeechWords(piece_index=index, words=words):
                for word in words:
                    playout.word(word.text, word.start_s, word.end_s, index)
            case PieceSpoken(piece_index=index):
                playout.piece_end(index, made_s)
                playing.spoken += 1
            case SpeechFailed(kind=kind, message=text):
                playing.failure = RoleLost("tts", kind, text)
                break
            case SpeechFinished():
                break
    await send(*framer.feed(resampler.finish()), framer.flush())
    if playing.started:
        utterance_id, duration_ms = playout.utterance_id, round(playout.sent_s * 1000)
        await put(out_tx, OutputCompleted(utterance_id, duration_ms))
        await trio.sleep_until(playout.finished_at_s or 0)


def _tone(playing: Playing, piece: TonePiece, begins_s: float) -> bytes:
    """A key's audio, whose place is noted: all of it is heard or nothing, since a key that was cut
    off was not pressed."""
    pcm, playout = tone(piece.key, playing.from_hz), playing.playout
    index, sent_s = playout.piece(piece.text, begins_s), begins_s + sounding_s(piece.key)
    playout.word(piece.text, sent_s, sent_s, index)
    playout.piece_end(index, begins_s + len(pcm) / (2 * playing.from_hz))
    playing.spoken += 1
    return pcm


async def _send_chunk(
    playing: Playing,
    pcm: bytes,
    out_tx: Sender[Outgoing],
    inbox_tx: Sender[Inbox],
) -> None:
    playout, rate_hz = playing.playout, playing.to_hz
    if not playing.started:
        if playing.committed is not None:
            await playing.committed.wait()
        playing.marks.held = playing.hold.holds
        if await playing.hold.passed():
            playing.marks.mark("floor", trio.current_time())
        playing.started = True
        await put(out_tx, OutputStarted(playout.utterance_id, playing.wall_ms(), rate_hz))
    duration_s = len(pcm) / (2 * rate_hz)
    now_s = trio.current_time()
    # Even a moment that has come would let all other tasks go first.
    if (release_s := playout.release_at(now_s, duration_s)) > now_s:
        await trio.sleep_until(release_s)
    playing.look()
    await put(out_tx, OutputChunk(playout.utterance_id, pcm, rate_hz))
    first = not playout.sent_s
    now_s = trio.current_time()
    playout.sent(now_s, duration_s)
    if playing.ours is not None:
        playing.ours.add(pcm, AudioFormat(rate_hz), playout.paced_until_s - duration_s, now_s)
    if first:
        await put(inbox_tx, FirstAudio(playing.turn))
        await give_way(1)  # to who sends it, before the next one is made
