"""Tts: pieces of text become audio; a synthesiser that falls silent is not waited for."""

from __future__ import annotations

from functools import partial

import trio

from vantum.actors.call import Call, Inbox
from vantum.actors.link import keep_open
from vantum.core.messages import (
    EndOfPieces,
    PieceSpoken,
    SpeechFailed,
    SpeechFinished,
    SpeechPiece,
    TtsInput,
    TtsOutput,
)
from vantum.errors import ProviderError
from vantum.ports import TextToSpeech


async def own_synthesiser(
    call: Call,
    order_rx: trio.MemoryReceiveChannel[None],
    inbox_tx: trio.MemorySendChannel[Inbox],
) -> None:
    """Open the session's synthesiser when it is ordered and keep it open.

    An order that comes while it is open is one too many and is passed over.
    """
    timeout_s = call.settings.tts.ready_timeout_ms / 1000
    run = partial(_run, call.synthesiser)
    async for _ in order_rx:
        await keep_open("tts", run, inbox_tx, ready_timeout_s=timeout_s)


async def _run(synthesiser: TextToSpeech, *, task_status: trio.TaskStatus[None]) -> None:
    await synthesiser.run(task_status=task_status)


async def speak(
    synthesiser: TextToSpeech,
    piece_rx: trio.MemoryReceiveChannel[TtsInput],
    speech_tx: trio.MemorySendChannel[TtsOutput | SpeechPiece | SpeechFailed],
    *,
    voice_id: str | None,
    language: str,
    audio_timeout_s: float,
) -> None:
    """Speak one answer. Each piece's text goes to the player ahead of its first audio.

    The deadline runs only while a piece is owed: not while the model thinks, and not while the
    player has no room. A failure is a last message, so that what was synthesised is still heard.
    """
    to_provider_tx, to_provider_rx = trio.open_memory_channel[TtsInput](4)
    # One message: a provider that is faster than the player is held back at once.
    from_provider_tx, from_provider_rx = trio.open_memory_channel[TtsOutput](1)
    pieces: dict[int, SpeechPiece] = {}
    owed = 0
    waiting = trio.CancelScope()

    async def feed() -> None:
        nonlocal owed
        async for message in piece_rx:
            if isinstance(message, SpeechPiece):
                pieces[message.index] = message
                owed += 1
                waiting.deadline = min(waiting.deadline, trio.current_time() + audio_timeout_s)
            await to_provider_tx.send(message)
            if isinstance(message, EndOfPieces):
                return

    async def forward() -> None:
        nonlocal owed, waiting
        while True:
            deadline_s = trio.current_time() + audio_timeout_s if owed else float("inf")
            with trio.CancelScope(deadline=deadline_s) as waiting:
                message = await from_provider_rx.receive()
            if waiting.cancelled_caught:
                text = f"no audio within {audio_timeout_s:g} s"
                raise ProviderError("tts", "timeout", text)
            if isinstance(message, PieceSpoken):
                owed -= 1
            index = None if isinstance(message, SpeechFinished) else message.piece_index
            if index is not None and index in pieces:
                await speech_tx.send(pieces.pop(index))
            await speech_tx.send(message)
            if isinstance(message, SpeechFinished):
                return

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed)
            nursery.start_soon(
                partial(
                    synthesiser.synthesize,
                    to_provider_rx,
                    from_provider_tx,
                    voice_id=voice_id,
                    language=language,
                )
            )
            await forward()
            nursery.cancel_scope.cancel()
    except* ProviderError as group:
        error = group.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        failure = SpeechFailed(error.kind, str(error))
    else:
        return
    await speech_tx.send(failure)
