"""Resampler: the client's audio becomes the recogniser's, without a seam between frames.

In `auto` it also lends the audio to the server's own ear, which says where a voice begins and ends.
A recogniser that takes the line's audio as it comes gets it so; then only the ear needs another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import trio
from attrs import define

from vantum.actors.call import Call, Inbox
from vantum.actors.lane import AudioFrame, AudioLane
from vantum.channels import put
from vantum.core.audio import AudioFormat
from vantum.core.messages import EchoHeard, SttAudio, SttInput, VoiceEdge
from vantum.core.own_voice import OwnVoice
from vantum.core.recent import RecentAudio
from vantum.core.resampling import Resampler
from vantum.core.sounding import Sounding
from vantum.errors import ProviderError
from vantum.observe.logs import get_log
from vantum.ports import STT_RATE_HZ, VoiceActivity

#: Taken at once: a client may send a minute in one message, and the other calls must not wait for
#: all of it. Half a second takes less than a millisecond.
_SLICE_S = 0.5

#: A voice whose audio has not come for so long has fallen silent: some clients send nothing while
#: their user says nothing. A network that stalls does so for less, mostly. The ear is given so much
#: silence then, enough for it to be sure.
_GAP_S = 1.0
_SILENCE = bytes(STT_RATE_HZ)

#: What the turn detector may want to hear again.
_RECENT_S = 8.0

#: What the recogniser wants of a line: see `vantum.ports.SpeechToTextProvider.takes`.
Takes: TypeAlias = Callable[[AudioFormat], AudioFormat]

_log = get_log("call")


@define
class Ear:
    """The server's own hearing of one call: voice activity, if there is one, and the last seconds.

    The resampler feeds it; the conductor only takes `recent` from it, for the turn detector. It is
    a quarter of a megabyte: without a detector nothing is kept. `own` tells the caller's voice from
    our echo.
    """

    activity: VoiceActivity | None
    recent: RecentAudio | None = None
    own: OwnVoice | None = None

    @classmethod
    def of(cls, call: Call) -> Ear:
        """The ear of a new call."""
        recent = RecentAudio(_RECENT_S) if call.has_detector else None
        knows_echo = call.activity is not None and call.settings.turns.echo
        return cls(call.activity, recent, OwnVoice() if knows_echo else None)

    @property
    def ours(self) -> Sounding | None:
        """Where what we say belongs, if the echo of it is to be known."""
        return None if self.own is None else self.own.ours

    @property
    def listens(self) -> bool:
        """Whether it wants to hear anything."""
        return self.activity is not None

    def misses_at(self, heard_s: float) -> float:
        """When it has to be told that nothing comes any more, if nothing has come since `heard_s`;
        infinity: never, since it hears no voice."""
        speaking = self.activity is not None and self.activity.speaking
        return heard_s + _GAP_S if speaking else float("inf")

    async def miss(self, inbox_tx: trio.MemorySendChannel[Inbox]) -> None:
        """Nothing comes any more: it is silence."""
        await self.hear(_SILENCE, _SILENCE, AudioFormat(STT_RATE_HZ), inbox_tx)

    async def hear(
        self,
        pcm: bytes,
        audio: bytes,
        line: AudioFormat,
        inbox_tx: trio.MemorySendChannel[Inbox],
    ) -> None:
        """Listen to 16 kHz PCM, which is `audio` of this `line` converted; edges go to the
        conductor. An ear that fails is done without."""
        if self.activity is None:
            return
        if self.recent is not None:
            self.recent.feed(pcm)
        try:
            edges = await self.activity.hear(pcm)
        except ProviderError as error:
            _log.warning("voice activity failed: going on without", error=str(error))
            self.activity = self.recent = self.own = None
            await put(inbox_tx, VoiceEdge(False, 0.0, is_last=True))
            return
        found: Sequence[VoiceEdge | EchoHeard] = edges
        if self.own is not None:
            likely, now_s = self.activity.probability, trio.current_time()
            found = self.own.hear(audio, line, edges, likely, now_s)
        for each in found:
            await put(inbox_tx, each)


@define
class _Stretch:
    """Audio of one line without a break: what the ear and the recogniser get of it."""

    line: AudioFormat
    as_it_comes: bool
    resampler: Resampler

    @classmethod
    def of(cls, line: AudioFormat, takes: Takes) -> _Stretch:
        return cls(line, takes(line) == line, Resampler(line.rate_hz, STT_RATE_HZ))

    def wide(self, audio: bytes) -> bytes:
        """16 kHz PCM, a little behind what comes."""
        return self.resampler.feed(self.line.pcm(audio))

    def rest(self) -> bytes:
        """What the recogniser is still owed, and the filter holds."""
        return b"" if self.as_it_comes else self.resampler.finish()


async def resample(
    lane: AudioLane,
    stt_tx: trio.MemorySendChannel[SttInput],
    takes: Takes,
    ear: Ear,
    inbox_tx: trio.MemorySendChannel[Inbox],
) -> None:
    """Convert for ever. A new rate or the end of a turn flushes what the filter still holds.

    Inline and not in a thread: 20 ms of audio take far less than a hop to a thread.
    """
    stretch: _Stretch | None = None
    missed_s = float("-inf")
    while True:
        batch = await lane.get_batch(ear.misses_at(max(lane.fed_s, missed_s)))
        if not batch:
            missed_s = trio.current_time()
            await ear.miss(inbox_tx)
        for item in batch:
            line = item.line if isinstance(item, AudioFrame) else None
            if stretch is not None and line != stretch.line:
                if rest := stretch.rest():
                    await put(stt_tx, SttAudio(rest))
                stretch = None
            if not isinstance(item, AudioFrame):
                await put(stt_tx, item)
                lane.handed[item.flush_id] = trio.current_time()
                continue
            stretch = stretch or _Stretch.of(item.line, takes)
            step = item.line.bytes_in(_SLICE_S)
            for at in range(0, len(item.audio), step):
                audio = item.audio[at : at + step]
                listens = item.listen and ear.listens
                pcm = stretch.wide(audio) if listens or not stretch.as_it_comes else b""
                if listens and pcm:
                    await ear.hear(pcm, audio, item.line, inbox_tx)
                if part := audio if stretch.as_it_comes else pcm:
                    await put(stt_tx, SttAudio(part))
