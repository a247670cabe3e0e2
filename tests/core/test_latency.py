"""The latency ledger: parts from marks. They always add up."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from vantum.core.latency import (
    FIRST,
    OWNERS,
    PARTS,
    PATH,
    Marks,
    Part,
    Point,
    TurnLatency,
    measured,
)

POINTS: tuple[Point, ...] = (FIRST, *(step.point for step in PATH))
times = st.floats(min_value=0, max_value=1e5)


@st.composite
def some_marks(draw: st.DrawFn) -> Marks:
    """Any marks, and waits for tools one after the other."""
    edges = sorted(draw(st.lists(times, max_size=7)))
    left = Marks(draw(st.dictionaries(st.sampled_from(POINTS), times)))
    left.rounds = list(zip(edges[::2], edges[1::2], strict=False))
    left.paused_s = edges[-1] if len(edges) % 2 else None
    return left


marks = some_marks()


def on_the_way(**at_s: float) -> Marks:
    return Marks(at_s={point: at_s[point] for point in POINTS if point in at_s})


def whole() -> Marks:
    return on_the_way(
        silent=10.0,
        decided=10.4,
        flushed=10.41,
        transcript=10.55,
        request=10.551,
        token=10.951,
        words=11.2,
        piece=11.201,
        handover=11.202,
        audio=11.3,
        chunk=11.35,
        wire=11.36,
    )


def test_a_whole_turn() -> None:
    record = measured(whole(), 3, "u", "answered")
    assert record.parts_ms == {
        "endpointing": 400.0,
        "flush": 10.0,
        "transcript": 140.0,
        "request": 1.0,
        "token": 400.0,
        "words": 249.0,
        "piece": 1.0,
        "handover": 1.0,
        "audio": 98.0,
        "chunk": 50.0,
        "wire": 10.0,
    }
    assert record.gap_us == 1_360_000
    assert record.framework_us == 23_000
    assert record.owned_us("llm") == 649_000
    assert (record.turn, record.utterance_id, record.ahead_us) == (3, "u", 0)


@settings(max_examples=200, deadline=None)
@given(marks, st.none() | times)
def test_parts_add_up_to_the_way_that_was_gone(left: Marks, ended_s: float | None) -> None:
    record = measured(left, 0, "u", "answered", ended_s)
    if not left.at_s:
        assert record.parts == ()
        return
    first = next(point for point in POINTS if point in left.at_s)
    reached_s = list(left.at_s.values())
    # What was reached before the first point of the way costs nothing.
    last_us = max(round(at_s * 1e6) for at_s in [left.at_s[first], *reached_s])
    if ended_s is not None and "heard" not in left.at_s:
        last_us = max(last_us, round(ended_s * 1e6))
    assert record.gap_us == last_us - round(left.at_s[first] * 1e6)
    assert all(part.duration_us >= 0 for part in record.parts)
    assert sum(record.owned_us(owner) for owner in set(OWNERS.values())) == record.gap_us
    names = [part.name for part in record.parts]
    assert names == [step.part for step in PARTS if step.part in names], "in order, none twice"
    assert record.owned_us("tools") <= left.tools_us(0, 10**12)


def test_what_was_done_ahead_costs_nothing() -> None:
    ahead = whole()
    ahead.at_s |= {"request": 10.2, "token": 10.6, "words": 10.7, "piece": 10.7}
    record = measured(ahead, 0, "u", "answered")
    assert record.ahead_us == 350_000
    assert record.parts_ms["request"] == 0
    assert record.parts_ms["token"] == 50.0
    assert record.gap_us == 1_360_000


@pytest.mark.parametrize(
    ("last", "waited_for"),
    [
        ("silent", "endpointing"),
        ("decided", "transcript"),
        ("flushed", "transcript"),
        ("transcript", "request"),
        ("request", "token"),
        ("token", "words"),
        ("handover", "audio"),
        ("chunk", "wire"),
    ],
)
def test_a_turn_without_sound_ends_with_what_it_waited_for(last: Point, waited_for: str) -> None:
    until = whole()
    for point in POINTS[POINTS.index(last) + 1 :]:
        until.at_s.pop(point, None)
    record = measured(until, 0, "u", "cancelled", 20.0)
    assert record.parts[-1].name == waited_for
    assert record.gap_us == 10_000_000


def test_a_text_of_our_own_has_no_end_of_speech() -> None:
    record = measured(on_the_way(decided=5.0, request=5.0, audio=5.2, wire=5.2), 0, "u", "own")
    assert [part.name for part in record.parts] == ["request", "audio", "wire"]
    assert record.gap_us == 200_000


def test_the_wait_for_tools_is_not_the_models() -> None:
    left = on_the_way(request=10.0)
    left.asked(10.0)
    left.paused(10.3)
    left.asked(11.0)
    left.token(11.2)
    left.paused(11.3)
    left.asked(12.3)
    left.token(12.4)
    left.piece(2, 12.4)
    left.paused(12.5)
    left.asked(14.0)
    left.at_s["wire"] = 15.0
    record = measured(left, 0, "u", "answered")
    assert record.parts_ms == {
        "token": 500.0,
        "words": 200.0,
        "tools": 1700.0,
        "piece": 0.0,
        "wire": 2600.0,
    }
    assert record.gap_us == 5_000_000


def test_who_is_cut_off_while_tools_run_has_waited_for_them() -> None:
    left = on_the_way(request=10.0)
    left.asked(10.0)
    left.paused(10.3)
    record = measured(left, 0, "u", "cancelled", 12.0)
    assert record.parts_ms == {"token": 300.0, "tools": 1700.0}
    assert record.owned_us("tools") == 1_700_000


@pytest.mark.parametrize(
    ("marks", "heard_by"),
    [
        (whole(), "clock"),
        (Marks(at_s={**whole().at_s, "heard": 11.5}), "report"),
        (on_the_way(silent=10.0, request=10.2), None),
    ],
)
def test_it_says_how_the_end_of_the_gap_is_known(marks: Marks, heard_by: str | None) -> None:
    record = measured(marks, 0, "u", "answered")
    assert record.heard_by == heard_by
    assert ("playback" in record.parts_ms) == (heard_by == "report")


def test_nothing_is_known_of_a_turn_without_marks() -> None:
    assert measured(Marks(), 0, "u", "failed", 3.0) == TurnLatency(0, "u", "failed")


def test_the_first_mark_stands() -> None:
    left = Marks()
    left.mark("request", 1.0)
    left.mark("request", 2.0)
    assert left.at_s == {"request": 1.0}


def test_the_token_that_made_the_piece_is_found_by_counting() -> None:
    left = Marks()
    for at_s in (1.0, 1.1, 1.2, 1.3):
        left.token(at_s)
    left.piece(3, 1.35)
    left.token(1.4)
    left.piece(4, 1.5)
    assert left.at_s == {"token": 1.0, "words": 1.2, "piece": 1.35}
    assert left.tokens == [1.0, 1.1, 1.2, 1.3], "none is kept once it does not matter"


@pytest.mark.parametrize("tokens", [0, 1])
def test_a_piece_that_no_token_made_came_when_it_came(tokens: int) -> None:
    left = Marks()
    left.piece(tokens, 2.0)
    assert left.at_s == {"words": 2.0, "piece": 2.0}


def test_the_audio_that_filled_the_chunk_is_found_by_counting() -> None:
    left = Marks()
    left.audio(1.0)
    left.audio(1.1)
    left.chunk(2, 1.2)
    left.audio(1.3)
    left.chunk(3, 1.4)
    assert left.at_s == {"audio": 1.0, "chunk": 1.1}
    assert left.audios == [1.0, 1.1]


def test_a_part_says_whose_it_is() -> None:
    record = measured(whole(), 0, "u", "answered")
    assert Part("audio", "tts", 98_000) in record.parts
