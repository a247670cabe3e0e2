"""Text that can be sent: without half of a pair of surrogates."""

from __future__ import annotations


def sendable(text: str) -> str:
    """The same text. JSON can write half of a pair of surrogates, a recogniser's or a model's too,
    and a server may tear a character into two events: halves that belong together become one, and
    any other is replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
