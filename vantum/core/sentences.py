"""Whether a word with its punctuation ends a sentence, and what must be seen to be sure.

The question is asked when the space behind a word has come. A wrong "yes" is heard (a pause in
"Dr. … Miller"); a wrong "no" costs only that the sentence is spoken with the next one. So what is
doubtful needs proof in what follows.

English in its lists; the punctuation is that of most scripts.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

ENDS: Final = ".!?…。！？؟।۔"
CLOSERS: Final = "\"'”’»)]}」』）"
#: Scripts that put no space behind a sentence.
WIDE_ENDS: Final = "。！？"

_OPENERS = "\"'“‘«([{¿¡「『（—–-"
_MAY_END = frozenset(ENDS + CLOSERS)
_PLAIN_ENDS = ENDS.replace(".", "").replace("…", "")


class SentenceEnd(Enum):
    """How sure it is that a sentence ended at the space, and what settles it."""

    NO = "no"
    #: Certain, but for a name or a quotation that goes on in small letters: `Yahoo! is`.
    CLEAR = "clear"
    #: Unless the next word begins with a small letter: an ellipsis, a number's full stop.
    UNLESS_LOWER = "unless_lower"
    #: Unless a digit follows: `No. 5` against `No. We don't.`
    UNLESS_DIGIT = "unless_digit"
    #: Only if a word follows that begins sentences: `in the U.S. We` against `the U.S. market`.
    IF_STARTER = "if_starter"


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


#: Names, numbers or examples follow these: never an end.
_LEADING = _words("dr mr mrs ms mx messrs vs cf viz approx esp incl excl e.g i.e")
#: Titles, which in small letters are words of their own: "a sales rep." ends a sentence.
_TITLES = _words(
    "Prof Hon Rev Fr Gen Sen Rep Gov Pres Capt Cpt Cmdr Lt Col Maj Sgt Cpl Adm Supt",
)
_NUMBERED = _words("no nos fig figs vol ch ext pp para")
_EITHER = _words(
    "inc ltd co corp llc llp plc bros assn assoc dept div univ govt intl natl jr sr esq phd md",
    "al etc st ave blvd rd hwy apt ste mt ft min max avg est hr hrs sec secs mins tel misc",
    "jan feb apr jun jul aug sept oct nov dec tue tues thu thur thurs fri",
)
#: As titles are: "the sun." ends a sentence.
_EITHER_CAPITALISED = _words("Mar Mon Wed Sat Sun Sep")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
_LAST_PART = re.compile(r"[\w.]+\Z")

_STARTERS = _words(
    "I We You He She It They The This That These Those There Here A An And But So Or Our My Your",
    "His Her Its Their What When Where Why Who Which How If Is Are Was Were Do Does Did Can Could",
    "Would Will Should May Shall Have Has Had Let Now Then Well Yes No Please Thanks Thank Great",
    "Sure For In On At As With After Before Because While Not Just Also Maybe Perhaps All Some",
    "Many Most Any Each Every One",
)


def sentence_end(word: str, *, begins_sentence: bool) -> SentenceEnd:
    """Judge `word`: the characters between two spaces, punctuation and all.

    `begins_sentence`: it is the first word of its sentence, where `1.` numbers a list.
    """
    if word[-1:] not in _MAY_END:
        return SentenceEnd.NO
    bare = word.rstrip(CLOSERS)
    stem = bare.rstrip(ENDS)
    ends = bare[len(stem) :]
    if not ends:
        return SentenceEnd.NO
    if any(c in _PLAIN_ENDS for c in ends):
        return SentenceEnd.CLEAR
    part = _LAST_PART.search(stem.lstrip(_OPENERS))
    if ends != "." or part is None:
        return SentenceEnd.UNLESS_LOWER
    return _full_stop(part[0], numbers_list=begins_sentence and part[0] == stem)


def _full_stop(stem: str, *, numbers_list: bool) -> SentenceEnd:
    """A single full stop behind `stem`, letters, digits and dots."""
    low = stem.lower()
    if low in _LEADING or stem in _TITLES:
        return SentenceEnd.NO
    if low in _NUMBERED:
        return SentenceEnd.UNLESS_DIGIT
    is_initial = len(stem) == 1 and stem.isalpha() and stem != "I"
    is_short_form = low in _EITHER or stem in _EITHER_CAPITALISED
    if is_initial or is_short_form or _DOTTED.fullmatch(stem):
        return SentenceEnd.IF_STARTER
    if stem.isdigit():
        is_list_number = numbers_list and len(stem) <= 3
        return SentenceEnd.NO if is_list_number else SentenceEnd.UNLESS_LOWER
    return SentenceEnd.CLEAR if stem[-1].islower() else SentenceEnd.UNLESS_LOWER


def begins_sentences(word: str) -> bool:
    """Whether `word` (letters only) is a common first word of an English sentence."""
    return word in _STARTERS
