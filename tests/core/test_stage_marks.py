"""Stage markers are taken out of the text, wherever they are and however it is split."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.stage_marks import StageMarks, strip_stage_marks, without_unfinished_mark


@pytest.mark.parametrize(
    ("text", "spoken", "names"),
    [
        ("", "", []),
        ("Hello there.", "Hello there.", []),
        ("[[stage:pitch]] We do this.", " We do this.", ["pitch"]),
        ("Sure. [[stage:pitch]]We do.", "Sure. We do.", ["pitch"]),
        ("[[Stage : Pitch ]] Hi", " Hi", ["Pitch"]),
        ("[stage=close] Hi", " Hi", ["close"]),
        ("[[stage:close] Hi", " Hi", ["close"]),
        ("[[stage:a]][[stage:b]]", "", ["a", "b"]),
        ("Hi [[stage:close", "Hi ", []),
        ("Hi [[st", "Hi ", []),
        ("Hi [stage:", "Hi ", []),
        ("Hi [stage", "Hi [stage", []),
        ("Hi [", "Hi [", []),
        ("Hi [[", "Hi ", []),
        ("Hi [[stage:close]", "Hi ", ["close"]),
        ("[laughs] [[1]] [stager:x]", "[laughs] [[1]] [stager:x]", []),
        ("[[[stage:a]]", "[", ["a"]),
        (f"[[stage:{'x' * 41}]]", f"[[stage:{'x' * 41}]]", []),
    ],
)
def test_markers(text: str, spoken: str, names: list[str]) -> None:
    marks = StageMarks()
    assert marks.feed(text, final=True) == spoken
    assert marks.names == names
    assert strip_stage_marks(text) == spoken


def test_what_cannot_become_one_is_not_held_back() -> None:
    marks = StageMarks()
    assert marks.feed("Hello ") == "Hello "
    assert marks.feed("[[sta") == ""
    assert marks.feed("ff]]!") == "[[staff]]!"
    assert marks.feed("[[stage:pitch]]") == ""
    assert marks.names == ["pitch"]
    assert marks.feed(" Go") == " Go"


TEXTS = st.lists(
    st.sampled_from(
        ["[", "[[", "]", "]]", "stage", "STAGE", ":", "=", " ", "\n", "pitch", "s", "st", "Hi. "]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=200)
@given(TEXTS, st.data())
def test_how_it_is_split_makes_no_difference(text: str, data: st.DataObject) -> None:
    whole, split = StageMarks(), StageMarks()
    expected = whole.feed(text, final=True)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    spoken = ""
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        spoken += split.feed(text[begin:end])
    spoken += split.feed("", final=True)
    assert (spoken, split.names) == (expected, whole.names)
    assert all(len(name) <= 40 for name in split.names)


@pytest.mark.parametrize("cut", range(2, len("[[stage:pitch]")))
def test_an_unfinished_marker_at_the_end_is_left_out_of_what_was_written(cut: int) -> None:
    begin = "[[stage:intro]] One."
    assert without_unfinished_mark(f"{begin} {'[[stage:pitch]]'[:cut]}") == begin
    assert without_unfinished_mark("[[stage:pitch]]"[:cut]) == ""


@pytest.mark.parametrize(
    "whole", ["", "One.", "One [", "One [stage", "[[stage:a]] One.", "One [[stage:a]]", "[[1]] [x"]
)
def test_what_was_written_to_its_end_stays(whole: str) -> None:
    assert without_unfinished_mark(whole) == whole
