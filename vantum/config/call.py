"""Settings of the server and of a call, whichever providers serve it."""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

from vantum.config.base import Secret, setting

#: Nobody waits for an answer behind so many; a queue without an end is memory for whoever wants it.
_MOST_WAITING: Final = 1000


@frozen
class ServerSettings:
    """Where the server listens and what it admits."""

    host: str = setting("127.0.0.1", "Address to listen on.", env="HOST", form="nonempty")
    port: int = setting(3001, "Port; 0 takes a free one.", env="PORT", low=0, high=65535)
    workers: int = setting(
        1,
        "Processes that serve the port together (Linux); 0: as many as cores.",
        env="WORKERS",
        low=0,
        high=256,
    )
    max_sessions: int = setting(
        1000,
        "Sessions at the same time, of all workers together; one more is told to come back.",
        env="MAX_SESSIONS",
        low=1,
        high=1_000_000,
    )
    max_message_bytes: int = setting(
        1_048_576,
        "Largest WebSocket message; a larger one closes with 1009.",
        env="MAX_MESSAGE_BYTES",
        low=1024,
        high=67_108_864,
    )
    messages_per_s: int = setting(
        100,
        "Messages a connection may send per second; what came late may be made up for within 10 s.",
        env="MESSAGES_PER_SECOND",
        low=1,
        high=100_000,
    )
    handshake_timeout_ms: int = setting(
        10_000,
        "From accept to the end of the WebSocket handshake or of an HTTP request's head, and to "
        "each next part of its body; all of that may take six times as long.",
        env="HANDSHAKE_TIMEOUT",
        low=100,
        high=120_000,
    )
    send_timeout_ms: int = setting(
        5_000,
        "A client that takes longer to read one message is closed.",
        env="SEND_TIMEOUT",
        low=100,
        high=120_000,
    )
    ping_interval_ms: int = setting(
        20_000, "WebSocket keep-alive ping; 0 sends none.", env="PING_INTERVAL", low=0, high=600_000
    )
    ping_timeout_ms: int = setting(
        20_000,
        "A ping without its pong in this time closes the connection.",
        env="PING_TIMEOUT",
        low=100,
        high=600_000,
    )
    grace_ms: int = setting(
        10_000,
        "At shutdown, how long a response in progress may take to finish.",
        env="SHUTDOWN_GRACE",
        low=0,
        high=600_000,
    )
    auth_tokens: Secret = setting(
        Secret(""),
        "Comma-separated tokens, one of which a client must bring "
        "(`Authorization: Bearer …` or `?token=…`); empty: no authentication.",
        env="AUTH_TOKENS",
        form="tokens",
    )
    api_tokens: Secret = setting(
        Secret(""),
        "Comma-separated tokens, one of which a request to the HTTP API (`/v1`) must bring "
        "(`Authorization: Bearer …`); empty: the API answers 403.",
        env="API_TOKENS",
        form="tokens",
    )


@frozen
class SessionSettings:
    """How long a session lasts and how much it queues."""

    idle_timeout_ms: int = setting(
        1_800_000,
        "A session whose client sends nothing, or nothing but heartbeats, for so long ends.",
        env="LLM_SESSION_IDLE_TIMEOUT",
        low=1000,
        high=86_400_000,
    )
    max_duration_ms: int = setting(
        7_200_000, "Longest session.", env="LLM_SESSION_MAX_DURATION", low=1000, high=86_400_000
    )
    max_queue_size: int = setting(
        10,
        f"Finished user turns that may wait while a response is running; 0: {_MOST_WAITING}.",
        env="LLM_MAX_QUEUE_SIZE",
        low=0,
        high=_MOST_WAITING,
    )
    input_buffer_ms: int = setting(
        2_000,
        "Audio that may wait for the recogniser; beyond it the oldest is dropped and counted.",
        env="AUDIO_INPUT_BUFFER",
        low=200,
        high=60_000,
    )

    @property
    def queue_size(self) -> int:
        """`max_queue_size` in effect."""
        return self.max_queue_size or _MOST_WAITING


