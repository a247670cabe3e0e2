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
