"""Tokens of media streams: good once, for one call, for a while."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from vantum.telephony import tokens as module
from vantum.telephony.tokens import CallData, StreamTokens, TokenRefused

CALL = CallData("CA1", "AC1", "+15550100", "+15550199")


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def some_tokens(clock: Clock | None = None, secret: str = "secret") -> StreamTokens:
    numbers = itertools.count()
    return StreamTokens(secret, 60.0, clock or Clock(), nonce=lambda: f"n{next(numbers)}")


def test_a_token_is_good_for_its_call_once() -> None:
    tokens = some_tokens()
    token = tokens.issue(CALL)
    assert not tokens.was_opened("CA1")
    tokens.redeem(token, CALL)
    assert tokens.was_opened("CA1")
    with pytest.raises(TokenRefused, match="has had its stream"):
        tokens.redeem(token, CALL)


def test_a_second_token_of_the_same_call_is_refused_after_its_stream() -> None:
    tokens = some_tokens()
    first, second = tokens.issue(CALL), tokens.issue(CALL)
    assert first != second
    tokens.redeem(second, CALL)
    with pytest.raises(TokenRefused, match="has had its stream"):
        tokens.redeem(first, CALL)


def test_a_token_expires() -> None:
    clock = Clock()
    tokens = some_tokens(clock)
    early, late = tokens.issue(CALL), tokens.issue(attrs.evolve(CALL, call_sid="CA2"))
    clock.now_s += 60
    tokens.redeem(early, CALL)
    clock.now_s += 1
    with pytest.raises(TokenRefused, match="expired"):
        tokens.redeem(late, attrs.evolve(CALL, call_sid="CA2"))


@pytest.mark.parametrize("field", ["call_sid", "account_sid", "caller", "called", "stream_number"])
def test_a_token_is_bound_to_all_that_is_known_of_the_call(field: str) -> None:
    tokens = some_tokens()
    token = tokens.issue(CALL)
    other: Any = 2 if field == "stream_number" else "other"
    with pytest.raises(TokenRefused, match="not of this call"):
        tokens.redeem(token, attrs.evolve(CALL, **{field: other}))


def test_a_call_that_comes_back_has_one_more_stream() -> None:
    tokens = some_tokens()
    back = attrs.evolve(CALL, stream_number=2)
    first, one, another = tokens.issue(CALL), tokens.issue(back), tokens.issue(back)
    tokens.redeem(first, CALL)
    with pytest.raises(TokenRefused, match="not of this call"):
        tokens.redeem(first, back)
    tokens.redeem(one, back)
    with pytest.raises(TokenRefused, match="has had its stream"):
        tokens.redeem(another, back)


def test_another_secret_signs_other_tokens() -> None:
    with pytest.raises(TokenRefused):
        some_tokens().redeem(some_tokens(secret="other").issue(CALL), CALL)


@settings(max_examples=100)
@given(st.integers(0, 200), st.characters(codec="utf-8"))
def test_a_token_with_one_character_changed_is_none(at: int, char: str) -> None:
    tokens = some_tokens()
    token = tokens.issue(CALL)
    at %= len(token)
    changed = token[:at] + char + token[at + 1 :]
    if changed != token:
        with pytest.raises(TokenRefused):
            tokens.redeem(changed, CALL)


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(TokenRefused):
        some_tokens().redeem(text, CALL)


def test_memory_is_bounded_but_no_token_that_could_be_shown_again_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    clock = Clock()
    tokens = some_tokens(clock)
    calls = [attrs.evolve(CALL, call_sid=f"CA{n}") for n in range(6)]
    for call in calls[:5]:
        clock.now_s += 10
        tokens.redeem(tokens.issue(call), call)
    assert all(tokens.was_opened(call.call_sid) for call in calls[:5])
    clock.now_s += 61
    tokens.redeem(tokens.issue(calls[5]), calls[5])
    assert [tokens.was_opened(call.call_sid) for call in calls] == [False] * 3 + [True] * 3


def test_nothing_of_it_prints() -> None:
    tokens = some_tokens(secret="very-secret")
    tokens.redeem(tokens.issue(CALL), CALL)
    assert "very-secret" not in repr(tokens)
