"""Reader: bytes from the client become audio for the lane and events for the conductor.

It never waits for audio to be taken, so that an interruption is never behind audio. A message that
cannot be understood is answered and forgotten; the session goes on.
"""

from __future__ import annotations

from functools import partial

import trio
from attrs import define, field

from vantum.actors.call import Call, ClientSocket, Goodbye, Inbox, Outgoing
from vantum.actors.lane import AudioFrame, AudioLane
from vantum.channels import put
from vantum.core.audio import AudioFormat, PcmAligner
from vantum.core.decisions import CloseRequested, InputEnding
from vantum.core.events import (
    EndInput,
    ErrorReply,
    Heartbeat,
    InputChunk,
    Mute,
    RateLimitWarning,
    Request,
    StartInput,
)
from vantum.core.ratelimit import RateLimit
from vantum.wire.fields import ProtocolError

#: Audio that is dropped sooner after other audio was is of the same overflow: while a recogniser is
#: away it is tried every ten seconds, and takes audio for as long. The client hears of each once,
#: when it begins; the log says at its end how much it was.
_OVERFLOW_OVER_S = 30.0
#: The log hears of what was refused at most so often, and how much it was since the last time: a
#: client that sends nothing else would fill the disk.
_REFUSED_EVERY_S = 1.0
#: Frames that a network has held up come at once behind it, and are no flood: of 20 ms ones these
#: are a stall of 20 s, which few connections outlive.
_MAKE_UP_S = 10.0


@define
class _Reading:
    """What the reader remembers of its client. `heard_s`: when somebody was last there;
    `dropped_s`: audio that this overflow has cost, the last of it at `overflow_s`."""

    call: Call
    lane: AudioLane
    inbox_tx: trio.MemorySendChannel[Inbox]
    out_tx: trio.MemorySendChannel[Outgoing]
    heard_s: float
    line: AudioFormat | None = None
    muted: bool = False
    listens: bool = False
    dropped_s: float = 0.0
    overflow_s: float = 0.0
    refused: int = 0
    refused_said_s: float = float("-inf")
    aligner: PcmAligner = field(factory=PcmAligner)

    async def take(self, data: bytes | str) -> bool:
        """Understand one message. True if somebody is there (a heartbeat is no proof)."""
        try:
            heard = self.call.codec.decode(data)
        except ProtocolError as error:
            await self._refuse(error.reply())
            return True
        match heard:
            case InputChunk() as chunk:
                await self._audio(chunk)
            case StartInput() as start:
                self.line = start.options.line
                self.aligner = PcmAligner()  # half a sample belongs to what was before
                self.listens = start.options.turn_detection == "auto"
                await put(self.inbox_tx, start)
            case EndInput() as end:
                await put(self.inbox_tx, InputEnding(end, self.lane.flush(), trio.current_time()))
            case Mute(muted=muted):
                self.muted = muted
            case Heartbeat() as heartbeat:
                await put(self.inbox_tx, heartbeat)
                return False
            case ():
                pass
            case other:
                await put(self.inbox_tx, other)
        return True

    async def _audio(self, chunk: InputChunk) -> None:
        line = self.line
        if line is None:
            message = "audio before audio.input.start: send that first"
            await self._refuse(ErrorReply(chunk.request, "invalid_format", message))
            return
        audio = self.aligner.feed(chunk.audio) if line.encoding == "pcm" else chunk.audio
        if not audio:
            return
        if self.muted or chunk.is_muted:
            audio = line.silence(len(audio))
        if dropped_s := self.lane.put(AudioFrame(audio, line, self.listens)):
            await self._overflowed(chunk.request, dropped_s)
        elif self.dropped_s and trio.current_time() >= self.overflow_s + _OVERFLOW_OVER_S:
            self.overflow_over()

    async def _overflowed(self, request: Request, dropped_s: float) -> None:
        begins = not self.dropped_s
        self.dropped_s += dropped_s
        self.overflow_s = trio.current_time()
        if not begins:
            return
        limit_ms = self.call.settings.session.input_buffer_ms
        message = (
            "audio arrives faster than it can be taken: as long as it does, the oldest is dropped "
            f"(at most {limit_ms} ms may wait)"
        )
        self.call.log.warning("dropping audio", limit_ms=limit_ms)
        await self._refuse(ErrorReply(request, "buffer_overflow", message))

    def overflow_over(self) -> None:
        """No more is dropped, or the session is over."""
        if self.dropped_s:
            self.call.log.warning("audio dropped", total_ms=round(self.dropped_s * 1000))
            self.dropped_s = 0.0

    async def _refuse(self, reply: ErrorReply) -> None:
        self.refused += 1
        now_s = trio.current_time()
        if now_s - self.refused_said_s >= _REFUSED_EVERY_S:
            event_type, count = reply.request.event_type, self.refused
            self.call.log.info("refused", case=reply.case, event_type=event_type, count=count)
            self.refused, self.refused_said_s = 0, now_s
        await put(self.out_tx, reply)


async def read(
    call: Call,
    socket: ClientSocket,
    lane: AudioLane,
    inbox_tx: trio.MemorySendChannel[Inbox],
    out_tx: trio.MemorySendChannel[Outgoing],
    nursery: trio.Nursery,
) -> None:
    """Read until the client is gone; then return, which ends the session, whose `nursery` it is.

    Nobody there for the idle time: the conductor is asked to end the session politely, and reading
    goes on until it has. Too many messages: a warning, then the close.
    """
    reading = _Reading(call, lane, inbox_tx, out_tx, heard_s=trio.current_time())
    nursery.start_soon(_until_idle, reading)
    try:
        await _read_all(reading, socket)
    finally:
        reading.overflow_over()


async def _until_idle(reading: _Reading) -> None:
    """Ask for the end once nobody was there for the idle time.

    A task of its own and not a deadline around each message: setting and clearing one costs more
    than all else that the reader does with a frame of audio.
    """
    idle_s = reading.call.settings.session.idle_timeout_ms / 1000
    while (due_s := reading.heard_s + idle_s) > trio.current_time():  # noqa: ASYNC110 (it moves)
        await trio.sleep_until(due_s)
    await put(reading.inbox_tx, CloseRequested(1000, "idle for too long"))


async def _read_all(reading: _Reading, socket: ClientSocket) -> None:
    limit = reading.call.settings.server.messages_per_s
    rate = RateLimit(limit, _MAKE_UP_S)
    warning = partial(RateLimitWarning, limit_per_s=limit)
    while (data := await socket.receive()) is not None:
        now_s = trio.current_time()
        match rate.arrived(now_s):
            case "warn":
                message = f"more than {limit} messages per second: slow down"
                await put(reading.out_tx, warning(message))
            case "close":
                await put(reading.out_tx, Goodbye(4429, "too many messages"))
                await trio.sleep_forever()
            case _:
                pass
        if await reading.take(data):
            reading.heard_s = now_s
