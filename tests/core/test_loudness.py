"""How loud the caller is, and who is too faint to be him."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.loudness import FAR_DB, Loudness

USUAL_DB = -26.0


def after(
    *frames: tuple[int, float], voice: bool = True, start: Loudness | None = None
) -> Loudness:
    """So many frames at this level each."""
    known = start or Loudness()
    for count, level_db in frames:
        for _ in range(count):
            known = known.hear(level_db, voice=voice)
    return known


CALLER = after((60, USUAL_DB))


def test_at_first_every_voice_counts() -> None:
    known = after((31, -20.0))
    assert known.usual_db is None
    assert after((6, -70.0), start=known, voice=False).is_near
    assert after((1, -20.0), start=known).usual_db == -20.0


def test_a_voice_far_below_the_usual_one_does_not_count() -> None:
    assert after((6, USUAL_DB - FAR_DB + 1), start=CALLER).is_near
    assert not after((6, USUAL_DB - FAR_DB - 1), start=CALLER).is_near


def test_between_his_syllables_the_caller_is_quiet() -> None:
    assert after((5, -60.0), start=CALLER).is_near
    assert not after((6, -60.0), start=CALLER).is_near


def test_silence_teaches_nothing() -> None:
    assert after((1000, -90.0), start=CALLER, voice=False).usual_db == CALLER.usual_db


def test_the_usual_level_is_that_of_the_louder_frames_of_the_last_seconds() -> None:
    assert after((20, -30.0), (60, -24.0)).usual_db == -24.0
    assert after((160, -35.0), start=CALLER).usual_db == -35.0


def test_who_turns_away_is_heard_again_after_a_while() -> None:
    faint_db = USUAL_DB - FAR_DB - 3.0
    known, frames = CALLER, 0
    while not known.hear(faint_db, voice=True).is_near or frames < 6:
        known, frames = known.hear(faint_db, voice=True), frames + 1
        assert frames < 400
    assert frames > 100
    # What he is forgiven is found anew, not jumped back to.
    usual_db = known.usual_db
    assert usual_db is not None
    louder = after((2, USUAL_DB), start=known)
    assert usual_db < (louder.usual_db or 0.0) < usual_db + 1


@given(
    st.lists(st.tuples(st.floats(-100, 0), st.booleans()), max_size=300),
)
def test_whoever_is_as_loud_as_usual_is_always_near(frames: list[tuple[float, bool]]) -> None:
    known = Loudness()
    for level_db, voice in frames:
        known = known.hear(level_db, voice=voice)
        usual_db = known.usual_db
        assert (usual_db is None) == (len(known.levels) < 32)
        assert usual_db is None or usual_db + known.lowered_db == pytest.approx(
            sorted(known.levels)[len(known.levels) * 3 // 4]
        )
        assert usual_db is None or math.isfinite(usual_db)
        assert known.hear(usual_db or 0.0, voice=True).is_near
