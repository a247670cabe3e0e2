"""A frozen value with some of its fields changed, for what changes with each event of a call. Pure.

`attrs.evolve` looks at every field of the class, in Python, for every new value: for the table's
state, of 31 fields, that takes as long again as making the value. Here the fields are looked up
once for each class. To a type checker it is `attrs.evolve`, whose calls it knows how to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import evolve as evolve
else:
    from collections.abc import Callable
    from functools import cache
    from operator import attrgetter
    from typing import Any, TypeVar

    import attrs

    T = TypeVar("T")

    def evolve(value: T, /, **changes: object) -> T:
        """A new value of the same class.

        TypeError: a change is none of its fields, or the class has fewer than two.
        """
        kind = type(value)
        values_of, places = _fields(kind)
        values = list(values_of(value))
        for name, new in changes.items():
            if name not in places:
                raise TypeError(f"{kind.__name__} has no field {name!r}")
            values[places[name]] = new
        return kind(*values)

    @cache
    def _fields(kind: type) -> tuple[Callable[[Any], tuple[object, ...]], dict[str, int]]:
        """What gives a value's fields, in the order in which the class takes them, and where each
        of them stands."""
        fields = attrs.fields(kind)
        if len(fields) < 2 or not all(field.init and not field.kw_only for field in fields):
            raise TypeError(f"{kind.__name__} needs two fields or more, all taken by position")
        names = [field.name for field in fields]
        return attrgetter(*names), {field.alias: at for at, field in enumerate(fields)}
