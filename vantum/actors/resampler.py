"""Resampler: the client's rate becomes the recogniser's, without a seam between frames."""

from __future__ import annotations

import trio

from vantum.actors.lane import AudioFrame, AudioLane
from vantum.core.messages import SttAudio, SttInput
from vantum.core.resampling import Resampler
from vantum.ports import STT_RATE_HZ

#: Taken at once: a client may send a minute in one message, and the other calls must not wait for
#: all of it. Half a second takes less than a millisecond.
_SLICE_S = 0.5


async def resample(lane: AudioLane, stt_tx: trio.MemorySendChannel[SttInput]) -> None:
    """Convert for ever. A new rate or the end of a turn flushes what the filter still holds.

    Inline and not in a thread: 20 ms of audio take far less than a hop to a thread.
    """
    resampler: Resampler | None = None
    rate_hz = 0
    while True:
        item = await lane.get()
        if not isinstance(item, AudioFrame) or item.rate_hz != rate_hz:
            tail = resampler.finish() if resampler is not None else b""
            resampler = None
            if tail:
                await stt_tx.send(SttAudio(tail))
        if not isinstance(item, AudioFrame):
            await stt_tx.send(item)
            continue
        if resampler is None:
            rate_hz = item.rate_hz
            resampler = Resampler(rate_hz, STT_RATE_HZ)
        step = 2 * round(_SLICE_S * rate_hz)
        for at in range(0, len(item.pcm), step):
            pcm = resampler.feed(item.pcm[at : at + step])
            if pcm:
                await stt_tx.send(SttAudio(pcm))
