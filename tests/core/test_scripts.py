"""Scripts: what a file may hold, and how a call moves through its stages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.scripts import (
    MAX_GOALS,
    MAX_GUIDANCE_CHARS,
    MAX_STAGES,
    Script,
    ScriptState,
    Stage,
    check,
    parse_script,
)
from vantum.errors import ConfigError

FILE = """
name = "cold outreach"

[stages.intro]
goals = ["find out whether it is a good moment", "say who you are"]
guidance = '''
One sentence.

Then ask.
'''
next = ["pitch", "goodbye"]

[stages.pitch]
goals = "say what we do"

[stages.goodbye]
next = []
"""


def test_a_file() -> None:
    script = parse_script(FILE, "call.toml")
    assert script == Script(
        (
            Stage(
                "intro",
                ("find out whether it is a good moment", "say who you are"),
                "One sentence.\n\nThen ask.",
                ("pitch", "goodbye"),
            ),
            Stage("pitch", ("say what we do",)),
            Stage("goodbye", next=()),
        ),
        "intro",
        "cold outreach",
    )
    assert script.begin() == ScriptState(script, "intro")
    assert script.after("pitch") == ("intro", "goodbye")
    assert script.after("goodbye") == ()
    with pytest.raises(KeyError):
        script.stage("close")


def test_a_file_may_say_where_to_start() -> None:
    script = parse_script("start = 'b'\n[stages.a]\nnext=[]\n[stages.b]\n", "f")
    assert script.begin().stage == "b"


def test_the_outline() -> None:
    script = parse_script(FILE, "call.toml")
    outline = script.outline()
    assert outline.split("\n")[1:-1] == [
        "- intro",
        "  goal: find out whether it is a good moment",
        "  goal: say who you are",
        "  One sentence.",
        "  Then ask.",
        "  then: pitch, goodbye",
        "- pitch",
        "  goal: say what we do",
        "  then: intro, goodbye",
        "- goodbye",
        "  then: nothing, the call is over",
    ]
    assert "[[stage:pitch]]" in outline
    assert "move_to_stage" not in outline
    assert "move_to_stage" in script.outline(by_tool=True)
    assert "[[" not in script.outline(by_tool=True)
    assert "[[stage:only]]" in check(Script((Stage("only"),), "only"), "f").outline()


def test_the_note() -> None:
    script = parse_script(FILE, "call.toml")
    assert script.begin().note() == (
        "The call is at intro. Goals: find out whether it is a good moment; say who you are. "
        "It may go on to: pitch, goodbye (begin with [[stage:NAME]])."
    )
    assert script.begin().note(by_tool=True).endswith("goodbye (call move_to_stage).")
    assert ScriptState(script, "goodbye").note() == "The call is at goodbye."


def test_moves() -> None:
    state = parse_script(FILE, "call.toml").begin()
    move = state.move(" Pitch ")
    assert move.changed
    assert move.state.stage == "pitch"
    assert move.told == "The call is now at pitch. Goals: say what we do."
    same = move.state.move("pitch")
    assert not same.changed
    assert same.state is move.state
    assert same.told == "The call is at pitch already."
    last = move.state.move("goodbye").state
    refused = last.move("intro")
    assert not refused.changed
    assert refused.state is last
    assert refused.told == "Not moved. The call is at goodbye; it is the last stage."
    unknown = state.move("close")
    assert unknown.told == "Not moved. The call is at intro; it may go to: pitch, goodbye."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("stages = [", "f.toml: is not TOML: "),
        ("", "f.toml: a script needs stages, such as [stages.intro]"),
        ("stages = 3", "f.toml: a script needs stages, such as [stages.intro]"),
        ("stages.intro = 3", "f.toml: stage intro must be a table, [stages.intro]"),
        ("mood = 1\n[stages.a]", "f.toml: the script has no 'mood'; there is: name, start, stages"),
        (
            "[stages.a]\ngoal = []",
            "f.toml: stage a has no 'goal'; there is: goals, guidance, next",
        ),
        ("start = 1\n[stages.a]", "f.toml: start must be text"),
        ("name = 1\n[stages.a]", "f.toml: name must be text"),
        ("start = 'b'\n[stages.a]", "f.toml: start='b' is no stage; there are: a"),
        ("[stages.A]", "f.toml: stage 'A': its name must be a small letter, then small letters, "),
        ('[stages."a\\nb"]', "f.toml: stage 'a b': its name must be "),
        ("[stages.a]\nguidance = 1", "f.toml: stage a: guidance must be text of at most 4000 "),
        (
            f"[stages.a]\nguidance = '{'x' * (MAX_GUIDANCE_CHARS + 1)}'",
            "f.toml: stage a: guidance must be text of at most 4000 characters",
        ),
        ("[stages.a]\ngoals = 1", "f.toml: stage a: goals must be a list of texts, such as "),
        ("[stages.a]\ngoals = ['']", "f.toml: stage a: goals must be a list of texts, such as "),
        (
            f"[stages.a]\ngoals = {['x'] * (MAX_GOALS + 1)}",
            "f.toml: stage a: goals must be at most",
        ),
        ("[stages.a]\nnext = 'a'", "f.toml: stage a: next must be a list of texts, such as "),
        (
            "[stages.a]\nnext = ['clsoe']\n[stages.close]",
            "f.toml: stage a: next has 'clsoe', which is no stage; there are: a, close",
        ),
        ("[stages.a]\nnext = ['a']", "f.toml: stage a: next must not have itself"),
        (
            "[stages.a]\nnext = []\n[stages.b]",
            "f.toml: stage b cannot be reached from a: no next leads there",
        ),
        (
            "\n".join(f"[stages.a{n}]" for n in range(MAX_STAGES + 1)),
            f"f.toml: a script has 1 to {MAX_STAGES} stages, this one {MAX_STAGES + 1}",
        ),
    ],
)
def test_a_wrong_file_is_one_line(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_script(text, "f.toml")
    assert str(caught.value).startswith(fault)
    assert "\n" not in str(caught.value)


def test_a_script_by_hand_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="mine: stage a is there twice"):
        check(Script((Stage("a"), Stage("a")), "a"), "mine")
    with pytest.raises(ConfigError, match="mine: a script has 1 to"):
        check(Script((), "a"), "mine")


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(st.integers(0, 4), max_size=5, unique=True) | st.none(), min_size=5, max_size=5
    ),
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "x", " B ", ""]), max_size=12),
)
def test_a_call_only_goes_where_it_may(
    followers: list[list[int] | None], wishes: list[str]
) -> None:
    names = "abcde"
    stages = tuple(
        Stage(name, next=None if after is None else tuple(names[n] for n in after))
        for name, after in zip(names, followers, strict=True)
    )
    try:
        script = check(Script(stages, "a"), "f")
    except ConfigError:
        return
    state = script.begin()
    for wish in wishes:
        move = state.move(wish)
        assert move.changed == (move.state.stage != state.stage)
        if move.changed:
            assert move.state.stage == wish.strip().lower()
            assert move.state.stage in script.after(state.stage)
        state = move.state
        assert state.stage in state.note()
