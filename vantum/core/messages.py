"""Every value that travels between actors and providers: frozen, and nothing else.

Audio is 16-bit little-endian mono PCM (`bytes` of even length) wherever it is called `pcm`.
Times ending in `_s` are seconds on the audio's own axis unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from vantum.errors import ErrorKind

# ---------------------------------------------------------------- recogniser: in


@frozen
class SttAudio:
    """A stretch of the caller's speech, in the form that the recogniser's provider `takes`."""

    audio: bytes


@frozen
class SttFlush:
    """The caller's turn is over: report all that was heard so far, then `SttFlushed(flush_id)`.

    It travels behind the audio it belongs to, in the same channel.
    """

    flush_id: int


SttInput: TypeAlias = SttAudio | SttFlush

# ---------------------------------------------------------------- recogniser: out


@frozen
class Word:
    """One recognised word and when it was said, in seconds since the recogniser's first sample."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0


@frozen
class Transcript:
    """What was recognised in one stretch of audio.

    Interim transcripts replace each other until a final one fixes the stretch; the user's words
    are the final transcripts joined with a space. Final text is never sent twice.
    """

    text: str
    is_final: bool
    confidence: float
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()


@frozen
class SpeechStarted:
    """The caller began to speak (voice activity, no words yet)."""

    at_s: float


@frozen
class UtteranceEnded:
    """The recogniser believes that the caller has stopped: Deepgram's `speech_final` or
    `UtteranceEnd`, the embedded one's voice activity. Its final transcript came before it."""

    at_s: float


@frozen
class SttFlushed:
    """Answer to `SttFlush`: every word of the audio before it has been reported.

    `complete` is false when the recogniser did not answer in time and the best known text stands.
    """

    flush_id: int
    complete: bool = True


@frozen
class SttBehind:
    """The answer to this flush takes so much longer than usual: the recogniser is still hearing
    what it was sent again behind a lost connection."""

    flush_id: int
    by_s: float


SttEvent: TypeAlias = Transcript | SpeechStarted | UtteranceEnded | SttFlushed | SttBehind

# ---------------------------------------------------------------- voice activity


@frozen
class VoiceEdge:
    """The caller's voice begins (`speaking`) or falls silent, as the server's own detector hears.

    `at_s`: where in the audio that the detector was fed, in seconds since its first sample.
    `late_s`: how much audio it had taken behind that place before it was sure: the edge itself lies
    so long before the moment of its report.
    `is_last`: the detector has failed: silence, as far as anybody knows, and no edge comes behind.
    """

    speaking: bool
    at_s: float
    late_s: float = 0.0
    is_last: bool = False


@frozen
class EchoHeard:
    """A voice is heard, and it is ours, out of the caller's loudspeaker: no voice of his.

    `words`: nothing else was heard where the words lie that come next.
    """

    words: bool = False


# ---------------------------------------------------------------- language model


@frozen
class ToolSpec:
    """A tool as the model sees it. `parameters` is a JSON schema of type "object"."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(hash=False)


@frozen
class ToolCall:
    """What the model wants done. `id` ties the result to it; `arguments_json` is as it wrote it,
    which need not be JSON."""

    id: str
    name: str
    arguments_json: str


@frozen
class ChatMessage:
    """One message of the model's context.

    `tool_calls`: what an assistant's message asked for; the messages of role "tool" that follow it
    hold the results, one for each call, with its id as `tool_call_id`.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@frozen
class ChatRequest:
    """What the model is asked: the whole context, the system prompt first.

    `tools`: what it may ask for; with `tool_choice` "none" it sees them and must answer in words.
    A model without tools passes them over.
    """

    messages: tuple[ChatMessage, ...]
    session_id: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "none"] = "auto"


# ---------------------------------------------------------------- language model's answer


@frozen
class ToolCallBegun:
    """The model is about to ask for this tool; its arguments are still being written."""

    id: str
    name: str


@frozen
class Keys:
    """Keys of a telephone (`vantum.core.dtmf`), to be sent as tones behind all that was said."""

    keys: str


#: What a model's stream yields: text (never empty), and calls, each announced before it is whole.
#: Keys come from texts of our own only: a model has a tool for them.
ModelOutput: TypeAlias = str | Keys | ToolCallBegun | ToolCall


@frozen
class LlmToken:
    """The next piece of the answer's text, never empty."""

    text: str


@frozen
class LlmPaused:
    """What came before stands by itself and may be spoken: the model waits for its tools."""


@frozen
class LlmFiller:
    """A text of ours, said while the caller would hear nothing: no part of what the model wrote."""

    text: str


@frozen
class LlmFinished:
    """The answer is complete. The last message of an answer that succeeded."""


@frozen
class LlmFailed:
    """The answer broke off; tokens that came before it stand. The last message of that answer.

    `message` is one safe line; `error_kind` and `provider` are as in `ProviderError`.
    """

    error_kind: ErrorKind
    message: str
    provider: str


LlmOutput: TypeAlias = LlmToken | LlmPaused | LlmFiller | Keys | LlmFinished | LlmFailed


# ---------------------------------------------------------------- synthesiser: in


@frozen
class SpeechPiece:
    """A speakable piece of an answer. Pieces of one answer are numbered from 0."""

    index: int
    text: str


@frozen
class EndOfPieces:
    """The answer has no more pieces: a message, because a closed channel could mean a crash."""


TtsInput: TypeAlias = SpeechPiece | EndOfPieces


@frozen
class TonePiece:
    """A piece of an answer that is no speech but one key's tone; `text` is what the record has."""

    index: int
    text: str
    key: str


#: From the chunker to the tts actor, which keeps tones to itself: no synthesiser sees them.
Piece: TypeAlias = TtsInput | TonePiece

# ---------------------------------------------------------------- synthesiser: out


@frozen
class SpeechAudio:
    """Synthesised audio of a piece: PCM at the rate that the synthesiser gives for the line."""

    piece_index: int
    pcm: bytes


@frozen
class SpokenWord:
    """A word and its place in the answer's audio: seconds since the answer's first sample."""

    text: str
    start_s: float
    end_s: float


@frozen
class SpeechWords:
    """Word timestamps, where the synthesiser gives them: before or after their audio."""

    piece_index: int
    words: tuple[SpokenWord, ...]


@frozen
class PieceSpoken:
    """All audio of this piece has been sent on."""

    piece_index: int


@frozen
class SpeechFinished:
    """All audio of the answer has been sent on. The last message of an answer."""


@frozen
class SpeechFailed:
    """The synthesis broke off; what was made before it can still be played. A last message.

    `message` is one safe line.
    """

    kind: ErrorKind
    message: str


TtsOutput: TypeAlias = SpeechAudio | SpeechWords | PieceSpoken | SpeechFinished

#: From the tts actor to the player: a piece's text ahead of its audio, tones in their place, and a
#: failure as the last.
Speech: TypeAlias = TtsOutput | SpeechPiece | TonePiece | SpeechFailed
