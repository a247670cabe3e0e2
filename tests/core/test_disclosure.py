"""Which openings say that an artificial voice is speaking."""

from __future__ import annotations

import pytest

from vantum.config.compliance import ComplianceSettings
from vantum.core.disclosure import discloses


@pytest.mark.parametrize(
    "text",
    [
        "Hello, this is Ada, an AI assistant. Do you have a minute?",
        "Hi, I'm an artificial intelligence calling for Acme.",
        "This is an automated call from Acme.",
        "Hi, it's Acme's virtual assistant.",
        "You're speaking with an A.I. today.",
        "Hi! I am not a person but an AI.",
        "No worries, I'm Acme's AI agent.",
        "I'm not selling anything: this is an automated assistant.",
        "Guten Tag, hier spricht eine KI von Acme.",
        "Hi, I'm Ada, your AI receptionist.",
        "Full disclosure: I'm a robot!",
        "Bonjour, je suis une intelligence artificielle.",
        ComplianceSettings().opening,
    ],
)
def test_it_is_said(text: str) -> None:
    assert discloses(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, this is Ada from Acme. Do you have a minute?",
        "I'm not a robot, promise!",
        "This isn't an automated call.",
        "This is no AI speaking, it's Ada.",
        "I'm really not an artificial voice.",
        "Hier spricht keine KI.",
        "J'ai une question pour vous.",
        "Parlo agli amici ai quali tengo.",
        "Good day, I'm calling about your main aisle.",
        "Acme sells robotics and washing machines.",
        "Hi, this is Ada from Acme AI.",
        "I'm calling about an AI product of ours.",
    ],
)
def test_it_is_not_said(text: str) -> None:
    assert not discloses(text)


def test_words_of_ones_own() -> None:
    assert discloses("Здравствуйте, это голосовой помощник.", "голосовой помощник")
    assert not discloses("Hello, this is an AI.", "голосовой помощник")
    assert not discloses("Hello", "")  # matches everywhere, and nothing
