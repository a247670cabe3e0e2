"""Who serves each role, and why."""

from __future__ import annotations

import pytest

from vantum.config.choices import provider_choices
from vantum.config.load import load_settings
from vantum.errors import ConfigError


def test_without_keys_all_is_local() -> None:
    assert provider_choices(load_settings({}, None).settings) == {
        "stt": ("local", "no DEEPGRAM_API_KEY"),
        "llm": ("local", "no OPENAI_API_KEY"),
        "tts": ("local", "no CARTESIA_API_KEY"),
    }


def test_a_key_chooses_its_provider() -> None:
    env = {"DEEPGRAM_API_KEY": "a", "OPENAI_API_KEY": "b", "CARTESIA_API_KEY": "c"}
    assert provider_choices(load_settings(env, None).settings) == {
        "stt": ("deepgram", "DEEPGRAM_API_KEY is set"),
        "llm": ("openai", "OPENAI_API_KEY is set"),
        "tts": ("cartesia", "CARTESIA_API_KEY is set"),
    }


def test_a_choice_holds_over_a_key() -> None:
    env = {"DEEPGRAM_API_KEY": "a", "STT_PROVIDER": "local", "TTS_PROVIDER": "cartesia"}
    loaded = load_settings(env | {"CARTESIA_API_KEY": "c"}, None)
    assert provider_choices(loaded.settings) == {
        "stt": ("local", "stt.provider = local"),
        "llm": ("local", "no OPENAI_API_KEY"),
        "tts": ("cartesia", "tts.provider = cartesia"),
    }
    told = provider_choices(loaded.settings, loaded.origins)
    assert told["tts"].reason == "tts.provider = cartesia (environment TTS_PROVIDER)"


def test_a_key_from_elsewhere_is_told() -> None:
    loaded = load_settings({}, None, {"openai.api_key": "b"})
    origins = loaded.origins | {"openai.api_key": "file vantum.toml"}
    told = provider_choices(loaded.settings, origins)
    assert told["llm"] == ("openai", "api_key is set in the file vantum.toml")


@pytest.mark.parametrize(
    ("role", "provider"), [("stt", "deepgram"), ("llm", "openai"), ("tts", "cartesia")]
)
def test_a_chosen_provider_needs_its_key(role: str, provider: str) -> None:
    key = f"{provider.upper()}_API_KEY"
    settings = load_settings({}, None, {f"{role}.provider": provider}).settings
    with pytest.raises(ConfigError, match=f"{role}.provider={provider} needs a key: set {key}"):
        provider_choices(settings)
