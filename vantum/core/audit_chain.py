"""The audit log's format: lines of JSON, each sealed together with the one before.

A line is one JSON object in canonical form (keys sorted, ASCII, no spaces)::

    {"alg":"sha256","at":"2026-11-21T12:00:00.000000Z","data":{…},"event":"permit.issued",
     "hash":"…","n":17,"prev":"…"}

`hash` is over the rest of the object in the same form, `prev` is the line before's hash (64 zeros
for the first), `n` counts from 1. With a key, `alg` is `hmac-sha256`. Beside the log lies its head:
how many lines there are, the last one's hash, and where it begins and ends; without it, a log that
was cut off at a line's end would look whole.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

Algorithm: TypeAlias = Literal["sha256", "hmac-sha256"]

#: What the first line follows.
GENESIS: Final = "0" * 64
_KEYS: Final = {"alg", "at", "data", "event", "hash", "n", "prev"}
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class Flaw(Exception):
    """Why a line or a head is not what we wrote. One sentence."""


@frozen
class Head:
    """Where a log ends.

    Attributes:
        alg: of all its lines.
        count: lines.
        hash: the last one's.
        start, size: bytes before the last line, and with it.
        at: the last one's time, as in the log; empty: there is none.
    """

    alg: Algorithm
    count: int = 0
    hash: str = GENESIS
    start: int = 0
    size: int = 0
    at: str = ""

    @property
    def at_s(self) -> float:
        """The last line's time in seconds since 1970; 0: there is none."""
        return _seconds(self.at) if self.at else 0.0


def new_head(key: bytes) -> Head:
    """Of a log without lines. `key`: empty: anybody can check, and write, the log."""
    return Head("hmac-sha256" if key else "sha256")


def add_line(head: Head, event: str, data: Mapping[str, Any], at_s: float, key: bytes) -> bytes:
    """The line that follows `head`, with its line end.

    Raises:
        TypeError, ValueError: `data` cannot be written as JSON.
    """
    at = datetime.fromtimestamp(at_s, UTC).strftime(_TIME)
    body = {
        "alg": head.alg,
        "at": at,
        "data": dict(data),
        "event": event,
        "n": head.count + 1,
        "prev": head.hash,
    }
    return _canonical({**body, "hash": _digest(body, key)}) + b"\n"


def next_head(head: Head, line: bytes, key: bytes) -> Head:
    """The head after a line, which is checked in every respect.

    Raises:
        Flaw: it is not the line that we would have written there.
    """
    entry = read_line(line)
    if entry["alg"] != head.alg:
        raise Flaw(f"it is sealed by {entry['alg']}, and the log by {head.alg}")
    if entry["n"] != head.count + 1:
        raise Flaw(
            f"it is entry {entry['n']} where entry {head.count + 1} belongs: lines were removed, "
            "added or moved"
        )
    rest = {name: value for name, value in entry.items() if name != "hash"}
    if not hmac.compare_digest(_digest(rest, key), entry["hash"]):
        key_too = " (or the key is another one)" if key else ""
        raise Flaw(f"its content does not match its hash: it was changed{key_too}")
    if entry["prev"] != head.hash:
        raise Flaw("it does not follow the line before it: that one was changed or replaced")
    return evolve(
        head,
        count=entry["n"],
        hash=entry["hash"],
        start=head.size,
        size=head.size + len(line),
        at=entry["at"],
    )


def read_line(line: bytes) -> dict[str, Any]:
    """A line's object, its form checked but not its seal.

    Raises:
        Flaw: it is not of our form.
    """
    if not line.endswith(b"\n"):
        raise Flaw(
            "it has no end: it was cut off while it was written, or since (a power cut does that); "
            "the next entry sets it aside"
        )
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise Flaw("it is not JSON: it was changed") from None
    if not isinstance(entry, dict) or set(entry) != _KEYS:
        raise Flaw("it has not the fields of an entry")
    texts = ("alg", "at", "event", "hash", "prev")
    is_right = (
        all(isinstance(entry[name], str) for name in texts)
        and isinstance(entry["data"], dict)
        and type(entry["n"]) is int
        and entry["hash"].isascii()
    )
    try:
        same = is_right and _canonical(entry) + b"\n" == line
        _seconds(str(entry["at"]))
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise Flaw("it is not written as an entry is: it was changed")
    return entry


def write_head(head: Head, key: bytes) -> bytes:
    """What lies beside the log."""
    body = _head_body(head)
    return _canonical({**body, "mac": _digest(body, key)}) + b"\n"


def read_head(text: bytes, key: bytes) -> Head:
    """The head that lies beside the log.

    Raises:
        Flaw: it is not one that we wrote with this key.
    """
    try:
        found = json.loads(text)
        head = Head(*(found[name] for name in ("alg", "count", "hash", "start", "size", "at")))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Flaw("the head is not readable: it was changed") from None
    if head.alg == "hmac-sha256" and not key:
        raise Flaw("the log is sealed with a key, and none is set (AUDIT_KEY)")
    if head.alg == "sha256" and key:
        raise Flaw(
            "the log was begun without a key, and AUDIT_KEY is set: unset it, or begin another log"
        )
    if write_head(head, key) != text:
        key_too = ", or the key is another one" if key else ""
        raise Flaw(f"the head does not match its own seal: it was changed{key_too}")
    return head


def _head_body(head: Head) -> dict[str, Any]:
    return {
        "alg": head.alg,
        "at": head.at,
        "count": head.count,
        "hash": head.hash,
        "size": head.size,
        "start": head.start,
    }


def _digest(body: Mapping[str, Any], key: bytes) -> str:
    text = _canonical(body)
    return hmac.new(key, text, sha256).hexdigest() if key else sha256(text).hexdigest()


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _seconds(at: str) -> float:
    return datetime.strptime(at, _TIME).replace(tzinfo=UTC).timestamp()
