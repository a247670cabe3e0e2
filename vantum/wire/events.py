"""Every event of the client protocol: its names, its direction, its payload and what it means.

The codec checks messages by these rows and `docs/generate.py` prints the protocol reference from
them, so neither can say what the other does not do. The source is the project's protocol contract.
"""

from __future__ import annotations

from typing import Final, get_args

from vantum.core.latency import PARTS, HeardBy, Outcome
from vantum.wire.event import Event, same
from vantum.wire.fields import Field

_SUCCESS = Field("success", "bool", "Always true.", required=True)
_UTTERANCE = Field("utteranceId", "str", "The utterance it belongs to.", required=True)
_TIMESTAMP = Field("timestamp", "int", "Milliseconds since 1970, UTC.", required=True, low=0)
_RATE = Field("sampleRate", "int", "Rate of the audio in Hz: the client's own.", required=True)
_MESSAGE = Field("message", "str", "One line for a person.", required=True, max_chars=0)
_STATE = ("INITIALIZING", "LISTENING", "THINKING", "RESPONDING", "INTERRUPTED", "ENDED")

_PROSPECT = (
    Field("name", "str", "The person's name."),
    Field("company", "str", "Where they work."),
    Field("industry", "str", "What the company does."),
    Field("timezone", "str", "IANA name of their time zone."),
)

_INPUT: tuple[Event, ...] = (
    Event(
        "input_start",
        "c2s",
        "audio.input.start",
        "voicechat.audio.start",
        "The user begins to speak, or the client sets how it speaks. Acked with the same type and "
        "id and `{success: true}` once the providers are ready.",
        (
            Field(
                "samplingRate",
                "int",
                "Rate in Hz of the audio in both directions.",
                default="16000",
                low=8000,
                high=48_000,
                case="invalid_format",
            ),
            Field("language", "str", "BCP 47 tag.", default='"en-US"'),
            Field("voiceId", "str", "The synthesiser's voice.", default="the provider's setting"),
            Field(
                "turnDetection",
                "str",
                "`manual`: only the end event ends the user's turn. `auto`: silence or the turn "
                "detector does, and the end event ends it at once.",
                default='"auto" in unified, "manual" in voicechat',
                choices=("auto", "manual"),
            ),
            Field("tokens", "bool", "Send each token of the answer too.", default="false"),
            Field(
                "latency",
                "bool",
                "Send `conversation.turn.latency` for each turn too.",
                default="false",
            ),
            Field("prospect", "map", "Who is on the line.", fields=_PROSPECT),
        ),
    ),
    Event(
        "input_chunk",
        "c2s",
        "audio.input.chunk",
        "voicechat.audio.chunk",
        "Audio of the user. No ack.",
        (
            Field(
                "audio",
                "bin",
                "16-bit little-endian mono PCM at `samplingRate`, any length; an odd byte is "
                "carried over to the next chunk.",
                required=True,
            ),
            Field(
                "isMuted",
                "bool",
                "Counts as silence.",
                default="false",
            ),
        ),
    ),
    Event(
        "input_end",
        "c2s",
        "audio.input.end",
        "voicechat.audio.end",
        "The user has stopped speaking. Acked. The session goes on, for any number of start … end "
        "cycles.",
        aliases=("audio.input.stop",),
    ),
    same("interrupt", "c2s", "user.action.interrupt", "Stop the answer that is being spoken."),
    same("end_call", "c2s", "user.action.end_call", "Hang up."),
    same("mute", "c2s", "user.action.mute", "From here on the user's audio counts as silence."),
    same("unmute", "c2s", "user.action.unmute", "Undoes `user.action.mute`."),
    same(
        "played",
        "c2s",
        "audio.output.played",
        "How far playback has come. Optional; it makes the record of what was heard exact.",
        Field("utteranceId", "str", "The utterance it belongs to.", required=True, max_chars=128),
        Field("playedMs", "float", "Milliseconds of it that were played.", required=True, low=0),
    ),
)

