"""The audit log's format, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.audit_chain import (
    GENESIS,
    Flaw,
    Head,
    add_line,
    new_head,
    next_head,
    read_head,
    read_line,
    write_head,
)

KEY = b"a key"
NOON_S = 1_782_921_600.25

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
entries = st.tuples(st.text(max_size=20), st.dictionaries(st.text(), values, max_size=4))


def chain(count: int, key: bytes = b"") -> tuple[list[bytes], Head]:
    head, lines = new_head(key), []
    for n in range(count):
        line = add_line(head, "permit.issued", {"number": "+12125550123", "n": n}, NOON_S + n, key)
        head = next_head(head, line, key)
        lines.append(line)
    return lines, head


@given(st.lists(entries, max_size=5), st.sampled_from([b"", KEY]))
def test_whatever_is_written_is_read_back(
    written: list[tuple[str, dict[str, Any]]], key: bytes
) -> None:
    head, size = new_head(key), 0
    for event, data in written:
        line = add_line(head, event, data, NOON_S, key)
        before, head = head, next_head(head, line, key)
        size += len(line)
        entry = read_line(line)
        assert (entry["event"], entry["prev"], entry["n"]) == (event, before.hash, before.count + 1)
        assert json.loads(json.dumps(data)) == entry["data"]
        assert line.isascii()
        assert line.count(b"\n") == 1
        assert (head.start, head.size) == (before.size, size)
    assert head.count == len(written)
    assert read_head(write_head(head, key), key) == head


def test_a_line() -> None:
    (line,), head = chain(1)
    assert read_line(line) == {
        "alg": "sha256",
        "at": "2026-07-01T16:00:00.250000Z",
        "data": {"n": 0, "number": "+12125550123"},
        "event": "permit.issued",
        "hash": head.hash,
        "n": 1,
        "prev": GENESIS,
    }
    assert head.at_s == NOON_S
    assert new_head(b"").at_s == 0


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": {1, 2}}, {"x": b"1"}])
def test_what_json_has_not_is_not_written(data: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        add_line(new_head(b""), "x", data, 0, b"")


def flaw_of(line: bytes, head: Head, key: bytes = b"") -> str:
    with pytest.raises(Flaw) as caught:
        next_head(head, line, key)
    return str(caught.value)


def test_what_is_wrong_with_a_line() -> None:
    lines, _ = chain(3)
    head = next_head(new_head(b""), lines[0], b"")
    assert "it has no end" in flaw_of(lines[1][:-1], head)
    assert "it is not JSON" in flaw_of(b"\xff\n", head)
    assert "it is not JSON" in flaw_of(b"[" * 100_000 + b"\n", head)
    assert "not the fields" in flaw_of(b"[]\n", head)
    assert "not the fields" in flaw_of(b'{"n":1}\n', head)
    assert "entry 3 where entry 2 belongs" in flaw_of(lines[2], head)
    assert "entry 1 where entry 2 belongs" in flaw_of(lines[0], head)
    assert "does not match its hash" in flaw_of(lines[1].replace(b"0123", b"0124"), head)
    assert "does not follow the line before" in flaw_of(lines[1], evolve(head, hash="1" * 64))
    for old, new in ((b',"n"', b', "n"'), (b'{"alg"', b'{ "alg"'), (b"}\n", b"} \n")):
        assert old in lines[1]
        assert "not written as an entry is" in flaw_of(lines[1].replace(old, new, 1), head)
    for old, new in ((b'"n":2', b'"n":2.0'), (b'"n":2', b'"n":true'), (b"2026-07", b"2026-17")):
        assert old in lines[1]
        assert "not written as an entry is" in flaw_of(lines[1].replace(old, new), head)
    entry = read_line(lines[1])
    for name in ("alg", "at", "event", "hash", "prev", "data"):
        text = json.dumps({**entry, name: 1}, sort_keys=True, separators=(",", ":"))
        assert "not written as an entry is" in flaw_of(text.encode() + b"\n", head)
    text = json.dumps({**entry, "hash": "\u00e9"}, sort_keys=True, separators=(",", ":"))
    assert "not written as an entry is" in flaw_of(text.encode() + b"\n", head)


def test_a_key_keeps_others_from_writing() -> None:
    (keyed,), head = chain(1, KEY)
    forged = add_line(new_head(b""), "permit.issued", {}, NOON_S, b"")
    assert "sealed by sha256, and the log by hmac-sha256" in flaw_of(forged, new_head(KEY), KEY)
    other = add_line(new_head(b"other"), "permit.issued", {}, NOON_S, b"other")
    assert "(or the key is another one)" in flaw_of(other, new_head(KEY), KEY)
    assert "does not match" in flaw_of(keyed, new_head(b"other"), b"other")
    assert head.alg == "hmac-sha256"


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        (b"", b"", "not readable"),
        (b"[]", b"", "not readable"),
        (b'{"alg":1}', b"", "not readable"),
        (write_head(chain(1)[1], b"").replace(b'"count":1', b'"count":2'), b"", "own seal"),
        (write_head(chain(1)[1], b"") + b" ", b"", "own seal"),
        (write_head(chain(1, KEY)[1], KEY), b"", "sealed with a key, and none is set"),
        (write_head(chain(1)[1], b""), KEY, "begun without a key"),
        (write_head(chain(1, KEY)[1], KEY), b"other", "or the key is another one"),
    ],
)
def test_what_is_wrong_with_a_head(text: bytes, key: bytes, why: str) -> None:
    with pytest.raises(Flaw, match=why):
        read_head(text, key)
