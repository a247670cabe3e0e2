"""Whether there is a phone, and what the person who starts the server is told."""

from __future__ import annotations

import importlib.util

import pytest

from tests.twilio_stream import TOKEN, TWILIO
from vantum.config import Secret, Settings, TwilioSettings
from vantum.errors import ConfigError
from vantum.telephony.phone import Phone, open_phone


def test_nothing_is_said_of_a_phone_that_nobody_wants() -> None:
    assert open_phone(Settings()) == Phone()


def test_half_a_phone_is_off_and_says_what_is_missing() -> None:
    twilio = TwilioSettings(account_sid="AC1", stream_secret=Secret("hush"))
    phone = open_phone(Settings(twilio=twilio))
    assert not phone.routes
    assert not phone.doors
    assert phone.notice == (
        "  phone off: TWILIO_ACCOUNT_SID, TWILIO_STREAM_SECRET without TWILIO_AUTH_TOKEN"
    )


def test_a_phone_says_where_it_rings() -> None:
    phone = open_phone(Settings(twilio=TWILIO))
    assert "https://voice.example.com/twilio/voice" in phone.notice
    assert TOKEN not in phone.notice
    phone = open_phone(Settings(twilio=TwilioSettings(auth_token=Secret("x"))))
    assert "where-Twilio-reaches-this/twilio/voice" in phone.notice


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"vantum\[phone\]"):
        open_phone(Settings(twilio=TWILIO))