_CONNECTION: tuple[Event, ...] = (
    Event(
        "welcome",
        "s2c",
        "connection.lifecycle.ack",
        "connection.ack",
        "Connected. The envelope holds the session id to use from now on. Comes first.",
        (_SUCCESS,),
    ),
    Event(
        "heartbeat",
        "both",
        "connection.lifecycle.heartbeat",
        None,
        "Keep-alive. A client's is answered with the same type and id and `{success: true}`.",
    ),
    Event(
        "disconnect",
        "both",
        "connection.lifecycle.disconnect",
        None,
        "The sender is about to close the connection.",
        (Field("reason", "str", "Why; the server always says it.", max_chars=0),),
    ),
)

_OUTPUT: tuple[Event, ...] = (
    *(
        same(
            f"transcript_{kind}",
            "s2c",
            f"transcript.{kind}",
            doc,
            Field("transcript", "str", "The words.", required=True, max_chars=0),
            Field("confidence", "float", "0 to 1.", required=True),
            _TIMESTAMP,
            Field("language", "str", "BCP 47 tag.", required=True),
        )
        for kind, doc in (
            ("interim", "What was understood so far; the next transcript replaces it."),
            ("final", "What was understood, for good. `eventId` is that of the start event."),
        )
    ),
    Event(
        "output_start",
        "s2c",
        "audio.output.start",
        "voicechat.response.start",
        "Speech begins. One answer is one utterance: one start, its chunks, one complete.",
        (_UTTERANCE, _TIMESTAMP, _RATE),
    ),
    Event(
        "output_chunk",
        "s2c",
        "audio.output.chunk",
        "voicechat.response.chunk",
        "A stretch of speech; every chunk has an `eventId` of its own.",
        (
            Field("audio", "bin", "16-bit little-endian mono PCM.", required=True),
            _UTTERANCE,
            _RATE,
        ),
    ),
    Event(
        "output_complete",
        "s2c",
        "audio.output.complete",
        "voicechat.response.complete",
        "All chunks of the utterance have been sent; right after the last one.",
        (
            _UTTERANCE,
            Field("durationMs", "int", "Length of its audio.", required=True, low=0),
        ),
    ),
    *(
        Event(
            key,
            "s2c",
            "audio.output.cancel",
            name,
            f"Stop playing now: {why}. No chunk of the utterance follows.",
            (
                _UTTERANCE,
                _TIMESTAMP,
                Field("reason", "str", reasons, required=True, max_chars=0, only="unified"),
            ),
        )
        for key, name, why, reasons in (
            (
                "output_interrupt",
                "voicechat.response.interrupt",
                "the user cut in",
                "`user_interrupt`.",
            ),
            (
                "output_stop",
                "voicechat.response.stop",
                "for another reason",
                "`end_call` (the client ended the call), `announcement` (something else is said "
                "instead), `shutdown` (the server is going down) or `session_ended` (the session's "
                "time is up); in both of the last, what was said did not end within its grace.",
            ),
        )
    ),
)

_CONVERSATION: tuple[Event, ...] = (
    Event(
        "response_start",
        "s2c",
        "conversation.response.start",
        None,
        "The model begins to answer.",
        (_UTTERANCE, _TIMESTAMP),
    ),
    Event(
        "response_token",
        "s2c",
        "conversation.response.token",
        None,
        "A piece of the answer's text as it is generated; only if `tokens` was asked for.",
        (_UTTERANCE, Field("token", "str", "The text.", required=True, max_chars=0)),
    ),
    Event(
        "response_complete",
        "s2c",
        "conversation.response.complete",
        None,
        "The model has finished its answer.",
        (
            Field("text", "str", "All of it, without markers.", required=True, max_chars=0),
            _UTTERANCE,
            Field("isFallback", "bool", "The model failed; a set text is spoken.", required=True),
            Field("tier", "int", "Which of the set texts; only with `isFallback`.", low=1, high=3),
        ),
    ),
    Event(
        "state_changed",
        "s2c",
        "conversation.state.changed",
        None,
        "The conversation moved from one state to another.",
        (
            Field("from", "str", "The old state.", required=True, choices=_STATE),
            Field("to", "str", "The new state.", required=True, choices=_STATE),
            _TIMESTAMP,
        ),
    ),
    Event(
        "stage_changed",
        "s2c",
        "conversation.stage.changed",
        None,
        "The call moved from one stage of its script to another; only if the server has a script.",
        (
            Field("from", "str", "The old stage; absent when the call begins.", max_chars=0),
            Field("to", "str", "The new stage.", required=True, max_chars=0),
            _TIMESTAMP,
        ),
    ),
    Event(
        "interrupted",
        "s2c",
        "conversation.state.interrupted",
        None,
        "The user cut in.",
        (
            Field("heardText", "str", "What they had heard.", required=True, max_chars=0),
            _UTTERANCE,
            _TIMESTAMP,
        ),
    ),
)