@frozen
class PlayoutSettings:
    """How audio leaves."""

    lead_ms: int = setting(
        200,
        "Audio is sent at most so far ahead of real time.",
        env="PLAYOUT_LEAD",
        low=20,
        high=5000,
    )
    chunk_ms: int = setting(
        100, "Length of an audio chunk to the client.", env="PLAYOUT_CHUNK", low=10, high=1000
    )


@frozen
class StreamingSettings:
    """How a streamed answer is cut into speakable pieces. Only in the file."""

    break_marker: str = setting("||BREAK||", "Where the model wants a pause.", form="marker")
    min_chunk_words: int = setting(
        5, "A shorter piece joins the next one (not the first, not the last).", low=0, high=100
    )
    max_chunk_words: int = setting(50, "Longest piece in words.", low=1, high=500)
    max_chunk_chars: int = setting(300, "Longest piece in characters.", low=20, high=5000)
    max_buffer_size: int = setting(
        400, "Text held back before a piece is cut by force.", low=20, high=10_000
    )
    fallback_mode: Literal["sentence", "complete"] = setting(
        "sentence",
        "Without a marker: cut at sentence ends, or wait for the whole answer (up to the limits).",
        choices=("sentence", "complete"),
    )


@frozen
class SttSettings:
    """Speech recognition."""

    provider: str = setting(
        "auto",
        "`auto`: Deepgram if DEEPGRAM_API_KEY is set, else local.",
        env="STT_PROVIDER",
        choices=("auto", "deepgram", "local"),
    )
    ready_timeout_ms: int = setting(
        15_000,
        "How long a session's recogniser may take to become ready.",
        env="STT_READY_TIMEOUT",
        low=100,
        high=120_000,
    )
    flush_timeout_ms: int = setting(
        2_000,
        "At the end of a turn, how long to wait for the last words.",
        env="STT_FLUSH_TIMEOUT",
        low=50,
        high=30_000,
    )


