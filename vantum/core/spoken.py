"""From a position in an answer's audio to the words that were spoken by then.

Times are seconds since the answer's first sample. Synthesisers that time their words name them
without punctuation, sometimes in another spelling ("99" for "$99", "one hundred" for "100"): each
timed word is therefore looked up in its piece's text, and what is given back is always a beginning
of that text. What lies between two words that were found goes word by word if the synthesiser has
as many words for it as the text, and else, as where nothing is timed, in proportion to the letters
that are spoken: a figure is a word of its own, and what a script without spaces writes as one
character is several letters.

Words at times at which no word of that piece can sound are not believed: outside of its audio, or
more of them than anybody says in that time. Where a quarter of them is so, none are.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate, groupby, pairwise

from attrs import define, field, frozen

from vantum.core.wording import word_spans

# Usual speed of English speech synthesis; used until a piece's real length is known.
_CHARS_PER_S = 15.0
# Letters in the name of a figure, with a bit of "hundred", and in those of signs.
_FIGURE_CHARS = 4.5
_SIGN_CHARS = {"$": 7.0, "€": 5.0, "£": 6.0, "%": 8.0, "&": 3.0, "@": 2.0, "+": 4.0, "=": 6.0}
# Letters that a syllable of Latin script has, or half a one, for characters that stand for one.
_WIDE_CHARS = (
    (re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f]"), 2.0),  # kana
    (re.compile("[\uac00-\ud7a3]"), 3.0),  # Hangul
    (re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 3.5),  # Han
)
# A timed word is looked for past what may have been spoken since the last one that was found: so
# much a second, and a bit more. Further ahead is another word of that kind, such as the "one" of
# "which one?" for that of "one hundred".
_FAST_CHARS_PER_S = 2 * _CHARS_PER_S
_MORE_CHARS = 12.0
# Nobody says more words in a second …
_MOST_WORDS_PER_S = 12.0
_MUCH_QUICKER = 3
# … or has one sound so long before or behind the audio that it is in. Where that ends is only known
# when all of it has come; before that it is no further than so many times what is expected.
_OUTSIDE_S = 0.5
_MOST_EXPECTED = 4.0
# So much of the words must be nonsense for all of them to be.
_NONSENSE = 4
# Ends of audio that went through rate conversion are a few samples off.
_TOLERANCE_S = 0.005


@frozen
class TimedWord:
    """A word the synthesiser timed.

    `half_s`: from then on it counts as heard; it and `end_s` never fall from word to word, as
    `said_end_s` may. `tokens`: of the piece's text, mostly one; None: it
    was not found there.
    """

    text: str
    start_s: float
    half_s: float
    end_s: float
    said_end_s: float
    tokens: range | None = None


@define
class _Piece:
    """A piece, its words and how far they were found in its letters.

    `length`: in letters that are spoken, spaces included.
    """

    text: str
    start_s: float
    end_s: float | None = field(default=None, init=False)
    words: list[TimedWord] = field(factory=list, init=False)
    length: float = field(default=0.0, init=False)
    _spans: list[tuple[float, float]] = field(
        factory=list, init=False
    )  # of each token, in `length`
    _ends: list[int] = field(factory=list, init=False)  # of each token, in characters
    _names: list[int] = field(factory=list, init=False)  # of each token, see there
    _letters: str = field(default="", init=False)
    _letter_ends: list[int] = field(factory=list, init=False)  # of each token, in letters
    _borders: set[int] = field(factory=lambda: {0}, init=False)  # … and those in it: "well-known"
    _found: int = field(default=0, init=False)  # letters up to the last word that was found
    _found_s: float = field(default=0.0, init=False)  # … and the end of that word
    _placed: tuple[object, ...] = field(default=(), init=False)
    _places: list[float] = field(factory=list, init=False)  # what follows from `_placed`

    def __attrs_post_init__(self) -> None:
        for start, end in word_spans(self.text):
            word = self.text[start:end]
            begin = self.length + (start - (self._ends or [0])[-1])
            self.length = begin + sum(map(_spoken_chars, word))
            self._spans.append((begin, self.length))
            self._ends.append(end)
            self._names.append(_names(word))
            for is_run, run in groupby(word.casefold(), str.isalnum):
                if is_run:
                    self._letters += "".join(run)
                    self._borders.add(len(self._letters))
            self._letter_ends.append(len(self._letters))

    def add(self, text: str, start_s: float, end_s: float) -> None:
        """Append a timed word; one without a letter says nothing."""
        if not (letters := _letters(text)):
            return
        half_s, said_end_s = (start_s + end_s) / 2, end_s
        if self.words:  # in order, whatever the synthesiser says, so that it can be bisected
            half_s = max(half_s, self.words[-1].half_s)
            end_s = max(end_s, self.words[-1].end_s)
        tokens = None
        if self._find(letters, start_s):
            first = bisect_right(self._letter_ends, self._found - len(letters))
            tokens = range(first, bisect_left(self._letter_ends, self._found) + 1)
            self._found_s = end_s
        self.words.append(TimedWord(text, start_s, half_s, end_s, said_end_s, tokens))

    def _find(self, letters: str, start_s: float) -> bool:
        at = self._found
        since_s = max(start_s - max(self._found_s, self.start_s), 0.0)
        most = self._length_at(at) + _MORE_CHARS + since_s * _FAST_CHARS_PER_S
        while (at := self._letters.find(letters, at)) >= 0 and self._length_at(at) <= most:
            # A part of another word is a chance likeness.
            if {at, at + len(letters)} <= self._borders:
                self._found = at + len(letters)
                return True
            at += 1
        return False

    def _length_at(self, letters: int) -> float:
        """How much is spoken up to the end of the token that has the last of so many letters."""
        return self._spans[bisect_left(self._letter_ends, letters)][1] if letters else 0.0

    def places(self, end_s: float) -> list[float]:
        """The positions from which on each token of the text counts as heard, if the piece ends, or
        is expected to end, at `end_s`. They never fall."""
        known = (self.start_s, len(self.words), end_s, self.end_s)
        if self._placed != known:
            self._placed, self._places = known, self._place(end_s)
        return self._places

    def _place(self, end_s: float) -> list[float]:
        places: list[float] = []
        others: list[TimedWord] = []
        from_s, at = self.start_s, 0.0
        for word in self._believed(end_s):
            if word.tokens is None:
                others.append(word)
                continue
            first = word.tokens[0]
            tokens = range(len(places), first)  # none, if it goes on in the one before
            until_s = max(word.start_s, from_s)
            places += self._between(tokens, others, (from_s, until_s), (at, self._spans[first][0]))
            places += [word.half_s] * (word.tokens[-1] + 1 - len(places))
            others, from_s, at = [], word.end_s, self._spans[word.tokens[-1]][1]
        tokens = range(len(places), len(self._ends))
        if others:
            end_s = max(end_s, others[-1].end_s)
        if self.end_s is None:
            others = []  # there may be more of them
        places += self._between(tokens, others, (from_s, end_s), (at, self.length))
        return list(accumulate(places, max))

    def _believed(self, end_s: float) -> list[TimedWord]:
        """Its words, without those that cannot be where they are said to be."""
        latest_s = self.start_s + _MOST_EXPECTED * (end_s - self.start_s)
        latest_s = (latest_s if self.end_s is None else self.end_s) + _OUTSIDE_S
        earliest_s = self.start_s - _OUTSIDE_S
        fitting = [w for w in self.words if earliest_s <= w.start_s <= w.said_end_s <= latest_s]
        if any(b.start_s < a.start_s - _OUTSIDE_S for a, b in pairwise(fitting)):
            fitting = _in_order(fitting)
        if (nonsense := len(self.words) - len(fitting)) * _NONSENSE > len(self.words):
            return []
        if nonsense:
            piece = _Piece(self.text, self.start_s)
            for word in fitting:
                piece.add(word.text, word.start_s, word.said_end_s)
            fitting = piece.words
        # Of a voice that is quicker, all words are.
        length_s = max(end_s - self.start_s, _TOLERANCE_S)
        most_per_s = max(_MOST_WORDS_PER_S, _MUCH_QUICKER * len(self._ends) / length_s)
        most = (1 + most_per_s * max(word.end_s - self.start_s, 0.0) for word in fitting)
        return fitting if all(count <= n for count, n in enumerate(most, 1)) else []

    def _between(
        self,
        tokens: range,
        others: list[TimedWord],
        span_s: tuple[float, float],
        span: tuple[float, float],
    ) -> list[float]:
        """The places of tokens that were not found; `others` are the words that were not."""
        (from_s, until_s), (begin, end) = span_s, span
        names = [self._names[token] for token in tokens]
        if others and len(others) == sum(names) and max(names) == 1:
            halves = (word.half_s for word in others)
            return [next(halves) if name else from_s for name in names]
        length_s = max(until_s - from_s, 0.0)
        middles = (sum(self._spans[token]) / 2 for token in tokens)
        return [from_s + (middle - begin) / (end - begin) * length_s for middle in middles]

    def heard(self, heard_s: float, end_s: float) -> str:
        """The text heard by `heard_s` if the piece ends, or is expected to end, at `end_s`."""
        tokens = bisect_right(self.places(end_s), heard_s)
        return self.text[: self._ends[tokens - 1]] if tokens else ""


def _in_order(words: list[TimedWord]) -> list[TimedWord]:
    """As many of the words as follow each other in time."""
    ends: list[tuple[float, int]] = []  # of the best row of each length: its last word
    before: list[int] = []
    for n, word in enumerate(words):
        at = bisect_left(ends, (word.start_s, -1))  # none begins with another
        before.append(ends[at - 1][1] if at else -1)
        ends[at : at + 1] = [(word.start_s, n)]
    row, n = [], ends[-1][1]
    while n >= 0:
        row.append(words[n])
        n = before[n]
    return row[::-1]


def _spoken_chars(char: str) -> float:
    if char >= "\u3041":
        return next((letters for kind, letters in _WIDE_CHARS if kind.match(char)), 1.0)
    return _SIGN_CHARS.get(char, _FIGURE_CHARS if char.isdigit() else 1.0)


def _names(token: str) -> int:
    """How many words it is when it is spoken: none, one, or more."""
    figures = sum(char.isdigit() or char in _SIGN_CHARS for char in token)
    return 2 if figures > 1 else 1 if figures or _letters(token) else 0


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
            piece.add(word.text, word.start_s, word.end_s)
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
            self._loose.append(TimedWord(text, start_s, (start_s + end_s) / 2, end_s, end_s))

    @property
    def whole(self) -> str:
        """The pieces' texts, or the words' if there is no piece, joined with spaces."""
        return " ".join(part.text for part in self._pieces or self._loose if part.text)

    def places(self) -> list[tuple[str, float, bool]]:
        """Each word of the text, the position from which on it counts as heard, and whether a space
        is in front of it."""
        if not self._pieces:
            return [(word.text, word.half_s, True) for word in self._loose]
        placed = []
        # A piece is over when it has ended, or when the next one begins.
        starts = [piece.start_s for piece in self._pieces[1:]]
        for piece, next_s in zip(self._pieces, [*starts, float("inf")], strict=True):
            latest_s = next_s if piece.end_s is None else min(next_s, piece.end_s - _TOLERANCE_S)
            places = piece.places(self._expected_end_s(piece))
            for (start, end), at_s in zip(word_spans(piece.text), places, strict=True):
                text, spaced = piece.text[start:end], not piece.text[start - 1 : start].strip()
                placed.append((text, max(piece.start_s, min(at_s, latest_s)), spaced))
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
        ended = [(p.length, p.end_s - p.start_s) for p in self._pieces if p.end_s is not None]
        length_s = sum(seconds for _, seconds in ended)
        chars_per_s = (
            sum(length for length, _ in ended) / length_s if length_s > 0 else _CHARS_PER_S
        )
        return piece.start_s + piece.length / max(chars_per_s, 1.0)
