"""Values with some of their fields changed."""

from __future__ import annotations

from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from attrs import field, frozen
from hypothesis import given

from vantum.core.bargein import BargeIn
from vantum.core.decisions import Conversation, Limits, Turn
from vantum.core.endpointing import Endpointing
from vantum.core.events import Request
from vantum.core.evolving import evolve
from vantum.core.speculation import Speculation

VALUES = (
    Conversation(Limits(), 3.0, {}),
    BargeIn(),
    Endpointing(),
    Speculation(),
    Turn(1, "", Request()),
)
FIELDS = [(value, each.name) for value in VALUES for each in attrs.fields(type(value))]


@given(st.sampled_from(FIELDS), st.sampled_from(["a", 7, None]))
def test_it_gives_what_attrs_gives(of: tuple[Any, str], new: object) -> None:
    value, name = of
    changed = evolve(value, **{name: new})
    assert changed == attrs.evolve(value, **{name: new})
    assert type(changed) is type(value)
    assert evolve(value) == value


@frozen
class Odd:
    """Private, derived and checked."""

    _hidden: int
    low: int = field(default=0, validator=attrs.validators.ge(0))


@frozen
class Single:
    """Too few."""

    one: int = 1


@frozen
class Named:
    """Not by position."""

    one: int = 1
    two: int = field(default=2, kw_only=True)


def test_a_field_is_called_as_the_class_calls_it_and_checked_by_it() -> None:
    assert evolve(Odd(1), hidden=2) == Odd(2)
    with pytest.raises(ValueError, match="low"):
        evolve(Odd(1), low=-1)


@pytest.mark.parametrize("value", [Odd(1), Single(), Named()])
def test_what_cannot_be_changed_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"{type(value).__name__} (has no field|needs two fields)"):
        evolve(value, _hidden=2)
