"""Settings of single providers."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import frozen

from vantum.config.base import Secret, setting


@frozen
class DeepgramSettings:
    """Deepgram live recognition."""

    api_key: Secret = setting(Secret(""), "Key of your Deepgram project.", env="DEEPGRAM_API_KEY")
    base_url: str = setting(
        "wss://api.deepgram.com",
        "Address; http(s) and ws(s) are the same.",
        env="DEEPGRAM_BASE_URL",
        form="url",
    )
    model: str = setting("nova-2", "Model.", env="DEEPGRAM_MODEL", form="nonempty")
    phone_encoding: str = setting(
        "mulaw",
        "What it is sent of a phone call: mu-law at 8 kHz as it comes, or linear16 at 16 kHz.",
        env="DEEPGRAM_PHONE_ENCODING",
        choices=("mulaw", "linear16"),
    )
    endpointing_ms: int = setting(
        300,
        "Silence after which Deepgram sets speech_final; 0 turns it off.",
        env="DEEPGRAM_ENDPOINTING",
        low=0,
        high=5000,
    )
    utterance_end_ms: int = setting(
        1000,
        "Gap between words after which it sends UtteranceEnd (its minimum is 1000).",
        env="DEEPGRAM_UTTERANCE_END",
        low=1000,
        high=5000,
    )
    keepalive_ms: int = setting(
        4_000,
        "KeepAlive after so much silence on the wire (it closes after 10 s).",
        env="DEEPGRAM_KEEPALIVE",
        low=500,
        high=9000,
    )
    connect_timeout_ms: int = setting(
        5_000, "One attempt to connect.", env="DEEPGRAM_CONNECT_TIMEOUT", low=100, high=60_000
    )
    finalize_timeout_ms: int = setting(
        1_000,
        "How long an answer to Finalize may take; it may be none if nothing is buffered.",
        env="DEEPGRAM_FINALIZE_TIMEOUT",
        low=50,
        high=10_000,
    )
    ring_s: float = setting(
        10.0,
        "Audio kept for replay while the connection is lost.",
        env="DEEPGRAM_RING",
        low=1,
        high=120,
    )


@frozen
class OpenAISettings:
    """OpenAI, or any server that speaks its chat completions."""

    api_key: Secret = setting(Secret(""), "Key.", env="OPENAI_API_KEY")
    organization: str = setting("", "Organization id.", env="OPENAI_ORGANIZATION", form="header")
    base_url: str = setting(
        "https://api.openai.com/v1", "Address with its `/v1`.", env="OPENAI_BASE_URL", form="url"
    )


@frozen
class CartesiaSettings:
    """Cartesia synthesis."""

    api_key: Secret = setting(Secret(""), "Key.", env="CARTESIA_API_KEY")
    base_url: str = setting(
        "wss://api.cartesia.ai",
        "Address; http(s) and ws(s) are the same.",
        env="CARTESIA_BASE_URL",
        form="url",
    )
    version: str = setting("2026-08-14", "API version.", env="CARTESIA_VERSION", form="nonempty")
    model: str = setting("sonic-3.5", "Model.", env="CARTESIA_MODEL", form="nonempty")
    voice_id: str = setting(
        "c961b81c-a935-4c17-bfb3-ba2239de8c2f",
        "Voice: Kyle; Tessa is 6ccbfb76-1fc6-48f7-b71d-91ac6298247b.",
        env="CARTESIA_VOICE_ID",
        form="nonempty",
    )
    connect_timeout_ms: int = setting(
        5_000, "One attempt to connect.", env="CARTESIA_CONNECT_TIMEOUT", low=100, high=60_000
    )
    renew_ms: int = setting(
        240_000,
        "An idle connection is replaced after this (Cartesia closes it after 300000).",
        env="CARTESIA_RENEW",
        low=1000,
        high=290_000,
    )


@frozen
class LocalSettings:
    """The embedded providers."""

    threads: int = setting(
        0, "Worker threads; 0: as many as cores.", env="LOCAL_THREADS", low=0, high=256
    )
    models_dir: str = setting(
        "", "Where the weights are; empty: the user's cache directory.", env="VANTUM_MODELS_DIR"
    )
    llm_model_path: str = setting(
        "",
        "Another GGUF chat model for the embedded model; empty: SmolLM2-135M-Instruct.",
        env="LOCAL_LLM_MODEL",
    )
    silence_ms: int = setting(
        500,
        "Silence after which the embedded recogniser ends an utterance.",
        env="LOCAL_SILENCE",
        low=100,
        high=5000,
    )
    interim_ms: int = setting(
        500, "How often it gives an interim transcript.", env="LOCAL_INTERIM", low=100, high=5000
    )


def is_openai(base_url: str) -> bool:
    """Whether this is OpenAI's own address, and not another server with its protocol."""
    return urlsplit(base_url).hostname == "api.openai.com"
