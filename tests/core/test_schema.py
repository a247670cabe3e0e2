"""Type hints as JSON schemas; a second opinion on the schemas comes from `jsonschema`."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Annotated, Any, Literal, Optional

import attrs
import jsonschema
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.schema import (
    ROOT,
    Anything,
    Choice,
    Either,
    Form,
    Listing,
    Member,
    Mismatch,
    Plain,
    Record,
    Table,
    form_of,
    schema_of,
    take,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


@frozen
class Guest:
    """Who comes."""

    name: Annotated[str, "First and last."]
    age: int = 30
    vip: bool = attrs.field(default=False, init=False)


@dataclasses.dataclass
class Room:
    number: int
    tags: list[str] = dataclasses.field(default_factory=list)
    floor: float = 1.5


@frozen
class Positive:
    count: int = attrs.field(validator=attrs.validators.gt(0))


@frozen
class Knot:
    inner: Knot | None = None


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (date, {"type": "string", "format": "date"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Colour, {"enum": ["red", 2]}),
        (list, {"type": "array", "items": {}}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (AbstractSet[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (Annotated[int, "how many"], {"type": "integer"}),
        (
            Guest,
            {
                "type": "object",
                "description": "Who comes.",
                "properties": {
                    "name": {"type": "string", "description": "First and last."},
                    "age": {"type": "integer", "default": 30},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        ),
        (
            Room,
            {
                "type": "object",
                "properties": {
                    "number": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "floor": {"type": "number", "default": 1.5},
                },
                "required": ["number"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_schemas_of_hints(hint: Any, schema: dict[str, Any]) -> None:
    made = schema_of(form_of(hint))
    assert made == schema
    jsonschema.Draft202012Validator.check_schema(made)


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (bytes, "bytes cannot be an argument"),
        (dict[int, str], "keys must be str"),
        (tuple[int, str], r"written tuple\[X, \.\.\.\]"),
        (Knot, "Knot contains itself"),
        (list[complex], "complex cannot be"),
        ("text", "text cannot be"),
    ],
)
def test_hints_that_json_cannot_say(hint: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        form_of(hint)


@pytest.mark.parametrize(
    ("hint", "value", "taken"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (date, "2026-03-31", date(2026, 3, 31)),
        (datetime, "2026-03-31T14:30:00Z", datetime.fromisoformat("2026-03-31T14:30:00Z")),
        (Colour, 2, Colour.BLUE),
        (Literal[1, "1"], "1", "1"),
        (tuple[int, ...], [1, 2], (1, 2)),
        (frozenset[int], [1, 1], frozenset({1})),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (int | str | None, None, None),
        (Guest, {"name": "Bob"}, Guest("Bob")),
        (list[Room], [{"number": 1, "tags": ["a"]}], [Room(1, ["a"])]),
        (Any, {"x": [1]}, {"x": [1]}),
    ],
)
def test_values_become_what_the_hint_says(hint: Any, value: Any, taken: Any) -> None:
    made = take(form_of(hint), value, "it")
    assert made == taken
    assert type(made) is type(taken)


@pytest.mark.parametrize(
    ("hint", "value", "why"),
    [
        (str, 1, "it must be a string"),
        (int, True, "it must be a whole number"),
        (int, 1.5, "it must be a whole number"),
        (float, "1", "it must be a number"),
        (float, float("inf"), "it must be a number"),
        (float, 10**400, "it must be a number"),
        (bool, 0, "it must be true or false"),
        (None, 0, "it must be null"),
        (date, "31.3.2026", "it must be a date such as"),
        (datetime, 5, "it must be a date and time such as"),
        (Literal[1, "a"], True, r"it must be one of \[1, 'a'\]"),
        (list[int], {"a": 1}, "it must be an array"),
        (list[int], [1, "a"], r"it\[1\] must be a whole number"),
        (set[Any], [[1]], "it must hold plain values"),
        (dict[str, int], [], "it must be an object"),
        (dict[str, int], {"a": "b"}, "it.a must be a whole number"),
        (int | None, "x", "it must be a whole number, or it must be null"),
        (Guest, [], "it must be an object"),
        (Guest, {}, "it.name is missing"),
        (Guest, {"name": "x", "sex": 1}, "it must not have 'sex'; known: name, age"),
        (Guest, {"name": 1}, "it.name must be a string"),
        (Positive, {"count": -1}, "it: 'count' must be > 0: -1"),
    ],
)
def test_values_that_do_not_fit(hint: Any, value: Any, why: str) -> None:
    with pytest.raises(Mismatch, match=why):
        take(form_of(hint), value, "it")


def test_errors_of_arguments_name_them_without_a_prefix() -> None:
    with pytest.raises(Mismatch, match=r"^age must be a whole number$"):
        take(form_of(Guest), {"name": "x", "age": "old"}, ROOT)


def test_a_constructor_without_words() -> None:
    def refuse() -> None:
        raise ValueError

    with pytest.raises(Mismatch, match="it: not allowed"):
        take(Record((), refuse), {}, "it")


def test_defaults_that_json_cannot_hold_are_not_told() -> None:
    def default(value: Any) -> object:
        member = Member("x", Plain("number"), required=False, default=value)
        return schema_of(Record((member,), dict))["properties"]["x"].get("default", "none")

    values = [1, True, "a", 1.5, float("nan"), Colour.RED, None, []]
    assert [default(v) for v in values] == [1, True, "a", 1.5, "none", "none", "none", "none"]


# ---------------------------------------------------------------- schemas and values agree

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 2.0, "a", "b", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=6,
)
PLAIN = st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(Plain)  # type: ignore[arg-type]
CHOICE = st.sets(st.sampled_from(["a", "b", 1, 2]), min_size=1).map(
    lambda values: Choice(tuple((value, value) for value in values))
)


def _records(inner: st.SearchStrategy[Form]) -> st.SearchStrategy[Form]:
    members = st.lists(
        st.builds(Member, st.sampled_from("xyz"), inner, st.booleans()),
        max_size=3,
        unique_by=lambda m: m.name,
    )
    return members.map(lambda found: Record(tuple(found), dict))


FORM: st.SearchStrategy[Form] = st.recursive(
    PLAIN | CHOICE | st.just(Anything()),
    lambda inner: (
        inner.map(lambda form: Listing(form, list))
        | inner.map(Table)
        | st.lists(inner, min_size=1, max_size=3).map(lambda forms: Either(tuple(forms)))
        | _records(inner)
    ),
    max_leaves=5,
)


@settings(max_examples=300)
@given(form=FORM, value=JSON)
def test_what_the_schema_allows_is_what_is_taken(form: Form, value: Any) -> None:
    schema = json.loads(json.dumps(schema_of(form)))
    allowed = jsonschema.Draft202012Validator(schema).is_valid(value)
    try:
        taken = take(form, value, "it")
    except Mismatch:
        assert not allowed
    else:
        assert allowed
        assert taken == value
