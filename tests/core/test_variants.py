"""Which variant of the prompt a call gets."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.variants import PromptVariant, choose_variant


def test_without_variants_there_is_none() -> None:
    assert choose_variant((), "id") is None
    assert choose_variant((PromptVariant("a", 0),), "id") is None


def test_the_same_call_gets_the_same_variant() -> None:
    variants = [PromptVariant(name) for name in "abc"]
    chosen = [choose_variant(variants, f"session-{n}") for n in range(20)]
    assert chosen == [choose_variant(tuple(variants), f"session-{n}") for n in range(20)]
    # Written down: another process, another day, the same choice.
    assert "".join(variant.name for variant in chosen if variant) == "abbcccbcabcbcbbbbcba"


def test_weights_are_shares() -> None:
    variants = (PromptVariant("a", 1), PromptVariant("off", 0), PromptVariant("b", 3))
    counts = Counter(v.name for n in range(4000) if (v := choose_variant(variants, f"{n}")))
    assert counts["off"] == 0
    assert counts["a"] == pytest.approx(1000, abs=120)


@settings(max_examples=100)
@given(st.lists(st.floats(0, 1e9) | st.just(0.0), min_size=1, max_size=6), st.text(max_size=40))
def test_one_with_weight_is_always_chosen(weights: list[float], session_id: str) -> None:
    variants = [PromptVariant(f"{n}", weight) for n, weight in enumerate(weights)]
    chosen = choose_variant(variants, session_id)
    if any(weights):
        assert chosen is not None
        assert chosen.weight > 0
    else:
        assert chosen is None
