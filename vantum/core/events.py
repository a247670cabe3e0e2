"""What a client and the server say to each other, independent of vocabulary and encoding.

`vantum.wire.native` turns these into bytes and back. A message that answers a request holds that
`Request`; a message that the server starts by itself gets a fresh event id when it is encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from attrs import Factory, field, frozen

from vantum.core.audio import AudioFormat, Encoding
from vantum.core.latency import HeardBy, Outcome

#: The states of a conversation, in the protocol's spelling.
StateName: TypeAlias = Literal[
    "INITIALIZING", "LISTENING", "THINKING", "RESPONDING", "INTERRUPTED", "ENDED"
]
TurnDetection: TypeAlias = Literal["auto", "manual"]

#: Rows of the protocol's error table. `service` errors are stt/llm/tts_unavailable.
ErrorCase: TypeAlias = Literal[
    "malformed",
    "unknown_event",
    "invalid_format",
    "buffer_overflow",
    "wrong_session",
    "auth_failed",
    "queue_full",
    "stt_unavailable",
    "llm_unavailable",
    "tts_unavailable",
]


@frozen
class Request:
    """Envelope of a client's message, kept so that an answer can carry its id and type.

    A field is None when the client's message had none that could be read.
    """

    event_type: str | None = None
    event_id: str | None = None


# ---------------------------------------------------------------- client → server


@frozen
class Prospect:
    """Who is on the line, as far as the client knows.

    `timezone`: an IANA name. `extra`: whatever else there is, such as the further columns of a
    campaign's list, by names of small letters, digits and `_`.
    """

    name: str | None = None
    company: str | None = None
    industry: str | None = None
    timezone: str | None = None
    extra: Mapping[str, str] = field(factory=dict, hash=False)


@frozen
class InputOptions:
    """How a client speaks: from `audio.input.start`.

    Attributes:
        sampling_rate_hz: of the audio in both directions, 8000 to 48000.
        language: BCP 47.
        voice_id: the synthesiser's voice; None: the provider's setting.
        turn_detection: who finds that the user has finished: the server (`auto`), or only the
            client's `end` (`manual`).
        tokens: have each token of the answer sent as well (`ResponseToken`).
        prospect: who is on the line.
        latency: have `LatencyMeasured` sent for each turn.
        encoding: how the connection carries audio. The samples of a line of mu-law, such as a
            telephone's, are no finer than that in either direction. Not in the protocol.
        starts_once: no further start will be sent, whatever becomes of this one. Not in the
            protocol.
    """

    sampling_rate_hz: int = 16_000
    language: str = "en-US"
    voice_id: str | None = None
    turn_detection: TurnDetection = "auto"
    tokens: bool = False
    prospect: Prospect = Factory(Prospect)
    latency: bool = False
    encoding: Encoding = "pcm"
    starts_once: bool = False

    @property
    def line(self) -> AudioFormat:
        """What the client's connection carries, in both directions."""
        return AudioFormat(self.sampling_rate_hz, self.encoding)


@frozen
class StartInput:
    """`audio.input.start`."""

    request: Request
    options: InputOptions


@frozen
class InputChunk:
    """`audio.input.chunk`: bytes as they came, in the form of the client's line (`InputOptions`).

    PCM of any length, perhaps odd.
    """

    request: Request
    audio: bytes
    is_muted: bool = False


@frozen
class InputDigits:
    """Keys of a telephone, in the order in which they were pressed: 0 to 9, A to D, * and #.

    Not in the native protocol: only phones have keys.
    """

    request: Request
    digits: str


@frozen
class EndInput:
    """`audio.input.end` or `audio.input.stop`."""

    request: Request


@frozen
class Interrupt:
    """`user.action.interrupt`."""

    request: Request


@frozen
class EndCall:
    """`user.action.end_call`."""

    request: Request


@frozen
class Mute:
    """`user.action.mute` (`muted`) or `.unmute`."""

    request: Request
    muted: bool


@frozen
class Played:
    """`audio.output.played`: so much of the utterance has come out of the client's speaker."""

    request: Request
    utterance_id: str
    played_ms: float


@frozen
class Heartbeat:
    """`connection.lifecycle.heartbeat`; answered in kind."""

    request: Request


