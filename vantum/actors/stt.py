"""Stt: owns the session's recogniser; what it recognises goes straight to the conductor."""

from __future__ import annotations

from functools import partial

import trio
from attrs import define, frozen

from vantum.actors.call import Call, Inbox
from vantum.actors.link import Wanted, keep_open
from vantum.core.audio import AudioFormat
from vantum.core.messages import SttInput
from vantum.ports import Resumable, SpeechToText


@frozen
class Listen:
    """An order: to recognise this language (BCP 47), spoken over this line."""

    language: str
    line: AudioFormat


@define
class _Kept:
    """A recogniser that can go on where it failed, for the next time that it is opened."""

    recogniser: SpeechToText | None = None


async def recognise(
    call: Call,
    wanted: Wanted[Listen],
    stt_rx: trio.MemoryReceiveChannel[SttInput],
    inbox_tx: trio.MemorySendChannel[Inbox],
    nursery: trio.Nursery,
) -> None:
    """Open the recogniser that is ordered; the newest order replaces the one before. `nursery`: the
    session's.

    Audio waits in the lane while there is no recogniser: what does not fit is dropped there, oldest
    first, and counted.
    """
    timeout_s = call.settings.stt.ready_timeout_ms / 1000
    while True:
        order = await wanted.next()
        run = partial(_run, call, order, _Kept(), stt_rx, inbox_tx)
        with wanted.until_next():
            await keep_open(
                "stt", run, inbox_tx, nursery, ready_timeout_s=timeout_s, language=order.language
            )


async def _run(
    call: Call,
    order: Listen,
    kept: _Kept,
    stt_rx: trio.MemoryReceiveChannel[SttInput],
    inbox_tx: trio.MemorySendChannel[Inbox],
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    recogniser = kept.recogniser
    if recogniser is None:
        recogniser = call.recognisers.for_session(language=order.language, line=order.line)
        kept.recogniser = recogniser if isinstance(recogniser, Resumable) else None
    elif isinstance(recogniser, Resumable):
        call.log.info("recogniser goes on", unheard_s=round(recogniser.unheard_s, 2))
    # Clones: a recogniser that closes its ends must not close the session's.
    with stt_rx.clone() as input_rx, inbox_tx.clone() as event_tx:
        await recogniser.run(input_rx, event_tx, task_status=task_status)