@frozen
class LlmSettings:
    """The language model, whichever provider serves it."""

    provider: str = setting(
        "auto",
        "`auto`: OpenAI if OPENAI_API_KEY is set, else local.",
        env="LLM_PROVIDER",
        choices=("auto", "openai", "local"),
    )
    model: str = setting(
        "gpt-4.1-2025-04-14",
        "Model of the OpenAI provider. OpenAI shuts the default down on 14 January 2027: set "
        "another before.",
        env="LLM_MODEL",
        form="nonempty",
    )
    reasoning_effort: str = setting(
        "auto",
        "How long a model that reasons does so before it speaks; while it does, the caller hears "
        "nothing. `auto`: as the model has it, or `none` if it takes tools only so.",
        env="LLM_REASONING_EFFORT",
        choices=("auto", "none", "minimal", "low", "medium", "high", "xhigh", "max"),
    )
    temperature: float = setting(0.7, "Sampling temperature.", env="LLM_TEMPERATURE", low=0, high=2)
    max_tokens: int = setting(
        500, "Longest answer in tokens.", env="LLM_MAX_TOKENS", low=1, high=4096
    )
    top_p: float = setting(1.0, "Nucleus sampling.", env="LLM_TOP_P", low=0, high=1)
    frequency_penalty: float = setting(
        0.0, "Frequency penalty.", env="LLM_FREQUENCY_PENALTY", low=-2, high=2
    )
    presence_penalty: float = setting(
        0.0, "Presence penalty.", env="LLM_PRESENCE_PENALTY", low=-2, high=2
    )
    request_timeout_ms: int = setting(
        30_000,
        "From the request to the first token.",
        env="LLM_REQUEST_TIMEOUT",
        low=100,
        high=600_000,
    )
    token_timeout_ms: int = setting(
        10_000, "From one token to the next.", env="LLM_TOKEN_TIMEOUT", low=100, high=600_000
    )
    streaming_timeout_ms: int = setting(
        60_000,
        "From the request to the last token.",
        env="LLM_STREAMING_TIMEOUT",
        low=100,
        high=3_600_000,
    )
    max_retries: int = setting(
        0,
        "Further attempts, only before anything was spoken.",
        env="LLM_MAX_RETRIES",
        low=0,
        high=10,
    )
    filler_after_ms: int = setting(
        3_000,
        "When the model takes longer, and nothing is being said for so long, a filler is spoken; "
        "0: never.",
        env="LLM_FILLER_AFTER",
        low=0,
        high=600_000,
    )
    filler_again_ms: int = setting(
        8_000,
        "Silence behind a filler after which there is another; 0: never.",
        env="LLM_FILLER_AGAIN",
        low=0,
        high=600_000,
    )
    fillers: str = setting(
        "One moment, please.|Just a second, please.|I'll be right with you.",
        "What is said then, one after the other, divided by bars; never the same twice in a row.",
        env="LLM_FILLERS",
    )
    max_messages: int = setting(
        50,
        "Messages of the conversation in the model's context; 0: all.",
        env="LLM_MAX_MESSAGES",
        low=0,
        high=100_000,
    )
    max_context_tokens: int = setting(
        0,
        "Tokens of the model's context, system prompt included; 0: no limit. Counted exactly for "
        "OpenAI's models with the extra `tokens`, else estimated.",
        env="LLM_MAX_CONTEXT_TOKENS",
        low=0,
        high=10_000_000,
    )
    summary: Literal["auto", "off"] = setting(
        "auto",
        "What falls out of the context is summarised by the model in the background; `auto`: "
        "unless that is the embedded SmolLM2, which cannot.",
        env="LLM_SUMMARY",
        choices=("auto", "off"),
    )
    summary_timeout_ms: int = setting(
        30_000,
        "A summary that takes longer is given up.",
        env="LLM_SUMMARY_TIMEOUT",
        low=1000,
        high=600_000,
    )
    fallback_tier1: str = setting(
        "I apologize, can you repeat that?",
        "Said at the first failure in a row.",
        env="LLM_FALLBACK_TIER1",
        form="spoken",
    )
    fallback_tier2: str = setting(
        "I'm experiencing technical difficulties. Please hold.",
        "Said at the second.",
        env="LLM_FALLBACK_TIER2",
        form="spoken",
    )
    fallback_tier3: str = setting(
        "I apologize, I'm having connection issues. I'll have someone call you back.",
        "Said from the third on.",
        env="LLM_FALLBACK_TIER3",
        form="spoken",
    )
    system_prompt: str = setting(
        "",
        "Replaces the built-in sales prompt; may hold variables such as `{{prospect.name}}`.",
        env="LLM_SYSTEM_PROMPT",
    )

    @property
    def filler_texts(self) -> tuple[str, ...]:
        """In order; those that have words."""
        parts = (part.strip() for part in self.fillers.split("|"))
        return tuple(text for text in parts if any(map(str.isalnum, text)))


@frozen
class TtsSettings:
    """Speech synthesis."""

    provider: str = setting(
        "auto",
        "`auto`: Cartesia if CARTESIA_API_KEY is set, else local.",
        env="TTS_PROVIDER",
        choices=("auto", "cartesia", "local"),
    )
    ready_timeout_ms: int = setting(
        15_000,
        "How long a session's synthesiser may take to become ready.",
        env="TTS_READY_TIMEOUT",
        low=100,
        high=120_000,
    )
    audio_timeout_ms: int = setting(
        10_000,
        "From a piece of text to its first audio, and between two stretches of audio.",
        env="TTS_AUDIO_TIMEOUT",
        low=100,
        high=120_000,
    )


@frozen
class LogSettings:
    """Logs, on standard error."""

    level: str = setting(
        "info",
        "Lowest level that is written.",
        env="LOG_LEVEL",
        choices=("debug", "info", "warning", "error"),
    )
    format: str = setting(
        "auto",
        "`auto`: coloured lines on a terminal, else JSON.",
        env="LOG_FORMAT",
        choices=("auto", "console", "json"),
    )
