"""Tts: pieces of text become audio; a synthesiser that falls silent is not waited for."""

from __future__ import annotations

from functools import partial

import trio
from attrs import define, field

from vantum.actors.call import Call, Inbox
from vantum.actors.link import Wanted, keep_open, lost
from vantum.channels import Each, at_hand, put
from vantum.core.audio import AudioFormat
from vantum.core.latency import Marks
from vantum.core.messages import (
    EndOfPieces,
    Piece,
    PieceSpoken,
    Speech,
    SpeechAudio,
    SpeechFailed,
    SpeechFinished,
    SpeechPiece,
    TonePiece,
    TtsInput,
    TtsOutput,
)
from vantum.errors import ProviderError, first_error
from vantum.ports import TextToSpeech


async def own_synthesiser(
    call: Call,
    wanted: Wanted[None],
    inbox_tx: trio.MemorySendChannel[Inbox],
    nursery: trio.Nursery,
) -> None:
    """Open the session's synthesiser when it is ordered and keep it open. `nursery`: the session's.

    An order that comes while it is open waits until it no longer is.
    """
    timeout_s = call.settings.tts.ready_timeout_ms / 1000
    while True:
        await wanted.next()
        run = call.synthesiser.run
        await keep_open("tts", run, inbox_tx, nursery, ready_timeout_s=timeout_s)


@define
class _Debt:
    """Pieces that the synthesiser owes, and the deadline for its next word of them.

    The deadline runs only while a piece is owed: not while the model thinks, and not while the
    player has no room.
    """

    timeout_s: float
    pieces: dict[int, SpeechPiece] = field(factory=dict)
    owed: int = 0
    waiting: trio.CancelScope = field(factory=trio.CancelScope)
    _behind: int = 0  # pieces that the player has not had to their end
    _caught_up: trio.Event = field(factory=trio.Event)

    def grown(self, piece: SpeechPiece) -> None:
        self.pieces[piece.index] = piece
        self.owed += 1
        self._behind += 1
        self.waiting.deadline = min(self.waiting.deadline, trio.current_time() + self.timeout_s)

    def handed_over(self) -> None:
        """A piece's last message is with the player."""
        self._behind -= 1
        self._caught_up.set()

    async def caught_up(self) -> None:
        """Until the player has had all pieces so far to their end."""
        while self._behind:
            self._caught_up = trio.Event()
            await self._caught_up.wait()

    async def next(self, speech_rx: trio.MemoryReceiveChannel[TtsOutput]) -> TtsOutput:
        await trio.lowlevel.checkpoint_if_cancelled()
        message = at_hand(speech_rx)
        if message is None:
            message = await self._awaited(speech_rx)
        if isinstance(message, PieceSpoken):
            self.owed -= 1
        return message

    async def _awaited(self, speech_rx: trio.MemoryReceiveChannel[TtsOutput]) -> TtsOutput:
        deadline_s = trio.current_time() + self.timeout_s if self.owed else float("inf")
        with trio.CancelScope(deadline=deadline_s) as self.waiting:
            return await speech_rx.receive()
        raise ProviderError("tts", "timeout", f"no audio within {self.timeout_s:g} s")


async def _feed(
    debt: _Debt,
    piece_rx: trio.MemoryReceiveChannel[Piece],
    provider_tx: trio.MemorySendChannel[TtsInput],
    speech_tx: trio.MemorySendChannel[Speech],
    marks: Marks,
    committed: trio.Event | None,
) -> None:
    async for message in Each(piece_rx):
        if isinstance(message, TonePiece):
            # Between what was said before and after it: what is behind waits, and nobody else
            # has anything for the player.
            await debt.caught_up()
            marks.audio(trio.current_time())
            await put(speech_tx, message)
            continue
        if isinstance(message, SpeechPiece):
            debt.grown(message)
        await put(provider_tx, message)
        if isinstance(message, EndOfPieces):
            return
        marks.mark("handover", trio.current_time())
        if committed is not None:
            await committed.wait()


async def _forward(
    debt: _Debt,
    provider_rx: trio.MemoryReceiveChannel[TtsOutput],
    speech_tx: trio.MemorySendChannel[Speech],
    marks: Marks,
) -> None:
    message: TtsOutput | None = None
    while not isinstance(message, SpeechFinished):
        message = await debt.next(provider_rx)
        if isinstance(message, SpeechAudio):
            marks.audio(trio.current_time())
        if not isinstance(message, SpeechFinished):
            piece = debt.pieces.pop(message.piece_index, None)
            if piece is not None:
                await put(speech_tx, piece)
        await put(speech_tx, message)
        if isinstance(message, PieceSpoken):
            debt.handed_over()


async def speak(
    synthesiser: TextToSpeech,
    piece_rx: trio.MemoryReceiveChannel[Piece],
    speech_tx: trio.MemorySendChannel[Speech],
    *,
    voice_id: str | None,
    language: str,
    line: AudioFormat,
    audio_timeout_s: float,
    marks: Marks | None = None,
    committed: trio.Event | None = None,
) -> None:
    """Speak one answer. Each piece's text goes to the player ahead of its first audio.

    Tones are played in their place among the pieces; no synthesiser sees them.

    Until `committed`, if there is such an event, is set, no piece but the first is synthesised.

    A failure is a last message, so that what was synthesised before it is still heard.
    """
    # The chunker's channel holds what waits; here nothing needs to.
    to_provider_tx, to_provider_rx = trio.open_memory_channel[TtsInput](0)
    # One message: a provider that is faster than the player is held back at once.
    from_provider_tx, from_provider_rx = trio.open_memory_channel[TtsOutput](1)
    debt, marks = _Debt(audio_timeout_s), marks or Marks()
    synthesize = partial(synthesiser.synthesize, voice_id=voice_id, language=language, line=line)
    error: ProviderError | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_feed, debt, piece_rx, to_provider_tx, speech_tx, marks, committed)
            nursery.start_soon(synthesize, to_provider_rx, from_provider_tx)
            await _forward(debt, from_provider_rx, speech_tx, marks)
            nursery.cancel_scope.cancel()
    except* ProviderError as group:
        error = first_error(group)
    if error is not None:
        await put(speech_tx, SpeechFailed(error.kind, lost("tts", error).message))
