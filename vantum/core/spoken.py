"""From a position in an answer's audio to the words that were spoken by then.

Times are seconds since the answer's first sample. Synthesisers that time their words name them
without punctuation, sometimes in another spelling ("99" for "$99"): each timed word is therefore
looked up in its piece's text, and what is given back is always a beginning of that text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from attrs import define, field, frozen

# Usual speed of English speech synthesis; used until a piece's real length is known.
_CHARS_PER_S = 15.0
# Timed words are looked for so many letters ahead: past a few words that were spelled otherwise.
_LOOK_AHEAD = 40
# Ends of audio that went through rate conversion are a few samples off.
_TOLERANCE_S = 0.005


@frozen
class TimedWord:
    """A word the synthesiser timed.

    `half_s`: from then on it counts as heard. `text_end`: where the piece's text is cut after it.
    """

    text: str
    half_s: float
    end_s: float
    text_end: int


@define
class _Piece:
    """A piece, its words and how far they were found in its letters."""

    text: str
    start_s: float
    end_s: float | None = field(default=None, init=False)
    words: list[TimedWord] = field(factory=list, init=False)
    _middles: list[float] = field(factory=list, init=False)  # of each token, in characters
    _ends: list[int] = field(factory=list, init=False)  # of each token, in characters
    _letters: str = field(default="", init=False)
    _letter_ends: list[int] = field(factory=list, init=False)  # of each token, in letters
    _found: int = field(default=0, init=False)  # letters up to the last word that was found

    def __attrs_post_init__(self) -> None:
        tokens = []
        for match in re.finditer(r"\S+", self.text):
            self._middles.append((match.start() + match.end()) / 2)
            self._ends.append(match.end())
            tokens.append(_letters(match.group()))
            self._letter_ends.append((self._letter_ends or [0])[-1] + len(tokens[-1]))
        self._letters = "".join(tokens)

    def add(self, text: str, start_s: float, end_s: float) -> None:
        """Append a timed word."""
        self._find(_letters(text))
        half_s = (start_s + end_s) / 2
        if self.words:  # in order, whatever the synthesiser says, so that it can be bisected
            half_s = max(half_s, self.words[-1].half_s)
            end_s = max(end_s, self.words[-1].end_s)
        text_end = 0
        if self._found:
            text_end = self._ends[bisect_left(self._letter_ends, self._found)]
        self.words.append(TimedWord(text, half_s, end_s, text_end))

    def _find(self, letters: str) -> None:
        at = self._found
        limit = at + _LOOK_AHEAD + len(letters)
        while letters and (at := self._letters.find(letters, at, limit)) >= 0:
            # In the middle of another token it is a chance likeness, except right where we are.
            place = bisect_left(self._letter_ends, at)
            if at in (0, self._found) or self._letter_ends[place] == at:
                self._found = at + len(letters)
                return
            at += 1

    def places(self, end_s: float) -> list[float]:
        """The positions from which on `heard` has each token of the text."""
        last = self.words[-1] if self.words else None
        from_s, from_chars = (last.end_s, last.text_end) if last else (self.start_s, 0)
        ends = [word.text_end for word in self.words]
        places = []
        for middle, end in zip(self._middles, self._ends, strict=True):
            if (timed := bisect_left(ends, end)) < len(ends):
                places.append(self.words[timed].half_s)
            elif end_s > from_s:
                share = (middle - from_chars) / (len(self.text) - from_chars)
                places.append(from_s + share * (end_s - from_s))
            else:
                places.append(from_s)
        return places

    def heard(self, heard_s: float, end_s: float) -> str:
        """The text heard by `heard_s` if the piece ends, or is expected to end, at `end_s`."""
        count = bisect_right(self.words, heard_s, key=_half_s)
        last = self.words[count - 1] if count else None
        if count < len(self.words):
            return self.text[: last.text_end] if last else ""
        # Behind the last timed word, or without any: in proportion to the characters left.
        from_s, from_chars = (last.end_s, last.text_end) if last else (self.start_s, 0)
        share = (heard_s - from_s) / (end_s - from_s) if end_s > from_s else heard_s >= from_s
        chars = from_chars + (len(self.text) - from_chars) * min(max(share, 0.0), 1.0)
        tokens = bisect_right(self._middles, chars)
        return self.text[: max(from_chars, self._ends[tokens - 1] if tokens else 0)]


def _half_s(word: TimedWord) -> float:
    return word.half_s


def _start_s(piece: _Piece) -> float:
    return piece.start_s


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


@define
class SpokenText:
    """An answer's pieces and timed words; both come in order."""

    _pieces: list[_Piece] = field(factory=list, init=False)
    _loose: list[TimedWord] = field(factory=list, init=False)  # words before any piece

    def piece(self, text: str, start_s: float) -> int:
        """Begin a piece; gives its index. Words that came before any piece belong to the first."""
        if self._pieces:
            start_s = max(start_s, self._pieces[-1].start_s)
        piece = _Piece(text.strip(), start_s)
        self._pieces.append(piece)
        for word in self._loose:
            piece.add(word.text, 2 * word.half_s - word.end_s, word.end_s)
        self._loose.clear()
        return len(self._pieces) - 1

    def piece_end(self, index: int, end_s: float) -> None:
        """The piece's audio ends at `end_s`. IndexError if there is no such piece."""
        if not 0 <= index < len(self._pieces):
            raise IndexError(f"piece {index} of {len(self._pieces)}")
        end_s = max(end_s, self._pieces[index].start_s)
        self._pieces[index].end_s = end_s
        for piece in self._pieces[index + 1 :]:  # announced ahead of their audio
            piece.start_s = max(piece.start_s, end_s)

    def word(self, text: str, start_s: float, end_s: float, piece_index: int | None) -> None:
        """Append a timed word to a piece (None, or one not begun yet: the latest)."""
        if self._pieces:
            last = len(self._pieces) - 1
            index = last if piece_index is None else min(piece_index, last)
            self._pieces[index].add(text, start_s, end_s)
        else:
            self._loose.append(TimedWord(text, (start_s + end_s) / 2, end_s, 0))

    @property
    def whole(self) -> str:
        """The pieces' texts, or the words' if there is no piece, joined with spaces."""
        return " ".join(part.text for part in self._pieces or self._loose if part.text)

    def places(self) -> list[tuple[str, float]]:
        """Each word of the text and the position from which on it counts as heard."""
        if not self._pieces:
            return [(word.text, word.half_s) for word in self._loose]
        placed = []
        # A piece is over when it has ended, or when the next one begins.
        starts = [piece.start_s for piece in self._pieces[1:]]
        for piece, next_s in zip(self._pieces, [*starts, float("inf")], strict=True):
            latest_s = next_s if piece.end_s is None else min(next_s, piece.end_s)
            for text, at_s in zip(
                piece.text.split(), piece.places(self._expected_end_s(piece)), strict=True
            ):
                placed.append((text, min(max(at_s, piece.start_s), latest_s)))
        return placed

    def heard(self, heard_s: float) -> str:
        """The text that was heard when so much audio was played."""
        if heard_s <= 0:
            return ""
        if not self._pieces:
            return " ".join(word.text for word in self._loose if word.half_s <= heard_s)
        begun = bisect_right(self._pieces, heard_s, key=_start_s)
        parts = [piece.text for piece in self._pieces[: max(begun - 1, 0)]]
        if begun:
            piece = self._pieces[begun - 1]
            if piece.end_s is not None and heard_s >= piece.end_s - _TOLERANCE_S:
                parts.append(piece.text)
            else:
                parts.append(piece.heard(heard_s, self._expected_end_s(piece)))
        return " ".join(filter(None, parts))

    def _expected_end_s(self, piece: _Piece) -> float:
        if piece.end_s is not None:
            return piece.end_s
        ended = [(len(p.text), p.end_s - p.start_s) for p in self._pieces if p.end_s is not None]
        length_s = sum(seconds for _, seconds in ended)
        chars_per_s = sum(chars for chars, _ in ended) / length_s if length_s > 0 else _CHARS_PER_S
        return piece.start_s + len(piece.text) / max(chars_per_s, 1.0)
