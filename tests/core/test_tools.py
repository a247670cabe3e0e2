"""What a tool says of itself, and what it takes from a model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.builtin_tools import BUILT_IN, Meeting, book_meeting
from vantum.core.events import Prospect
from vantum.core.tools import (
    MAX_RESULT_CHARS,
    Memory,
    Tool,
    ToolContext,
    ToolError,
    WrongArguments,
    error_text,
    make_tool,
    parse_arguments,
    result_text,
)


@frozen
class Guest:
    name: str


async def book(
    context: ToolContext,
    day: date,
    guests: list[Guest],
    kind: Literal["table", "room"] = "table",
    note: Annotated[str | None, "Anything else."] = None,
) -> str:
    """Book a place.

    It may
    take a while.

    Args:
        day: When they
            come: at noon.
        guests (list): Who.

            More of them.
        kind:
            What.

    Returns:
        What is told.
    """
    return f"{kind} for {len(guests)} on {day}"


def test_a_tool_says_of_itself_what_its_function_does() -> None:
    tool = make_tool(book, effect="irreversible")
    assert tool.name == tool.spec.name == "book"
    assert tool.spec.description == "Book a place.\n\nIt may take a while."
    properties = tool.spec.parameters["properties"]
    assert list(properties) == ["day", "guests", "kind", "note"]
    assert {name: p.get("description") for name, p in properties.items()} == {
        "day": "When they come: at noon.",
        "guests": "Who. More of them.",
        "kind": "What.",
        "note": "Anything else.",
    }
    assert tool.spec.parameters["required"] == ["day", "guests"]
    assert properties["kind"]["default"] == "table"
    assert tool.context_name == "context"
    assert tool.is_async


def test_it_takes_what_its_schema_says() -> None:
    tool = make_tool(book, effect="irreversible")
    taken, digest = tool.take('{"day": "2026-03-31", "guests": [{"name": "Bob"}]}')
    assert taken == {"day": date(2026, 3, 31), "guests": [Guest("Bob")]}
    assert digest == tool.take('{"guests":[{"name":"Bob"}],"day":"2026-03-31"}')[1]
    assert digest != tool.take('{"day": "2026-03-30", "guests": []}')[1]
    with pytest.raises(WrongArguments, match="guests is missing"):
        tool.take('{"day": "2026-03-31"}')
    with pytest.raises(WrongArguments, match="not a JSON object"):
        tool.take("{")


def test_it_can_be_called_like_the_function() -> None:
    def add(a: int, b: int = 1) -> int:
        """
        Args:
            a: one
        """
        return a + b

    tool = make_tool(add, effect="pure", name="plus", description="Sums.", timeout_s=3)
    assert tool(2, b=3) == 5
    assert not tool.is_async
    assert (tool.name, tool.spec.description, tool.timeout_s) == ("plus", "Sums.", 3)
    assert tool.spec.parameters["properties"]["a"]["description"] == "one"


def test_a_tool_without_words_or_parameters() -> None:
    def ping() -> None: ...

    tool = make_tool(ping, effect="pure")
    assert tool.spec.description == ""
    assert tool.spec.parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    assert tool.take("")[0] == {}


def test_what_follows_the_arguments_in_a_docstring_is_not_told() -> None:
    def look(a: int) -> None:
        """Look.

        Returns:
            Nothing.

        Args:
            not a parameter's line
            a: one
              : more
        """

    tool = make_tool(look, effect="pure")
    assert tool.spec.description == "Look."
    assert tool.spec.parameters["properties"]["a"]["description"] == "one : more"


def _nothing() -> None: ...


def _unhinted(a) -> None: ...  # type: ignore[no-untyped-def]


def _starred(*a: int) -> None: ...


def _positional(a: int, /) -> None: ...


def _unresolved(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def _strange(a: bytes) -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_unhinted, "tool _unhinted, parameter a: has no type hint"),
        (_starred, "parameter a: each parameter needs a name of its own"),
        (_positional, "parameter a: each parameter needs a name of its own"),
        (_unresolved, "tool _unresolved: a type hint cannot be resolved: name 'Nowhere'"),
        (_strange, "parameter a: bytes cannot be an argument"),
    ],
)
def test_functions_that_cannot_be_tools(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(TypeError, match=why):
        make_tool(function, effect="pure")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"effect": "harmless"}, "effect='harmless' must be one of pure, idempotent, irreversible"),
        ({"effect": "pure", "name": "a tool"}, "a name has 1 to 64 letters"),
        ({"effect": "pure", "timeout_s": 0}, "timeout_s=0 must be above 0"),
        ({"effect": "pure", "timeout_s": float("nan")}, "must be above 0"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_tool(_nothing, **options)


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", "NaN", '{"a": NaN}', '{"a": Infinity}', '{"a": "\\ud800"}']
)
def test_texts_that_are_no_arguments(text: str) -> None:
    assert parse_arguments(text) is None


def test_arguments_have_bounds() -> None:
    assert parse_arguments('{"a": ' + "[" * 30_000 + "]" * 30_000 + "}") is None
    assert parse_arguments('{"a": "' + "x" * 64_000 + '"}') is None
    assert parse_arguments('{"a": "ü"}') == {"a": "ü"}


@given(st.text(max_size=30))
def test_any_text_is_arguments_or_not(text: str) -> None:
    parsed = parse_arguments(text)
    assert parsed is None or json.loads(json.dumps(parsed)) == parsed


@dataclasses.dataclass
class Place:
    street: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        ({"a": (1, 2)}, '{"a": [1, 2]}'),
        ([Guest("Bö"), Place("x")], '[{"name": "Bö"}, {"street": "x"}]'),
        (date(2026, 3, 31), '"2026-03-31"'),
        (frozenset({1}), "[1]"),
        ("\ud800", "?"),
        ("x" * (MAX_RESULT_CHARS + 1), "x" * MAX_RESULT_CHARS + " … (cut off)"),
    ],
)
def test_results_are_told_as_text(value: object, text: str) -> None:
    assert result_text(value) == text


@pytest.mark.parametrize("value", [object(), Guest, b"bytes"])
def test_results_that_cannot_be_told(value: object) -> None:
    with pytest.raises(TypeError, match="is not JSON"):
        result_text(value)


def test_errors_are_told_as_json() -> None:
    assert json.loads(error_text('no "place"')) == {"error": 'no "place"'}


# ---------------------------------------------------------------- built in


def context(ended: list[str] | None = None, memory: Memory | None = None) -> ToolContext:
    end_call = (ended if ended is not None else []).append
    return ToolContext("c", 0, "k", Prospect(name="Bob"), memory or Memory(), end_call)


def run(tool: Tool, arguments: str, given: ToolContext) -> Any:
    """An async function that waits for nothing."""
    taken, _ = tool.take(arguments)
    coroutine = tool(**taken, context=given)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def test_built_in_tools() -> None:
    assert list(BUILT_IN) == ["end_call", "remember"]
    ended: list[str] = []
    assert "goodbye" in run(BUILT_IN["end_call"], "{}", context(ended))
    assert ended == [""]
    memory = Memory()
    run(BUILT_IN["remember"], '{"key": " pet ", "value": "cat"}', context(memory=memory))
    run(BUILT_IN["remember"], '{"key": "pet", "value": "dog"}', context(memory=memory))
    assert memory.facts == {"pet": "dog"}
    assert "Hang up." in BUILT_IN["end_call"].spec.description


def test_meetings_are_booked_by_plain_functions_too() -> None:
    booked: list[Meeting] = []

    def hook(meeting: Meeting, given: ToolContext) -> str:
        booked.append(meeting)
        return given.key

    tool = book_meeting(hook, timeout_s=5, filler="Booking.")
    assert (tool.effect, tool.timeout_s, tool.filler) == ("irreversible", 5, "Booking.")
    assert not tool.is_async
    taken, _ = tool.take('{"starts_at": "2026-03-31T14:30:00Z", "topic": "demo"}')
    assert tool(**taken, context=context()) == "k"
    assert (booked[0].name, booked[0].duration_minutes) == ("Bob", 30)


async def test_without_a_call_there_is_no_line() -> None:
    line = context().line
    assert not line.is_cut
    with pytest.raises(ToolError, match="no line"):
        line.press("1")
    for wish in (line.say("x"), line.say_goodbye("x", "y"), line.heard(), line.over()):
        with pytest.raises(ToolError, match="no line"):
            await wish
