"""How a setting is declared, and the type of those that do not print."""

from __future__ import annotations

from typing import Any

from attrs import field


class Secret:
    """A string that does not print: `reveal()` is the only way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that sends it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


def setting(
    default: Any,
    doc: str,
    *,
    env: str | None = None,
    also: str | None = None,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    form: str | None = None,
) -> Any:
    """Declare one setting.

    Args:
        default: its default; the field's annotation gives its type.
        doc: one sentence for the reference.
        env: environment variable, if it can be set there.
        also: another name of that variable, which counts where the first is not set.
        low, high: allowed range, inclusive.
        choices: allowed strings.
        form: a further check by name: "url" (http, https, ws or wss), "nonempty", "tokens"
            (comma-separated, at least one), "marker" (what `vantum.core.markers` can find),
            "header" (what a header can hold), "spoken" (has a letter or digit), "number" (a phone
            number, E.164), "rates" (what `vantum.core.cost.parse_rates` reads), or one of those
            that `vantum.config.values` has readers for.
    """
    return field(
        default=default,
        metadata={
            "doc": doc,
            "env": env,
            "also": also,
            "low": low,
            "high": high,
            "choices": choices,
            "form": form,
        },
    )
