"""Tokens of OpenAI's models, counted with the tables that splintr carries."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.core.test_tokens import COUNTED
from vantum.config import LlmSettings, OpenAISettings, Secret, Settings
from vantum.core.tokens import estimate_tokens
from vantum.providers.counting import encoding_of, token_counter

KEY = OpenAISettings(api_key=Secret("key"))


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4.1-2025-04-14", "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-5-nano", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("ft:gpt-4o-2024-08-06:acme", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("llama-3.1-8b", None),
        ("o11y", None),
    ],
)
def test_encodings(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding


def test_counts_are_true() -> None:
    count = token_counter(Settings(openai=KEY, llm=LlmSettings(max_context_tokens=1000)))
    assert [count(text) for text, _ in COUNTED] == [tokens for _, tokens in COUNTED]
    # What would be a control token in a prompt of our own is text in a message.
    assert count("<|endoftext|>") > 1
    assert count("a\ud800b") == count("a?b")


@pytest.mark.parametrize(
    "settings",
    [
        Settings(openai=KEY),
        Settings(llm=LlmSettings(max_context_tokens=1000)),
        Settings(openai=KEY, llm=LlmSettings(max_context_tokens=1000, model="mistral-small")),
    ],
)
def test_else_they_are_estimated(settings: Settings) -> None:
    assert token_counter(settings) is estimate_tokens


def test_without_the_extra_they_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *_: Any) -> None:
        assert name == "splintr"

    monkeypatch.setattr(importlib.util, "find_spec", find)
    settings = Settings(openai=KEY, llm=LlmSettings(max_context_tokens=1000))
    assert token_counter(settings) is estimate_tokens
