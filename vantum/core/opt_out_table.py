"""Requests not to be called again as a table of patterns, for one language.

Patterns are matched against what `folded` makes of a transcript: small letters without accents,
` .` for whatever ends a sentence. A language's own module says what counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import field, frozen

#: Nothing comes any more, or another sentence.
END: Final = r"(?=$| [.](?: |$))"

_ENDS: Final = re.compile(r"[.!?;:¡¿…]+")
#: A comma stands in the middle of requests ("hören Sie auf, mich anzurufen"), as a hyphen does.
_NOTHING: Final = re.compile(r"[^\w\s'.]")
#: "3.50" and "9:15" are no two sentences.
_IN_NUMBER: Final = re.compile(r"(?<=\d)[.:](?=\d)")


def folded(text: str) -> str:
    """Small letters without accents and with single spaces; ` .` for the end of a sentence."""
    plain = unicodedata.normalize("NFKD", text).casefold().replace("’", "'")
    plain = unicodedata.normalize("NFKD", plain)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = _ENDS.sub(" . ", _IN_NUMBER.sub(" ", plain))
    return " ".join(_NOTHING.sub(" ", plain).split())


#: Nothing of a word stands before it.
_NO_WORD: Final = r"(?<![\w'])"


def starting_a_word(pattern: str) -> re.Pattern[str]:
    """What begins where a word does."""
    return re.compile(f"{_NO_WORD}(?:{pattern})")


def any_of(patterns: Iterable[re.Pattern[str]]) -> re.Pattern[str]:
    """One pattern that is found where any of these `starting_a_word` is, in a fraction of the time:
    nearly nobody asks, and everything that anybody says is looked through."""
    inner = (pattern.pattern.removeprefix(_NO_WORD) for pattern in patterns)
    return re.compile(f"{_NO_WORD}(?:{'|'.join(inner)})")


def _compiled(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(map(starting_a_word, patterns))


def _right_before(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words}) $")


def _right_after(words: str) -> re.Pattern[str]:
    return re.compile(rf" (?:{words})\b")


@frozen
class Table:
    """What counts in a language.

    Attributes:
        requests: what somebody says who asks for it.
        unless_before: what stands right before something that only looks like it: a denial, or
            somebody else who does not call any more.
        unless_after: what comes right after it then: a time ("tomorrow"), or something else.
    """

    requests: tuple[re.Pattern[str], ...] = field(converter=_compiled)
    unless_before: re.Pattern[str] = field(converter=_right_before)
    unless_after: re.Pattern[str] = field(converter=_right_after)
    _any: re.Pattern[str] = field(init=False)

    @_any.default
    def _any_request(self) -> re.Pattern[str]:
        return any_of(self.requests)

    def find(self, transcript: str) -> str | None:
        """The words of the first request, as they were matched, without accents; None: there is
        none."""
        said = folded(transcript)
        if self._any.search(said) is None:
            return None
        for request in self.requests:
            for found in request.finditer(said):
                before = said[: found.start()].rsplit(". ", 1)[-1]
                if self.unless_before.search(before) or self.unless_after.match(
                    said[found.end() :]
                ):
                    continue
                return found[0].replace(" .", "").strip()
        return None
