"""How likely it is, from its words alone, that a turn is complete. Pure; English.

A ladder of rules, the first that applies decides. Its numbers are judgements, not measurements:
what matters to the endpointing policy is on which side of one half they are, and how far. A
recogniser's full stop is weak evidence (some put one behind whatever they are given), a trailing
"and" is strong.

With a detector that listens to the audio, both are pooled (`pool`): they hear different things.
"""

from __future__ import annotations

import math
import re
from typing import Final

from vantum.core.sentences import CLOSERS, ENDS, SentenceEnd, sentence_end

UNKNOWN: Final = 0.5


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_FILLERS = _words("um umm uhm uh uhh er erm err eh hm hmm ah like basically actually")
#: What asks us to wait, or says that something follows.
_HOLDING = (
    *("hold on", "hang on", "one moment", "one second", "one sec", "just a second"),
    *("just a moment", "let me see", "let me think", "let me check", "you know", "i mean"),
    *("sort of", "kind of", "such as", "the thing is", "as well as", "in order to"),
    *("rather than", "so that", "for example", "for instance"),
)
_CONJUNCTIONS = _words(
    "and but or nor because cause cuz since unless until while whereas although though if whether",
    "which whose than as plus versus except",
)
_ARTICLES = _words(
    "a an the my your our their its every very quite these those another either neither some any",
    "mr mrs ms dr",
)
_SUBJECTS = _words("i we they he she")
_CONTRACTIONS = _words(
    "i'm i'd i'll i've we're we'd we'll we've you're you'd you'll you've they're they'd they'll",
    "they've he'd he'll she'd she'll it'd it'll it's that's there's here's what's who's where's",
    "he's she's let's",
)
_AUXILIARIES = _words("is are was were am be been do does did has have had can could will would")
_AUXILIARIES |= _words("shall should may might must")
_PREPOSITIONS = _words("of from with into onto toward towards between among during without within")
_PREPOSITIONS |= _words("regarding concerning despite upon via per")
#: They end sentences too: "come on", "what is it for".
_PARTICLES = _words("to for in on at by about over under through after before so then well")
_PRONOUNS = _words("i you he she it we they this that there who what")
#: Whole turns on their own.
_ANSWERS = _words(
    "yes yeah yep yup no nope nah okay ok sure right correct exactly absolutely definitely",
    "certainly perfect great fine good thanks please hello hi hey bye goodbye sorry pardon maybe",
    "never always nothing mm-hmm mhm uh-huh alright indeed agreed cool",
)
_DIGITS = _words("zero oh one two three four five six seven eight nine double triple")
#: Telephone numbers, with and without their area and country codes.
_NUMBER_LENGTHS = frozenset({7, 10, 11})
_TRAILING_OFF = (",", ";", ":", "-", "–", "—", "…", "...")
_EDGES = re.compile(r"^[^\w@]+|[^\w@]+$")
_NO_WORD = re.compile(r"\W")
_LOOKED_AT = 3


def completeness(text: str) -> float:
    """The probability that `text`, a turn's words so far, is all that the caller wants to say.

    0.5 (`UNKNOWN`) if there are no words.
    """
    raw = text.split()
    words = _last_words(raw)
    if not words:
        return UNKNOWN
    written = text.rstrip().rstrip(CLOSERS)
    asks = written.endswith(("?", "？"))
    if not asks and written.endswith(_TRAILING_OFF):
        return 0.1
    return _by_last_words(words, asks=asks) or _by_punctuation(raw, asks=asks)


def _last_words(raw: list[str]) -> list[str]:
    """As many as the rules look at: three, and further back as long as somebody dictates."""
    words: list[str] = []
    for part in reversed(raw):
        if word := _EDGES.sub("", part.lower()).replace("’", "'"):
            words.append(word)
            if len(words) >= _LOOKED_AT and not any(_spelt(word)):
                break
    words.reverse()
    return words


def _by_last_words(words: list[str], *, asks: bool) -> float | None:
    """What the last words say, if anything."""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    tail = " ".join(words[-3:])
    if any(tail == phrase or tail.endswith(f" {phrase}") for phrase in _HOLDING):
        return 0.5 if asks else 0.08
    if last in _FILLERS or last in _ARTICLES or last in _CONJUNCTIONS:
        return 0.4 if asks else 0.05
    if last in _SUBJECTS or last in _CONTRACTIONS:
        return 0.45 if asks else 0.1
    if asks:
        return None
    if last in _PREPOSITIONS:
        return 0.1
    if last in _PARTICLES:
        return 0.2
    if last in _AUXILIARIES:
        return 0.6 if before in _PRONOUNS else 0.2  # "yes, it is" against "my name is"
    return _by_spelling(words) or (0.8 if last in _ANSWERS else None)


def _by_spelling(words: list[str]) -> float | None:
    """Somebody dictates: digits, or letters, or an address; complete at a usual length only."""
    if words[-1] in ("dot", "@", "underscore", "dash", "hyphen"):
        return 0.05
    digits = letters = 0
    for word in reversed(words):
        more_digits, more_letters = _spelt(word)
        if not more_digits and not more_letters:
            break
        digits += more_digits
        letters += more_letters
    if letters > 1:
        return 0.3
    if digits in _NUMBER_LENGTHS:
        return 0.8
    return 0.25 if digits > 1 and digits != 4 else None  # four: a year, a time


def _spelt(word: str) -> tuple[int, int]:
    """How many digits and letters a word is; most are neither."""
    plain = _NO_WORD.sub("", word)
    if plain.isdigit():
        return len(plain), 0
    if word in _DIGITS:
        return (2 if word == "triple" else 1), 0
    return 0, int(len(word) == 1 and word.isalpha() and word not in ("a", "i"))


def _by_punctuation(raw: list[str], *, asks: bool) -> float:
    if asks:
        return 0.9
    word = raw[-1]
    if not any(mark in ENDS for mark in word):
        return UNKNOWN
    match sentence_end(word, begins_sentence=len(raw) == 1):
        case SentenceEnd.NO:
            return 0.2
        case SentenceEnd.CLEAR:
            return 0.8
        case _:
            return 0.65


# ---------------------------------------------------------------- with the audio's judgement

# The audio says more: pitch and pace fall at a turn's end, whatever the words. On recorded voices
# it still does best with no more weight than they have (docs/benchmarks.md).
_AUDIO_WEIGHT = 0.5
# A model that is dead sure is not to be believed so much.
_SUREST = 0.98


def pool(audio: float | None, text: float | None) -> float | None:
    """Both probabilities in one; one if there is only one; None if there is neither.

    A logarithmic opinion pool (Genest and Zidek 1986, "Combining probability distributions"): the
    weighted mean of the log odds. Where both agree it is as sure as they are; where one does not
    know (0.5) the other is heard in part; where they contradict each other it is near one half.
    """
    if audio is None or text is None:
        return audio if text is None else text
    odds = _AUDIO_WEIGHT * _log_odds(audio) + (1 - _AUDIO_WEIGHT) * _log_odds(text)
    return 1 / (1 + math.exp(-odds))


def _log_odds(probability: float) -> float:
    held = min(max(probability, 1 - _SUREST), _SUREST)
    return math.log(held / (1 - held))