_LATENCY: tuple[Event, ...] = (
    Event(
        "turn_latency",
        "s2c",
        "conversation.turn.latency",
        None,
        "Where a turn's time went between the user's last word and the first of the answer; only "
        "if `latency` was asked for. Right behind the first audio, or when the turn ended without. "
        "Once more when the answer is over, for a client that has sent `audio.output.played`: with "
        "the part `playback`, and `heardBy` is `report`.",
        (
            _UTTERANCE,
            _TIMESTAMP,
            Field("turn", "int", "The turn's number, from 0.", required=True, low=0),
            Field(
                "outcome",
                "str",
                "What the first sound was, if there was one; `own` is a text of the server's own, "
                "such as a greeting, `filler` one that is said while the answer is waited for.",
                required=True,
                choices=get_args(Outcome),
            ),
            Field("gapMs", "float", "All parts together.", required=True, low=0),
            Field("frameworkMs", "float", "The server's own share of it.", required=True, low=0),
            Field(
                "aheadMs",
                "float",
                "How long before its time the model was asked; 0: in its time.",
                required=True,
                low=0,
            ),
            Field(
                "parts",
                "map",
                "One after the other; a part that the turn had no use for is absent.",
                required=True,
                fields=tuple(
                    Field(step.part, "float", f"{step.doc} ({step.owner})", low=0) for step in PARTS
                ),
            ),
            Field(
                "heardBy",
                "str",
                "How the end of the gap is known: the client has reported its playback; or, by the "
                "clock, the first audio is taken as heard when it left, an estimate that is too "
                "early by the way to the client and its buffer. Absent: there was no sound.",
                choices=get_args(HeardBy),
            ),
        ),
    ),
)

_ROLES = (
    Field("stt", "str", "Speech recognition."),
    Field("llm", "str", "Language model."),
    Field("tts", "str", "Speech synthesis."),
)

_SYSTEM: tuple[Event, ...] = (
    same(
        "ready",
        "s2c",
        "system.status.ready",
        "The session's providers are ready.",
        Field("providers", "map", "Who serves each role.", required=True, fields=_ROLES),
    ),
    same(
        "busy",
        "s2c",
        "system.status.busy",
        "The server is full; close 1013 follows.",
        Field("activeSessions", "int", "Sessions it has.", required=True, low=0),
        Field("maxSessions", "int", "Sessions it may have.", required=True, low=0),
    ),
    same(
        "maintenance",
        "s2c",
        "system.status.maintenance",
        "The server is about to stop; close 1001 follows.",
        _MESSAGE,
    ),
    same(
        "rate_limit_warning",
        "s2c",
        "system.notification.rate_limit_warning",
        "Too many messages; close 4429 follows if it goes on.",
        _MESSAGE,
        Field("limitPerSecond", "int", "Messages allowed per second.", required=True, low=0),
    ),
    same(
        "quota_exceeded",
        "s2c",
        "system.notification.quota_exceeded",
        "A provider's account has nothing left.",
        Field("service", "str", "Which role.", required=True, choices=("stt", "llm", "tts")),
        _MESSAGE,
    ),
)

EVENTS: Final[tuple[Event, ...]] = (
    *_CONNECTION,
    *_INPUT,
    *_OUTPUT,
    *_CONVERSATION,
    *_LATENCY,
    *_SYSTEM,
)
