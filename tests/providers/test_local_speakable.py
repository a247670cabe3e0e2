"""Text as it should be read aloud."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.providers.local.speakable import speakable


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hi, this is Alex.", "Hi, this is Alex."),
        ("It costs $99.50, or 12.5% more.", "It costs $99.50, or 12.5% more."),
        ("We are here 24/7.", "We are here twenty-four seven."),
        ("Write to john.smith@example.com.", "Write to john dot smith at example dot com."),
        ("a_b@c-d.io", "a underscore b at c dash d dot IO"),
        ("See www.vantum.ai/demo for more.", "See vantum dot AI slash demo for more."),
        ("Go to https://vantum.io. Now.", "Go to vantum dot IO. Now."),
        ("wss://localhost", "localhost"),
        ("Call 1-800-555-0199.", "Call 1, 8 0 0, 5 5 5, 0 1 9 9."),
        ("(415) 555-2671", "4 1 5, 5 5 5, 2 6 7 1"),
        ("+1 415 555 2671", "plus 1, 4 1 5, 5 5 5, 2 6 7 1"),
        ("10:00-11:30", "10:00 to 11:30"),
        ("10%–15%", "10% to 15%"),
        ("50k calls/month", "50 thousand calls per month"),
        ("$5/user/mo", "$5 per user per month"),
        ("1.2M users, 3x as many", "1.2 million users, 3 times as many"),
        ("$50k", "$50k"),
        ("and/or he/she TCP/IP", "and or he or she TCP IP"),
        ("5/8 of it", "5/8 of it"),
        ("||BREAK||", ""),
        ("Hi ||BREAK|| there | you", "Hi there you"),
        ("😀 Great!", "Great!"),
        ("naïve café – yes", "naïve café – yes"),
        ("[laughs] Sure.", "Sure."),
        ("Привет 你好", ""),
        ("...", ""),
    ],
)
def test_reading(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_nothing_that_would_be_read_as_noise_is_left(text: str) -> None:
    spoken = speakable(text)
    assert "|" not in spoken
    assert "://" not in spoken
    assert spoken == " ".join(spoken.split())
    assert not spoken or any(c.isalnum() for c in spoken)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["Yes,", "we", "call", "many", "prospects.", "It's", "fine!"])))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    assert speakable(" ".join(words)) == " ".join(words)
