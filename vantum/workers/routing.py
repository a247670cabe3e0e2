"""Which worker a request is for. Pure: paths and counts in, labels out.

A call lives in one process, and what Twilio sends about it may arrive at any: so its paths and ids
begin with the label of its worker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

#: What begins something new, which any worker may take.
NEW: Final = frozenset({"/ws", "/twilio/voice", "/v1/calls"})
_STREAM: Final = "/twilio/stream"
_LABEL: Final = re.compile(r"w(?:0|[1-9][0-9]{0,3})")
_OF_A_CALL: Final = re.compile(r"/(?:twilio|v1)/calls/(w[0-9]{1,4})-[^/]+(?:/.*)?")


@frozen
class Here:
    """Whoever has it."""


@frozen
class At:
    """This worker, and no other."""

    label: str


@frozen
class Nowhere:
    """A worker that there is not. `label` as it was asked for."""

    label: str


Place: TypeAlias = Here | At | Nowhere


@frozen
class Load:
    """How many sessions a worker holds, of how many that it may."""

    sessions: int
    room: int

    @property
    def is_full(self) -> bool:
        """Whether it would turn the next one away."""
        return self.sessions >= self.room


def labels_of(workers: int) -> tuple[str, ...]:
    """The labels of so many workers."""
    return tuple(f"w{number}" for number in range(workers))


def shares(total: int, workers: int) -> tuple[int, ...]:
    """`total` divided as evenly as it goes: the first get one more."""
    each, rest = divmod(total, workers)
    return tuple(each + (number < rest) for number in range(workers))


def place_of(path: str, labels: Sequence[str]) -> Place:
    """Where a request with this path belongs.

    A media stream must come to the worker that gave out its token, because that one knows which
    have been used: without a label it is the first one's. What is about a call of a worker that
    there is not (any more) can be answered by all, from what is stored.
    """
    if path == _STREAM:
        return At(labels[0])
    if path.startswith(_STREAM + "/"):
        label = path.removeprefix(_STREAM + "/")
        known = label in labels and _LABEL.fullmatch(label)
        return At(label) if known else Nowhere(label)
    found = _OF_A_CALL.fullmatch(path)
    return At(found[1]) if found is not None and found[1] in labels else Here()


def place_of_new(own: str, loads: Mapping[str, Load]) -> str:
    """Who takes something new that came to `own`: it does itself, unless another has less to do.

    The kernel spreads connections by chance, and two calls more or less than the others' are heard.

    Args:
        loads: of the workers that take something; `own` need not be among them.
    """

    def burden(label: str) -> tuple[bool, int, bool]:
        load = loads[label]
        return load.is_full, load.sessions, label != own

    return min(loads, key=burden, default=own)
