"""Whether a sentence of a small model still says what the example's sentence says.

The model may put an answer in its own words and take up the prospect's, but it knows nothing that
it was not given: it swaps "you" and "me", loses the verb, and promises to be there tomorrow. Each
rule is about words alone, so that it holds for any example. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from vantum.providers.local.nearness import content_of, stem, words_of

#: First person to second, both ways, by what the word does in its sentence.
_OTHER_SIDE: Final = {
    "i": ("you",),
    "me": ("you",),
    "my": ("your",),
    "mine": ("yours",),
    "we": ("you",),
    "us": ("you",),
    "our": ("your",),
    "ours": ("yours",),
    "you": ("i", "me", "we", "us"),
    "your": ("my", "our"),
    "yours": ("mine", "ours"),
}
_NUMBERS: Final = (
    "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty "
    "sixty seventy eighty ninety hundred thousand million dozen twice double half percent"
)
_TIMES: Final = (
    "today tonight tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday "
    "january february march april june july august september october november december morning "
    "noon afternoon evening minute hour day week weekend month quarter year o'clock soon later"
)
#: Terms that a seller is held to.
_TERMS: Final = "free guarantee discount refund promise cheaper trial price cost dollar euro pound"
_TIMED: Final = frozenset(stem(word) for word in f"{_NUMBERS} {_TIMES}".split())
_BINDING: Final = frozenset(stem(word) for word in _TERMS.split())
_UNDERTAKEN: Final = re.compile(r"\b(?:i|we)(?: will|'ll) (?:also |be |gladly |then )*([a-z]+)")
#: Words of meaning of its own that a sentence may have.
_OWN_WORDS: Final = 1
#: The share of the example's words of meaning that it has to keep.
_KEPT: Final = 0.5


def is_faithful(sentence: str, example: str, *, opening: str, known: str, closing: bool) -> bool:
    """Whether `sentence` may be said in the place of the example's.

    Args:
        sentence: a whole sentence of the model, with its opening.
        example: the sentence of the example in its place.
        opening: the words that both begin with, given to the model; may be empty.
        known: everything that the model was given to read.
        closing: the call ends with this answer: nothing new is asked or announced.
    """
    if swaps_sides(sentence, example) or _inflects(sentence, example):
        return False
    stems = {stem(word) for word in words_of(sentence)}
    given = {stem(word) for word in words_of(example)}
    read = given if closing else {stem(word) for word in words_of(known)}
    if (stems & _TIMED) - read or (stems & _BINDING) - given:
        return False
    if _undertaken(sentence) - _undertaken(example):
        return False
    if closing and "?" in sentence and "?" not in example:
        return False
    return _keeps_point(sentence.removeprefix(opening), example.removeprefix(opening), known)


def swaps_sides(sentence: str, example: str) -> bool:
    """Whether a pronoun stands where the example has that of the other side.

    The place of a pronoun is the word before it or the word after it: "call you" and "call me".
    """
    there = _places(example)
    return any(
        (other, beside) in there
        for pronoun, beside in _places(sentence) - there
        for other in _OTHER_SIDE[pronoun]
        if (pronoun, beside) not in there
    )


def _inflects(sentence: str, example: str) -> bool:
    """Whether it is the example with other endings: "how does your team finds"."""
    one, other = words_of(sentence), words_of(example)
    return one != other and [*map(stem, one)] == [*map(stem, other)]


def _places(sentence: str) -> frozenset[tuple[str, tuple[str, str]]]:
    words = ["", *words_of(sentence), ""]
    places = set()
    for before, word, after in zip(words, words[1:], words[2:], strict=False):
        if word in _OTHER_SIDE:
            places |= {(word, (side, beside)) for side, beside in _beside(before, after)}
    return frozenset(places)


def _beside(before: str, after: str) -> list[tuple[str, str]]:
    both = (("before", stem(before)), ("after", stem(after)))
    return [(side, beside) for side, beside in both if beside]


def _undertaken(sentence: str) -> set[str]:
    return {stem(word) for word in _UNDERTAKEN.findall(sentence.lower().replace("’", "'"))}


def _keeps_point(own: str, example: str, known: str) -> bool:
    said, meant = content_of(own), content_of(example)
    kept = len(said & meant) >= _KEPT * len(meant)
    return kept and len(said - content_of(known)) <= _OWN_WORDS
