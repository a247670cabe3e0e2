"""How near two things said are to each other, for the words a recogniser makes of a phone call.

Words in common count by how rare they are in the book: rare words say more about what is meant.
Before that, what tells nothing is taken away (fillers, endings, contractions), and words that mean
the same in a sales call are made the same. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

Features: TypeAlias = frozenset[str]


def words_set(words: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(words.split())


_SPOKEN: Final = tuple(
    (re.compile(pattern), full)
    for pattern, full in (
        (r"’", "'"),
        (r"\bcan't\b|\bcannot\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"n't\b", " not"),
        (r"\blet's\b", "let us"),
        (r"'m\b", " am"),
        (r"'re\b", " are"),
        (r"'s\b", " is"),
        (r"'ve\b", " have"),
        (r"'ll\b", " will"),
        (r"'d\b", " would"),
        (r"\bgonna\b", "going to"),
        (r"\bwanna\b", "want to"),
        (r"\be-?\s?mails?\b", "email"),
        # What only begins a sentence.
        (r"\byou know(?: what)?\b,?(?! (?:about|the|my|who|how|where))|\bi mean\b", ""),
        (r"\b(?:can|could|would) you tell me (?=what|how|who|where|when|why|if)", ""),
        (r"\bi (?:was wondering|would like to know|want to know)(?: if)?\b", ""),
        (r"\bvoice\s?-?mails?\b", "voicemail"),
        (r"\ba\.?\s?i\b\.?", "ai"),
        (r"\bc\.?\s?[etf]\.?\s?o\b", "boss"),
        (r"\bp\.?\s?d\.?\s?f\b", "pdf"),
        (r"\bc\.?\s?r\.?\s?m\b", "crm"),
    )
)
#: Said without meaning, or so often that it means nothing.
FILLERS: Final = words_set(
    "uh um uhm er erm hmm mm ah oh well so like actually really basically honestly just "
    "look hey hang wait yeah guys folks kind sort of please then again also even anyway quite very "
    "the a an"
)
#: Words that mean the same in a sales call, each group under its first.
_SAME: Final = (
    "cost price pricing charge fee rate expensive pay dollar dollars",
    "robot machine computer ai bot chatbot automated artificial",
    "person human",
    "boss manager director supervisor owner chief husband wife partner",
    "vendor provider supplier competitor agency",
    "crm salesforce hubspot pipedrive zoho calendar integrate integration software tool outlook",
    "cancel terminate opt",
    "contract agreement subscription commitment",
    "email mail brochure pdf",
    "send shoot forward",
    "call ring phone telephone dial",
    "stop quit",
    "remove delete",
    "test try trial pilot",
    "demo demonstration presentation",
    "customer client lead",
    "information info details material",
    "location located based office headquarters",
    "guarantee promise expect",
    "support help assist",
    "safe secure security privacy gdpr private protect",
    "no nah nope",
    "good fine great",
    "money budget fund",
    "second minute moment sec",
    "connect plug hook sync",
    "problem trouble issue break broken fail",
    "proof reference evidence",
    "meeting appointment",
    "setup set install implement",
    "monday tuesday wednesday thursday friday",
    "noon morning afternoon evening",
    "one two three four five six seven eight nine ten eleven twelve",
    "hello hi",
    "bye goodbye",
)
_GROUP: Final = {word: group.split()[0] for group in _SAME for word in group.split()}
_FUNCTION: Final = words_set(
    "i me my mine we us our ours you your yours he him his she her it its they them their this "
    "that these those there here who what which how when where why is are am was were be been do "
    "does did have has had will would can could shall should may might must not no yes and or but "
    "if so as than then to of in on at by for from with about into up out off over more most some "
    "any all both each a an the let us too very just also only"
)
_WORD: Final = re.compile(r"[a-z]+")
_CLAUSE: Final = re.compile(r"[.,;:!?]+\s|\b(?:but|and|because|though)\b")
#: What a part of a longer utterance counts against the whole of one.
_PART: Final = 0.93
#: Two words side by side say less than the words themselves, but tell "not interested" apart.
_PAIR: Final = 0.2
#: What the second nearest phrase of the same meaning adds.
_SUPPORT: Final = 0.5
#: A word that the book does not know speaks for no example, and hardly against one.
_UNKNOWN: Final = 0.6
#: Of a word like "is" or "you" against one of meaning.
_LITTLE: Final = 0.5


def words_of(text: str) -> list[str]:
    """The plain words of `text`: contractions written out, fillers kept."""
    text = text.lower()
    for pattern, full in _SPOKEN:
        text = pattern.sub(full, text)
    return _WORD.findall(text)


def content_of(text: str) -> frozenset[str]:
    """The words of `text` that carry its meaning, by their stems."""
    return frozenset(stem(word) for word in words_of(text) if word not in _FUNCTION)


def stem(word: str) -> str:
    """The word without its ending."""
    for ending in ("ing", "ed", "es", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e") if len(word) > 3 else word


def clauses_of(text: str) -> list[str]:
    """The whole of `text`, and the parts of it that can stand alone."""
    parts = [part.strip() for part in _CLAUSE.split(text)]
    return [text, *(part for part in parts if len(part.split()) > 1 and part != text)]


def features_of(text: str) -> Features:
    """The words of `text` without fillers, as concepts, and the pairs of neighbours."""
    every = words_of(text)
    words = [word for word in every if word not in FILLERS] or every
    named = [_GROUP.get(word) or _GROUP.get(stem(word)) or stem(word) for word in words]
    pairs = (f"{one} {other}" for one, other in pairwise(named))
    return frozenset(named) | frozenset(pairs)


class Book:
    """Phrases that things said are compared with, each with a label: those that mean the same."""

    def __init__(self, phrases: Sequence[tuple[str, str]]) -> None:
        """`phrases`: pairs of a label and a phrase."""
        features = [features_of(phrase) for _, phrase in phrases]
        self._labels = [label for label, _ in phrases]
        self._holders: dict[str, list[int]] = {}
        for at, phrase in enumerate(features):
            for feature in phrase:
                self._holders.setdefault(feature, []).append(at)
        self._meanings = len(set(self._labels))
        self._worths = {
            feature: self._worth(feature, len({self._labels[at] for at in holders}))
            for feature, holders in self._holders.items()
        }
        self._weights = [self._weight(phrase) for phrase in features]

    def nearest(self, said: str) -> tuple[int, float]:
        """The phrase nearest to `said`: its index, and from 0 nothing in common to 1 the same.

        Phrases of one meaning support each other: the second nearest of them counts a little.
        """
        near, *parts = [self._near(features_of(clause)) for clause in clauses_of(said)]
        for part in parts:
            near = [max(one, _PART * other) for one, other in zip(near, part, strict=True)]
        by_label: dict[str, list[int]] = {}
        for at in sorted(range(len(near)), key=near.__getitem__, reverse=True):
            by_label.setdefault(self._labels[at], []).append(at)
        scored = [
            (near[first] + (_SUPPORT * near[others[0]] if others else 0), first)
            for first, *others in by_label.values()
        ]
        _, best = max(scored, key=lambda one: (one[0], -one[1]), default=(0.0, 0))
        return best, near[best]

    def _near(self, said: Features) -> list[float]:
        common = [0.0] * len(self._labels)
        for feature in sorted(said):  # sums must not depend on the order of a set
            for at in self._holders.get(feature, ()):
                common[at] += self._worths[feature]
        own = self._weight(said)
        return [
            2 * both / (own + other) if both else 0.0
            for both, other in zip(common, self._weights, strict=True)
        ]

    def _weight(self, features: Features) -> float:
        unknown = _UNKNOWN * self._worth("", 0)
        return sum(
            self._worths.get(feature, 0.0 if " " in feature else unknown)
            for feature in sorted(features)
        )

    def _worth(self, feature: str, meanings: int) -> float:
        worth = math.log(1 + self._meanings / (1 + meanings))
        return worth * (_PAIR if " " in feature else _LITTLE if feature in _FUNCTION else 1)
