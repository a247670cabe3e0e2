"""Text without halves of surrogate pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vantum.core.sendable import sendable


@given(st.text())
def test_whole_text_is_the_same(text: str) -> None:
    assert sendable(text) == text


@given(st.text(st.characters(categories=("Cs", "Lu", "So"))))
def test_any_text_can_be_sent(text: str) -> None:
    assert sendable(text).encode().decode() == sendable(text)


def test_halves_that_belong_together_become_one() -> None:
    assert sendable("\ud83d\ude42 caf\udce9") == "🙂 caf\ufffd"
