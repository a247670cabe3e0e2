"""A streamed answer → pieces that can be spoken, each as soon as it is certain.

A piece ends

- at a marker, known at its second symbol (see `vantum.core.markers` for what counts as one);
- at a line break;
- at a sentence end (`fallback_mode="sentence"`). The original used sentences only when an answer
  had no marker at all, which is known at its end; here both hold all the time, so nothing waits for
  a marker that may not come. It is certain when the first character of the next word is seen; the
  *first* piece does not even wait for that if the end is clear (`Sure!` and its space);
- by force, before it would exceed a limit: at its last sentence end or marker, else at its last
  space, else in mid-word.

A piece shorter than `min_chunk_words` joins the next one, except the first, the last and the
forced. A piece has at least one letter or digit: synthesisers refuse lone punctuation, which
therefore joins the next piece, or is dropped where there is none. Spaces within a piece are single.

Every decision is made at a certain character of the text, looking only back. So the pieces, and the
characters at which they come out, do not depend on how the text is split into tokens. What is held
back is bounded by the limits, and so is the work on a token.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

from attrs import Attribute, field, frozen

from vantum.core.markers import BREAK, NEWLINE, SPACE, MarkerScanner, marker_grammar, strip_markers
from vantum.core.sentences import (
    CLOSERS,
    ENDS,
    WIDE_ENDS,
    SentenceEnd,
    begins_sentences,
    sentence_end,
)
from vantum.core.wording import ends_alone

__all__ = ["Chunker", "ChunkingOptions", "strip_markers"]


_WIDE_ENDS = tuple(WIDE_ENDS)
#: Characters that count as a word where no spaces separate words.
_WIDE_WORD = 2


def _check_marker(_self: object, _attribute: Attribute[str], marker: str) -> None:
    marker_grammar(marker)


def _check_positive(_self: object, attribute: Attribute[int], number: int) -> None:
    if number < 1:
        raise ValueError(f"{attribute.name} must be at least 1, not {number}")


@frozen
class ChunkingOptions:
    """How an answer is cut.

    Limits are inclusive. A piece has at most `max_chunk_chars` characters, and never more than
    `max_buffer_size`, since nothing longer is held back. Words are what spaces separate.
    `fallback_mode="complete"` cuts at markers and limits only.

    Raises:
        ValueError: a limit is below 1, or the marker is not symbols around a word.
    """

    break_marker: str = field(default="||BREAK||", validator=_check_marker)
    min_chunk_words: int = 5
    max_chunk_words: int = field(default=50, validator=_check_positive)
    max_chunk_chars: int = field(default=300, validator=_check_positive)
    max_buffer_size: int = field(default=400, validator=_check_positive)
    fallback_mode: Literal["sentence", "complete"] = "sentence"


class Chunker:
    """Cuts one answer: `feed` every token, then `finish` once."""

    __slots__ = (
        "_after_wide_end",
        "_gap",
        "_in_sentences",
        "_is_first",
        "_last_end",
        "_max_chars",
        "_max_words",
        "_min_words",
        "_pieces",
        "_scanner",
        "_spaces",
        "_starter_at",
        "_text",
        "_verdict",
    )

    def __init__(self, options: ChunkingOptions) -> None:
        self._scanner = MarkerScanner(options.break_marker)
        self._in_sentences = options.fallback_mode == "sentence"
        self._min_words = options.min_chunk_words
        self._max_words = options.max_chunk_words
        self._max_chars = min(options.max_chunk_chars, options.max_buffer_size)
        self._is_first = True
        self._pieces: list[str] = []
        # What is not yet cut: begins and ends with a character that is no space.
        self._text = ""
        self._spaces: list[int] = []
        self._gap = False  # a space belongs behind the text, if more text comes
        self._after_wide_end = False
        # Where the last sentence end in the text is that was too short to cut at; 0: none.
        self._last_end = 0
        # What the text's end is, if that waits for the next word …
        self._verdict = SentenceEnd.NO
        # … and where the word begins that decides it, while it is incomplete; 0: none.
        self._starter_at = 0

    def feed(self, token: str) -> list[str]:
        """The pieces that are certain after `token` (any string), in order."""
        for run in self._scanner.feed(token):
            self._take(run)
        return self._hand_over()

    def finish(self, *, cut: bool = False) -> list[str]:
        """The pieces that are left at the end of the answer. `cut`: it was still being written, so
        that its last word, unless a space came behind it, may be half a word and is left out."""
        for run in self._scanner.feed("", final=True):
            self._take(run)
        if cut and self._text and not self._gap and not ends_alone(self._text):
            self._text = self._text[: self._spaces.pop()] if self._spaces else ""
            self._starter_at = 0
        self._settle_starter()
        self._emit(len(self._text))
        return self._hand_over()

    @property
    def held_chars(self) -> int:
        """Characters that are not yet in a piece; never much more than the limits."""
        return len(self._text) + self._scanner.held_chars

    def _hand_over(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _take(self, run: str) -> None:
        if run == SPACE:
            self._take_space()
        elif run in (BREAK, NEWLINE):
            self._settle_starter()
            self._after_wide_end = False
            self._verdict = SentenceEnd.NO
            self._gap = True
            self._end_sentence(len(self._text), by_marker=run == BREAK)
        elif self._after_wide_end or not run.isascii():
            self._take_wide(run)
        else:
            self._take_run(run)

    def _take_wide(self, run: str) -> None:
        """A run that may have sentence ends without spaces: as if each had a space behind it."""
        begin = 0
        for at, char in enumerate(run):
            if self._after_wide_end and char not in ENDS and char not in CLOSERS:
                if at > begin:
                    self._take_run(run[begin:at])
                    begin = at
                self._take_space()
            self._after_wide_end = char in WIDE_ENDS or (self._after_wide_end and char in CLOSERS)
        self._take_run(run[begin:])

    def _take_space(self) -> None:
        self._after_wide_end = False
        if self._gap or not self._text:
            return
        self._settle_starter()
        self._gap = True
        begin = self._spaces[-1] + 1 if self._spaces else 0
        at_start = begin == 0 or begin == self._last_end + 1
        verdict = sentence_end(self._text[begin:], begins_sentence=at_start)
        if verdict is SentenceEnd.CLEAR and self._is_first:
            self._end_sentence(len(self._text))
        else:
            self._verdict = verdict

    def _take_run(self, run: str) -> None:
        """Characters without a space between them."""
        if self._gap:
            self._begin_word(run[0])
        while self._starter_at and run:
            # Character by character until the word that decides is complete: its end must be seen
            # before anything behind it is looked at.
            if not run[0].isalpha():
                self._settle_starter()
            else:
                self._append(run[0])
                run = run[1:]
        if run:
            self._append(run)

    def _begin_word(self, char: str) -> None:
        """A word that begins with `char` follows a space: settle what waits for it, make room."""
        verdict, self._verdict = self._verdict, SentenceEnd.NO
        end = len(self._text)
        if verdict is SentenceEnd.IF_STARTER:
            self._starter_at = end + 1
        elif verdict is SentenceEnd.UNLESS_DIGIT:
            if not char.isdigit() and not char.islower():
                self._end_sentence(end)
        elif verdict is not SentenceEnd.NO and not char.islower():
            self._end_sentence(end)
        while self._text and (
            len(self._spaces) + 2 > self._max_words or len(self._text) + 2 > self._max_chars
        ):
            self._force(len(self._text))
        if self._text:
            self._spaces.append(len(self._text))
            self._text += " "
        self._gap = False

    def _append(self, run: str) -> None:
        while (room := self._max_chars - len(self._text)) < len(run):
            self._text += run[:room]
            run = run[room:]
            self._force(self._spaces[-1] if self._spaces else len(self._text))
        self._text += run

    def _settle_starter(self) -> None:
        """The word behind a doubtful end is complete, if there is one: decide."""
        at, self._starter_at = self._starter_at, 0
        if at and begins_sentences(self._text[at:]):
            self._end_sentence(at - 1)

    def _end_sentence(self, end: int, *, by_marker: bool = False) -> None:
        """A sentence is known to end at `end`: cut there, or remember it."""
        words = bisect_left(self._spaces, end) + 1
        if self._text[end - 1 : end] in _WIDE_ENDS:
            words = max(words, end // _WIDE_WORD)
        may_cut = by_marker or self._in_sentences
        is_long_enough = self._is_first or words >= self._min_words
        if may_cut and is_long_enough and _is_speakable(self._text[:end]):
            self._emit(end)
        else:
            self._last_end = end

    def _force(self, last_space: int) -> None:
        """A limit is reached: cut at the last sentence end, else at `last_space`."""
        self._emit(self._last_end or last_space)

    def _emit(self, end: int) -> None:
        """Cut at `end`. Only text without a letter or digit is not given out."""
        piece, self._text = self._text[:end], self._text[end:].lstrip(" ")
        skipped = end + 1
        self._spaces = [at - skipped for at in self._spaces if at > end]
        self._last_end = 0
        self._starter_at = 0
        if _is_speakable(piece):
            self._pieces.append(piece)
            self._is_first = False


def _is_speakable(piece: str) -> bool:
    return any(map(str.isalnum, piece))
