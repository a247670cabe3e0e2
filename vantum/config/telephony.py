"""Settings of the phone: calls that come through Twilio."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from vantum.config.base import Secret, setting


@frozen
class TwilioSettings:
    """Phone calls through Twilio. Without an auth token there is no phone, and no route for it."""

    account_sid: str = setting(
        "",
        "The account (`AC…`) whose calls are taken; empty: any that the auth token belongs to.",
        env="TWILIO_ACCOUNT_SID",
    )
    auth_token: Secret = setting(
        Secret(""),
        "The account's auth token, by which Twilio signs its requests.",
        env="TWILIO_AUTH_TOKEN",
    )
    public_url: str = setting(
        "",
        "Where Twilio reaches this server, such as `https://voice.example.com`: signatures are "
        "checked against it and calls are sent there. Empty: what the request says.",
        env="TWILIO_PUBLIC_URL",
        form="url",
    )
    trust_proxy: bool = setting(
        False,
        "Without a public URL: believe `X-Forwarded-Proto` and `X-Forwarded-Host`. Only behind a "
        "proxy that sets them itself.",
        env="TWILIO_TRUST_PROXY",
    )
    stream_secret: Secret = setting(
        Secret(""),
        "What the tokens of media streams are signed with; empty: derived from the auth token.",
        env="TWILIO_STREAM_SECRET",
    )
    token_lifetime_ms: int = setting(
        60_000,
        "From the answer to a call until its media stream must have begun.",
        env="TWILIO_TOKEN_LIFETIME",
        low=1_000,
        high=600_000,
    )
    busy: Literal["say", "reject"] = setting(
        "say",
        "What a caller gets when the server is full: `say`: `busy_text`, at the price of an "
        "answered call; `reject`: the busy tone.",
        env="TWILIO_BUSY",
        choices=("say", "reject"),
    )
    busy_text: str = setting(
        "I'm sorry, all our lines are busy. Please call again in a few minutes.",
        "Said by Twilio's own voice when the server is full.",
        env="TWILIO_BUSY_TEXT",
        form="spoken",
    )
    closing_text: str = setting(
        "",
        "Said by Twilio's own voice to a call that comes back after its stream is over; empty: it "
        "is hung up.",
        env="TWILIO_CLOSING_TEXT",
    )
    from_number: str = setting(
        "",
        "The account's number that outbound calls come from, such as `+12125550123`.",
        env="TWILIO_FROM_NUMBER",
        also="TWILIO_PHONE_NUMBER",
        form="number",
    )
    api_key: str = setting(
        "",
        "An API key (`SK…`) for placing and ending calls, instead of the auth token; with "
        "`api_secret`.",
        env="TWILIO_API_KEY",
    )
    api_secret: Secret = setting(Secret(""), "The API key's secret.", env="TWILIO_API_SECRET")
    base_url: str = setting(
        "https://api.twilio.com",
        "Where Twilio's REST API is.",
        env="TWILIO_BASE_URL",
        form="url",
    )
    rest_timeout_ms: int = setting(
        10_000,
        "An answer of the REST API must be there after so long, further attempts included.",
        env="TWILIO_REST_TIMEOUT",
        low=1_000,
        high=120_000,
    )
    max_lines: int = setting(
        0,
        "Phone calls at once, in both directions; 0: as many as `server.max_sessions`.",
        env="TWILIO_MAX_LINES",
        low=0,
        high=100_000,
    )
    ring_timeout_ms: int = setting(
        30_000,
        "An outbound call rings for so long; whole seconds.",
        env="TWILIO_RING_TIMEOUT",
        low=5_000,
        high=600_000,
    )
    max_call_ms: int = setting(
        3_600_000,
        "The longest phone call, from its answer; whole seconds.",
        env="TWILIO_MAX_CALL",
        low=10_000,
        high=14_400_000,
    )
    machine_detection: bool = setting(
        True,
        "Have Twilio find out, while the call goes on, whether a person or a machine has answered "
        "an outbound call (it charges for that).",
        env="TWILIO_MACHINE_DETECTION",
    )
    voicemail_text: str = setting(
        "",
        "Left on an answering machine, after its beep, in the agent's voice; empty: the call is "
        "hung up as soon as it is known to be a machine.",
        env="TWILIO_VOICEMAIL_TEXT",
    )
    unknown_answer: Literal["talk", "hang_up"] = setting(
        "talk",
        "When machine detection cannot tell what has answered.",
        env="TWILIO_UNKNOWN_ANSWER",
        choices=("talk", "hang_up"),
    )
    language: str = setting(
        "en-US", "Language of the callers.", env="TWILIO_LANGUAGE", form="nonempty"
    )
    chunk_ms: int = setting(
        100,
        "Speech that leaves at a time, in frames of 20 ms with one mark behind them.",
        env="TWILIO_CHUNK",
        low=20,
        high=1000,
    )
    lead_ms: int = setting(
        200,
        "Speech is sent at most so far ahead of real time.",
        env="TWILIO_LEAD",
        low=20,
        high=5000,
    )
