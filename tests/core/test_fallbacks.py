"""The three fallback texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.fallbacks import FallbackTiers

TIERS = FallbackTiers("Pardon?", "One moment.", "We will call you back.")


def test_the_tiers_follow_each_other() -> None:
    assert TIERS.after(1) == (1, "Pardon?")
    assert TIERS.after(2) == (2, "One moment.")
    assert TIERS.after(3) == (3, "We will call you back.")


@settings(max_examples=20)
@given(st.integers(min_value=3))
def test_the_last_tier_stays(failures: int) -> None:
    assert TIERS.after(failures) == (3, TIERS.tier3)


@pytest.mark.parametrize("failures", [0, -1])
def test_without_a_failure_there_is_no_fallback(failures: int) -> None:
    with pytest.raises(ValueError, match="at least 1 failure"):
        TIERS.after(failures)


@pytest.mark.parametrize("text", ["", "  ", "..."])
def test_a_text_that_cannot_be_spoken_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tier2 must have words"):
        FallbackTiers("a", text, "c")