@frozen
class Goodbye:
    """`connection.lifecycle.disconnect` from the client."""

    request: Request


ClientMessage: TypeAlias = (
    StartInput | InputChunk | EndInput | Interrupt | EndCall | Mute | Played | Heartbeat | Goodbye
)

# ---------------------------------------------------------------- server → client


@frozen
class Welcome:
    """Connection ack: `{success: true}`; the session id is in the envelope."""


@frozen
class Ack:
    """The request was carried out: same type and id, `{success: true}`.

    Heartbeats are answered with it too.
    """

    request: Request


@frozen
class TranscriptOut:
    """`transcript.interim` / `transcript.final`."""

    request: Request
    transcript: str
    is_final: bool
    confidence: float
    timestamp_ms: int
    language: str


@frozen
class ResponseStarted:
    """`conversation.response.start`: the model begins to answer."""

    utterance_id: str
    timestamp_ms: int


@frozen
class ResponseToken:
    """`conversation.response.token`."""

    utterance_id: str
    token: str


@frozen
class ResponseCompleted:
    """`conversation.response.complete`: the model has finished. `text` is without markers."""

    utterance_id: str
    text: str
    is_fallback: bool = False
    tier: int | None = None


@frozen
class OutputStarted:
    """`audio.output.start`."""

    utterance_id: str
    timestamp_ms: int
    sample_rate_hz: int


@frozen
class OutputChunk:
    """`audio.output.chunk`: PCM at the client's rate."""

    utterance_id: str
    audio: bytes
    sample_rate_hz: int


@frozen
class OutputCompleted:
    """`audio.output.complete`, right after the last chunk."""

    utterance_id: str
    duration_ms: int


@frozen
class OutputCancelled:
    """`audio.output.cancel`; `interrupted` picks the older vocabulary's word for it."""

    utterance_id: str
    timestamp_ms: int
    reason: str
    interrupted: bool


@frozen
class StateChanged:
    """`conversation.state.changed`."""

    old: StateName
    new: StateName
    timestamp_ms: int


@frozen
class StageChanged:
    """`conversation.stage.changed`: the call moved on in its script; `old` None: it begins."""

    old: str | None
    new: str
    timestamp_ms: int


@frozen
class Interrupted:
    """`conversation.state.interrupted`."""

    utterance_id: str
    heard_text: str
    timestamp_ms: int


@frozen
class LatencyMeasured:
    """`conversation.turn.latency`; the parts by name, in milliseconds (`vantum.core.latency`)."""

    utterance_id: str
    timestamp_ms: int
    turn: int
    outcome: Outcome
    gap_ms: float
    framework_ms: float
    ahead_ms: float
    parts_ms: dict[str, float]
    heard_by: HeardBy | None = None


@frozen
class Ready:
    """`system.status.ready`: provider of each role by name."""

    providers: dict[str, str]


@frozen
class Busy:
    """`system.status.busy`; close 1013 follows."""

    active_sessions: int
    max_sessions: int


@frozen
class Maintenance:
    """`system.status.maintenance`; close 1001 follows."""

    message: str


@frozen
class RateLimitWarning:
    """`system.notification.rate_limit_warning`; close 4429 follows if it goes on."""

    message: str
    limit_per_s: int


@frozen
class QuotaExceeded:
    """`system.notification.quota_exceeded`: a provider's account has nothing left."""

    service: Literal["stt", "llm", "tts"]
    message: str


@frozen
class Disconnecting:
    """`connection.lifecycle.disconnect`: the server will close, and why."""

    reason: str


@frozen
class ErrorReply:
    """An error event. `request` has None where the request's field is not known."""

    request: Request
    case: ErrorCase
    message: str


ServerMessage: TypeAlias = (
    Welcome
    | Ack
    | TranscriptOut
    | ResponseStarted
    | ResponseToken
    | ResponseCompleted
    | OutputStarted
    | OutputChunk
    | OutputCompleted
    | OutputCancelled
    | StateChanged
    | StageChanged
    | Interrupted
    | LatencyMeasured
    | Ready
    | Busy
    | Maintenance
    | RateLimitWarning
    | QuotaExceeded
    | Disconnecting
    | ErrorReply
)
