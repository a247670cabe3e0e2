"""What a call keeps of an utterance that is over: its words, and how far they were heard. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from attrs import field, frozen


@frozen
class PlacedWord:
    """A word of an utterance, with its punctuation, and the position from which it is heard.

    `spaced`: a space stands in front of it, unless it is the first.
    """

    text: str
    at_s: float
    spaced: bool = True


@frozen
class Words:
    """Words in little room: a call keeps those of all its answers, and as objects they were most of
    what a long one held.

    `said`: the words with the spaces between them. `_ends`: where each ends in it. `_at_s`: see
    `PlacedWord`.
    """

    said: str
    _ends: array[int] = field(repr=False)
    _at_s: array[float] = field(repr=False)

    @classmethod
    def of(cls, words: Iterable[PlacedWord]) -> Words:
        """All of them, in order."""
        ends, at_s = array("I"), array("d")
        parts: list[str] = []
        length = 0
        for word in words:
            part = f" {word.text}" if word.spaced and ends else word.text
            parts.append(part)
            length += len(part)
            ends.append(length)
            at_s.append(word.at_s)
        return cls("".join(parts), ends, at_s)

    def each(self) -> tuple[PlacedWord, ...]:
        """As they were given; the first is `spaced`."""
        found: list[PlacedWord] = []
        begin = 0
        for end, at_s in zip(self._ends, self._at_s, strict=True):
            spaced = not found or self.said[begin : begin + 1] == " "
            found.append(
                PlacedWord(self.said[begin + (spaced and bool(found)) : end], at_s, spaced)
            )
            begin = end
        return tuple(found)


@frozen
class Utterance:
    """What is kept of an utterance that is over.

    Attributes:
        utterance_id: as the client knows it.
        began_s, ended_s: when its first audio left (None: none did), and when it was over, on the
            caller's clock. `cut`: it was stopped.
        sent_s, heard_s: how much audio left, and how much was played.
        reported: the client said how much.
        underruns: how often audio came too late.
    """

    utterance_id: str
    began_s: float | None
    ended_s: float
    cut: bool
    sent_s: float
    heard_s: float
    reported: bool
    _words: Words
    underruns: int

    @property
    def words(self) -> tuple[PlacedWord, ...]:
        """Its text, in order; those with `at_s` up to `heard_s` were heard."""
        return self._words.each()

    @property
    def text(self) -> str:
        """What was said, or was about to be."""
        return self._words.said.strip()

    @property
    def heard_text(self) -> str:
        """What was heard of it."""
        return Words.of(word for word in self.words if word.at_s <= self.heard_s).said.strip()
