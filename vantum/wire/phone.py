"""A phone call as a session like any other: Twilio's messages ↔ `vantum.core` values.

- What was played is known from marks: one follows each chunk of speech, and its return is a report
  of how far playback has come. Marks that a `clear` brings back early are no such report.
- Frames of audio that come out of order are put in order, doubles are dropped, and what never comes
  becomes silence, so that the audio's own time stays true.
- What cannot be understood is refused with `ProtocolError`: the reader logs it and goes on. So is a
  second start, and what belongs to another stream.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

from vantum.core.audio import mulaw_encode
from vantum.core.events import (
    Goodbye,
    InputChunk,
    InputDigits,
    InputOptions,
    OutputCancelled,
    OutputChunk,
    Played,
    Request,
    ServerMessage,
    StartInput,
)
from vantum.wire.codec import Heard
from vantum.wire.fields import ProtocolError
from vantum.wire.twilio import (
    RATE_HZ,
    Dtmf,
    Mark,
    Media,
    Start,
    Stop,
    clear_message,
    mark_message,
    media_message,
    parse_message,
)

#: Frames that may wait for one that is late: at 20 ms each, a tenth of a second.
_WINDOW: Final = 5
#: The longest silence that stands for lost audio: more of it would tell nobody anything.
_MAX_SILENCE_BYTES: Final = RATE_HZ
_SILENCE: Final = b"\xff"
#: What Twilio plays at a time.
_FRAME_BYTES: Final = RATE_HZ // 50
#: Marks that are under way; more are forgotten, oldest first. A second of speech has ten.
_MAX_MARKS: Final = 1_000

_MEDIA: Final = Request("media")
_MARK: Final = Request("mark")


@define
class FrameOrder:
    """Puts numbered frames in order. `lost` counts those that never came."""

    lost: int = field(default=0, init=False)
    _next: int = field(default=1, init=False)
    _held: dict[int, bytes] = field(factory=dict, init=False)

    def feed(self, number: int, mulaw: bytes) -> bytes:
        """A frame has come: the audio that can be handed on now, perhaps none."""
        if number == self._next and not self._held:
            self._next += 1
            return mulaw
        if number < self._next:
            return b""  # a double, or so late that silence stands for it already
        self._held.setdefault(number, mulaw)
        ready = self._in_order()
        while len(self._held) > _WINDOW:
            first = min(self._held)
            gap = first - self._next
            self.lost += gap
            ready.append(_SILENCE * min(gap * len(mulaw), _MAX_SILENCE_BYTES))
            self._next = first
            ready += self._in_order()
        return b"".join(ready)

    def _in_order(self) -> list[bytes]:
        ready = []
        while self._next in self._held:
            ready.append(self._held.pop(self._next))
            self._next += 1
        return ready


@define
class PhoneCodec:
    """A `ClientCodec` of one stream.

    Args:
        start: the stream's start, which has been believed; its message is the first to decode.
        options: how the caller speaks, at `RATE_HZ` and in mu-law.
    """

    start: Start
    options: InputOptions
    order: FrameOrder = field(factory=FrameOrder, init=False)
    _begun: bool = field(default=False, init=False)
    _pressed: int = field(default=-1, init=False)
    _sent_bytes: int = field(default=0, init=False)
    _utterance_id: str = field(default="", init=False)
    _marks: deque[tuple[str, str, float]] = field(init=False)

    @_marks.default
    def _no_marks(self) -> deque[tuple[str, str, float]]:
        return deque(maxlen=_MAX_MARKS)

    @property
    def name(self) -> str:
        """For the log."""
        return "twilio"

    @property
    def unheard(self) -> bool:
        """Whether marks are still under way."""
        return bool(self._marks)

    # ------------------------------------------------------------ from Twilio

    def decode(self, data: bytes | str) -> Heard:
        """See `ClientCodec`."""
        match parse_message(data):
            case Media() as media:
                self._check(media.stream_sid, "media")
                audio = self.order.feed(media.chunk, media.mulaw)
                return InputChunk(_MEDIA, audio) if audio else ()
            case Mark() as mark:
                self._check(mark.stream_sid, "mark")
                return self._played(mark.name)
            case Dtmf() as dtmf:
                self._check(dtmf.stream_sid, "dtmf")
                if dtmf.sequence <= self._pressed:
                    return ()
                self._pressed = dtmf.sequence
                return InputDigits(Request("dtmf"), dtmf.digit)
            case Start() as start:
                return self._start(start)
            case Stop() as stop:
                self._check(stop.stream_sid, "stop")
                return Goodbye(Request("stop"))
            case _:
                return ()

    def _start(self, start: Start) -> Heard:
        if self._begun or start != self.start:
            message = "a stream starts once; this one has begun"
            raise ProtocolError("malformed", message, Request("start"))
        self._begun = True
        return StartInput(Request("start"), self.options)

    def _check(self, stream_sid: str, event: str) -> None:
        if not self._begun:
            raise ProtocolError("malformed", "the stream has not started", Request(event))
        if stream_sid != self.start.stream_sid:
            message = "streamSid is not that of this connection's stream"
            raise ProtocolError("wrong_session", message, Request(event))

    def _played(self, name: str) -> Heard:
        if all(name != sent for sent, _, _ in self._marks):
            return ()  # cleared, come back before, or never ours
        while True:
            # Marks come back in order: what was sent before this one has been played too.
            sent, utterance_id, played_ms = self._marks.popleft()
            if sent == name:
                return Played(_MARK, utterance_id, played_ms)

    # ------------------------------------------------------------ to Twilio

    def encode(self, message: ServerMessage) -> tuple[str, ...] | None:
        """See `ClientCodec`: speech and its end by force; a phone shows nothing else."""
        match message:
            case OutputChunk():
                return self._speech(message)
            case OutputCancelled():
                self._marks.clear()
                return (clear_message(self.start.stream_sid),)
            case _:
                return None

    def _speech(self, chunk: OutputChunk) -> tuple[str, ...]:
        stream_sid = self.start.stream_sid
        mulaw = mulaw_encode(chunk.audio)
        if chunk.utterance_id != self._utterance_id:
            self._utterance_id, self._sent_bytes = chunk.utterance_id, 0
        self._sent_bytes += len(mulaw)
        played_ms = self._sent_bytes * 1000 / RATE_HZ
        name = f"{chunk.utterance_id}:{played_ms:g}"
        self._marks.append((name, chunk.utterance_id, played_ms))
        frames = [
            media_message(stream_sid, mulaw[at : at + _FRAME_BYTES])
            for at in range(0, len(mulaw), _FRAME_BYTES)
        ]
        return (*frames, mark_message(stream_sid, name))
