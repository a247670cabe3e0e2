"""The break marker in a stream of text: found wherever it is, whole, sloppy or unfinished.

A marker such as `||BREAK||` is symbols, a word, and symbols again. Models, small ones above all,
do not always write it as asked, and a synthesiser would read what is left of it aloud. So:

- Its **symbols are never spoken**. Two or more in a row are a break by themselves, which also lets
  a break be known at the second `|`, seven characters before the marker's end. A single one is a
  space.
- Its **word beside its symbols** is part of the marker, in any case and with up to three spaces
  between (`|| break ||`, `|BREAK|`, `||BREAK`); without closing symbols only as it is spelt in the
  marker, so that `|| break the ice` keeps its words.
- Its **word alone** (`BREAK`, `[BREAK]`, `**BREAK**`) is a break if it is spelt in capitals, which
  no spoken sentence is.
- **At the end of the text**, an unfinished marker (`||BRE`) is one too.

What comes of text depends on the text alone, never on how it was split into tokens.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from attrs import frozen

#: What `MarkerScanner` gives besides runs of other characters. A line break is worth more to the
#: chunker than a space, a marker more than both.
SPACE: Final = " "
NEWLINE: Final = "\n"
BREAK: Final = ""

#: A longer run of symbols is read in portions, so that what is held back stays bounded.
_RUN = 8
#: Symbols that are part of speech or of its punctuation cannot be dropped from the text.
_SPOKEN = frozenset(".,!?;:'\"()-$%&@…“”‘’")


@frozen
class MarkerGrammar:
    """The patterns of one marker. `bare` ones are None where the word alone says nothing."""

    symbols: frozenset[str]
    break_run: int
    first_letter: str
    plain: re.Pattern[str]
    whole: re.Pattern[str]
    unfinished: re.Pattern[str]
    dangling: re.Pattern[str]
    bare: re.Pattern[str] | None
    bare_unfinished: re.Pattern[str] | None


def _beginnings(word: str, tail: str = "") -> str:
    """Pattern of every non-empty beginning of `word`; behind all of it, optionally `tail`."""
    pattern = tail
    for letter in reversed(word):
        pattern = re.escape(letter) + (f"(?:{pattern})?" if pattern else "")
    return pattern


@lru_cache(maxsize=64)
def marker_grammar(marker: str) -> MarkerGrammar:
    """How `marker` is recognised.

    Raises:
        ValueError: it does not begin and end with symbols, they are ones that speech needs, or
            there is a space in it.
    """
    word = marker
    while word and not word[0].isalnum():
        word = word[1:]
    lead = marker[: len(marker) - len(word)]
    while word and not word[-1].isalnum():
        word = word[:-1]
    trail = marker[len(lead) + len(word) :] if word else lead
    symbols = frozenset(lead + trail)
    if not lead or not trail or symbols & _SPOKEN or any(c.isspace() for c in marker):
        raise ValueError(
            f"break marker {marker!r} must begin and end with symbols that are not punctuation, "
            'such as "||BREAK||", and contain no space'
        )
    inner = "".join(re.escape(symbol) for symbol in sorted(symbols))
    s = f"[{inner}]"
    junk = rf"(?:[^\w\s{inner}]|_){{0,4}}"
    w = re.escape(word)
    if word:
        # Closing symbols are looked at, not taken: they are a break anyway, and they may as well be
        # the opening ones of the next marker.
        whole = rf"\s{{0,3}}(?:(?i:{w})(?=\s{{0,3}}{s})|{w}(?!\w))"
        beginning = _beginnings(word, r"\s{0,3}")
        unfinished = rf"(?:\s{{0,3}}(?i:{beginning})?)?"
        two_or_more = re.escape(word[0]) + _beginnings(word[1:])
        dangling = rf"(?:(?i:{_beginnings(word)})|\s{{1,3}}(?:(?i:{w})|{two_or_more}))?"
    else:
        whole, unfinished, dangling = "(?!)", "", ""
    loud = len(word) > 2 and word.isalnum() and word.isupper()
    return MarkerGrammar(
        symbols=symbols,
        break_run=min(2, len(marker)),
        first_letter=word[:1],
        plain=re.compile(rf"[^\s{inner}]+"),
        whole=re.compile(rf"(?P<run>{s}{{1,{_RUN}}})(?P<word>{whole})?"),
        unfinished=re.compile(rf"{s}{{1,{_RUN}}}{unfinished}"),
        dangling=re.compile(rf"{s}{{1,{_RUN}}}{dangling}"),
        bare=re.compile(rf"{junk}{w}{junk}(?=\s|{s}|\Z)") if loud else None,
        bare_unfinished=re.compile(rf"{junk}(?:{_beginnings(word, junk)})?") if loud else None,
    )


_WHITESPACE = re.compile(r"\s+")


class MarkerScanner:
    """Text in tokens → its characters without markers, and where the breaks are.

    Gives runs of characters that are neither space nor marker, and between them `SPACE`,
    `NEWLINE` and `BREAK` (any number in a row). Holds back at most a marker's length.
    """

    __slots__ = ("_announced", "_at_word_start", "_grammar", "_held")

    def __init__(self, marker: str) -> None:
        self._grammar = marker_grammar(marker)
        self._held = ""
        self._announced = False  # the break of the marker that is held back was given already
        self._at_word_start = True

    @property
    def held_chars(self) -> int:
        """Characters that may yet turn out to be a marker."""
        return len(self._held)

    def feed(self, token: str, *, final: bool = False) -> list[str]:
        """What is certain after `token`; with `final`, everything."""
        text = self._held + token
        grammar = self._grammar
        given: list[str] = []
        at = 0
        while at < len(text):
            char = text[at]
            if char in grammar.symbols:
                end = self._marker(text, at, final, given)
            elif char.isspace():
                end = self._whitespace(text, at, given)
            else:
                end = self._word(text, at, final, given)
            if end == at:
                break
            at = end
        self._held = text[at:]
        return given

    def _marker(self, text: str, at: int, final: bool, given: list[str]) -> int:
        """Where the marker that begins `at` ends; `at` itself if that is not yet certain."""
        grammar = self._grammar
        if final:
            if grammar.dangling.fullmatch(text, at):
                given.append(BREAK)
                return len(text)
        elif grammar.unfinished.fullmatch(text, at):
            is_break = all(c in grammar.symbols for c in text[at : at + grammar.break_run])
            if is_break and len(text) - at >= grammar.break_run and not self._announced:
                given.append(BREAK)
                self._announced = True
            return at
        match = grammar.whole.match(text, at)
        assert match is not None  # the character at `at` is one of the symbols
        if not self._announced:
            is_break = match["word"] is not None or len(match["run"]) >= grammar.break_run
            given.append(BREAK if is_break else SPACE)
        self._announced = False
        self._at_word_start = True
        return match.end()

    def _whitespace(self, text: str, at: int, given: list[str]) -> int:
        match = _WHITESPACE.match(text, at)
        assert match is not None
        given.append(NEWLINE if "\n" in match[0] else SPACE)
        self._at_word_start = True
        return match.end()

    def _word(self, text: str, at: int, final: bool, given: list[str]) -> int:
        grammar = self._grammar
        may_be_bare = text[at] == grammar.first_letter or not text[at].isalnum()
        if self._at_word_start and may_be_bare and grammar.bare and grammar.bare_unfinished:
            if not final and grammar.bare_unfinished.fullmatch(text, at):
                return at
            if bare := grammar.bare.match(text, at):
                given.append(BREAK)
                return bare.end()
        match = grammar.plain.match(text, at)
        assert match is not None
        given.append(match[0])
        self._at_word_start = False
        return match.end()


def strip_markers(text: str, marker: str) -> str:
    """`text` without markers and their remains, with single spaces: as it is said.

    The same words that a `Chunker` gives in pieces.

    Raises:
        ValueError: `marker` cannot be one.
    """
    given = MarkerScanner(marker).feed(text, final=True)
    return " ".join("".join(run if run.strip() else " " for run in given).split())


def without_unfinished(text: str, marker: str) -> str:
    """`text` without a marker that was begun at its end and is not whole: there it was cut off."""
    if text.endswith(marker):
        return text
    begun = next((n for n in range(len(marker) - 1, 0, -1) if text.endswith(marker[:n])), 0)
    return text[: len(text) - begun].rstrip() if begun else text
