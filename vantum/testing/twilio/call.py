"""A call as the simulated Twilio knows it, and its two sides as a recording."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import trio
from attrs import define, field, frozen

from vantum.testing.twilio.leg import Leg
from vantum.testing.twilio.personas import AnsweredBy, Persona
from vantum.testing.twilio.sound import stereo_wav

if TYPE_CHECKING:
    from vantum.testing.twilio.stream import MediaStream

Status: TypeAlias = Literal[
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "failed",
    "canceled",
]
Direction: TypeAlias = Literal["inbound", "outbound-api", "outbound-dial"]

#: A call in one of these is over.
FINAL: frozenset[Status] = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})


@frozen
class Source:
    """Where TwiML comes from: a URL to be asked, or the document itself."""

    url: str = ""
    method: str = "POST"
    twiml: str = ""
    #: Sent along, besides the fields of every request.
    fields: tuple[tuple[str, str], ...] = ()


@frozen
class Amd:
    """Answering machine detection, with Twilio's own names and defaults, in seconds."""

    message_end: bool = False
    is_async: bool = False
    url: str = ""
    method: str = "POST"
    timeout_s: float = 30.0
    speech_s: float = 2.4
    speech_end_s: float = 1.2
    silence_s: float = 5.0


@frozen
class CallOptions:
    """What a call was asked for with."""

    source: Source | None = None
    fallback: Source | None = None
    status_url: str = ""
    status_method: str = "POST"
    status_events: tuple[str, ...] = ("completed",)
    timeout_s: float = 60.0
    time_limit_s: float = 14_400.0
    send_digits: str = ""
    amd: Amd | None = None


@frozen
class TwilioProblem:
    """What Twilio's debugger would show: something that the server did is wrong."""

    at_s: float
    code: int
    message: str


@define(eq=False)
class PhoneCall:
    """One call, going on or over. Times ending in `_s` are on trio's clock.

    Attributes:
        leg: the other side's telephone: what was said into it, what was heard in it, its keys.
        status: as Twilio has it now; `history` is when each status began.
        answered_by: what the detection said, if it was asked for; `detected_ms`: how long it took.
        streams: its media streams, in order.
        problems: what the server did wrong, with Twilio's error numbers.
        ended_because: who ended it, in words.
        over: set when it has ended and its last status callback is on its way.
    """

    sid: str
    account_sid: str
    direction: Direction
    from_number: str
    to_number: str
    persona: Persona
    options: CallOptions
    created_s: float
    leg: Leg
    parent_sid: str = ""
    queued_ms: int = 0
    status: Status = "queued"
    history: list[tuple[float, Status]] = field(factory=list)
    updated_s: float = 0.0
    dialled_s: float | None = None
    answered_s: float | None = None
    cut_s: float | None = None
    ended_s: float | None = None
    answered_by: AnsweredBy | None = None
    detected_ms: int | None = None
    sip_code: int = 200
    streams: list[MediaStream] = field(factory=list)
    problems: list[TwilioProblem] = field(factory=list)
    ended_because: str = ""
    #: Connected with the call that dialled it, now or before.
    bridged: bool = False
    deleted: bool = False
    over: trio.Event = field(factory=trio.Event)
    #: Of the whole call; cancelled to end it.
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    #: Of the TwiML that is being carried out; cancelled to go on with `redirected`.
    program: trio.CancelScope | None = None
    redirected: Source | None = None
    #: What the status becomes if it is ended before it is answered.
    given_up: Status = "canceled"
    sequence: int = 0
    #: One callback after the other.
    telling: trio.Lock = field(factory=trio.Lock)
    _changed: trio.Event = field(factory=trio.Event)

    def become(self, status: Status) -> None:
        """The status changes now."""
        now_s = self.updated_s = trio.current_time()
        self.status = status
        self.history.append((now_s, status))
        if status == "in-progress":
            self.answered_s = now_s
        if status in FINAL:
            # What is tidied up after the end takes no time of the call.
            self.ended_s = now_s if self.cut_s is None else self.cut_s
        self.changed()

    def changed(self) -> None:
        """Wake who waits for something to happen to this call."""
        self._changed.set()
        self._changed = trio.Event()

    @property
    def is_over(self) -> bool:
        """Whether its status is a final one."""
        return self.status in FINAL

    @property
    def duration_s(self) -> int | None:
        """Whole seconds from answer to end, as Twilio counts: begun ones are full."""
        if self.ended_s is None or self.answered_s is None:
            return None if self.ended_s is None else 0
        return math.ceil(self.ended_s - self.answered_s - 1e-6)

    @property
    def stream(self) -> MediaStream:
        """Its newest media stream. IndexError if there has been none."""
        return self.streams[-1]

    async def until(self, status: Status) -> None:
        """Wait until the status is or has been this one; or the call is over."""
        while not self.is_over and all(status != past for _, past in self.history):
            await self._changed.wait()

    async def until_streaming(self) -> MediaStream:
        """Wait for its media stream to have started. `trio.EndOfChannel` if it ends before."""
        while not self.streams:
            if self.is_over:
                raise trio.EndOfChannel(f"the call is {self.status}, and there was no stream")
            await self._changed.wait()
        return self.streams[-1]

    def end(self, because: str) -> None:
        """Hang up, from whichever side."""
        if self.cut_s is None:
            self.ended_because, self.cut_s = because, trio.current_time()
        self.scope.cancel()

    def problem(self, code: int, message: str) -> None:
        """Note what the server did wrong."""
        self.problems.append(TwilioProblem(trio.current_time(), code, message))

    def recording(self) -> bytes:
        """Both sides since the answer as a stereo WAV file at 8 kHz, aligned in time.

        Left: what was said into the other side's telephone; right: what was heard in it. Needs
        `TwilioScript.keeps_audio`. ValueError if the call was never answered.
        """
        if self.answered_s is None:
            raise ValueError(f"call {self.sid} was never answered: there is nothing to hear")
        end_s = trio.current_time() if self.ended_s is None else self.ended_s
        return stereo_wav(
            self.leg.samples(self.answered_s, end_s),
            self.leg.earpiece.samples(self.answered_s, end_s),
        )
