"""Resampler: the client's rate becomes the recogniser's, without a seam between frames.

In `auto` it also lends the audio to the server's own ear, which says where a voice begins and ends.
"""

from __future__ import annotations

import trio
from attrs import define

from vantum.actors.call import Call, Inbox
from vantum.actors.lane import AudioFrame, AudioLane
from vantum.channels import put
from vantum.core.messages import SttAudio, SttInput
from vantum.core.recent import RecentAudio
from vantum.core.resampling import Resampler
from vantum.errors import ProviderError
from vantum.observe.logs import get_log
from vantum.ports import STT_RATE_HZ, VoiceActivity

#: Taken at once: a client may send a minute in one message, and the other calls must not wait for
#: all of it. Half a second takes less than a millisecond.
_SLICE_S = 0.5

#: What the turn detector may want to hear again.
_RECENT_S = 8.0

_log = get_log("call")


@define
class Ear:
    """The server's own hearing of one call: voice activity, if there is one, and the last seconds.

    The resampler feeds it; the conductor only takes `recent` from it, for the turn detector. It is
    a quarter of a megabyte: without a detector nothing is kept.
    """

    activity: VoiceActivity | None
    recent: RecentAudio | None = None

    @classmethod
    def of(cls, call: Call) -> Ear:
        """The ear of a new call."""
        return cls(call.activity, RecentAudio(_RECENT_S) if call.has_detector else None)

    async def hear(self, pcm: bytes, inbox_tx: trio.MemorySendChannel[Inbox]) -> None:
        """Listen to 16 kHz PCM; edges go to the conductor. An ear that fails is done without."""
        if self.activity is None:
            return
        if self.recent is not None:
            self.recent.feed(pcm)
        try:
            edges = await self.activity.hear(pcm)
        except ProviderError as error:
            _log.warning("voice activity failed: going on without", error=str(error))
            self.activity = self.recent = None
            return
        for edge in edges:
            await put(inbox_tx, edge)


async def resample(
    lane: AudioLane,
    stt_tx: trio.MemorySendChannel[SttInput],
    ear: Ear,
    inbox_tx: trio.MemorySendChannel[Inbox],
) -> None:
    """Convert for ever. A new rate or the end of a turn flushes what the filter still holds.

    Inline and not in a thread: 20 ms of audio take far less than a hop to a thread.
    """
    resampler: Resampler | None = None
    rate_hz = 0
    while True:
        for item in await lane.get_batch():
            if not isinstance(item, AudioFrame) or item.rate_hz != rate_hz:
                tail = resampler.finish() if resampler is not None else b""
                resampler = None
                if tail:
                    await put(stt_tx, SttAudio(tail))
            if not isinstance(item, AudioFrame):
                await put(stt_tx, item)
                lane.handed[item.flush_id] = trio.current_time()
                continue
            if resampler is None:
                rate_hz = item.rate_hz
                resampler = Resampler(rate_hz, STT_RATE_HZ)
            step = 2 * round(_SLICE_S * rate_hz)
            for at in range(0, len(item.pcm), step):
                pcm = resampler.feed(item.pcm[at : at + step])
                if not pcm:
                    continue
                if item.listen:
                    await ear.hear(pcm, inbox_tx)
                await put(stt_tx, SttAudio(pcm))
