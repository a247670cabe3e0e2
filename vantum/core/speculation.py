"""Answering ahead of time: when to ask the model for a turn that is not over yet. Pure.

A *guess* is what the caller's turn would be if it ended now. While he is silent and the line is
free, a guess that is likely to be the whole turn may be answered in secret: *likely* when the
end of the turn was judged, or when the turn-taking policy thinks the sentence complete before its
wait is over. The secret answer lives as long as the guess stays the same, and is kept if the turn
is then committed with the same words. Another word, a voice, an answer that begins: it is dropped.

Dropped answers cost money. They are counted, prompts and all, and two limits bound them: how many
are begun in one turn, and how many tokens were wasted in the last minute.

`Speculation` is a value. Where time enters as `now_s` it is seconds on any steady clock.
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal, TypeAlias

from attrs import define, field, frozen

from vantum.core.decisions import Conversation
from vantum.core.evolving import evolve
from vantum.core.history import request_tokens
from vantum.core.messages import ChatRequest
from vantum.core.tokens import CountTokens
from vantum.core.turn_taking import is_auto

Mode: TypeAlias = Literal["off", "model", "speech"]

#: Sounds that recognisers write down or leave out as they like. No word with a meaning is here:
#: "mhm" and "uh-huh" say yes.
FILLERS: Final = frozenset(("uh", "uhh", "um", "umm", "uhm", "er", "erm", "hm", "hmm", "mm"))
#: Punctuation that is read aloud.
_SPOKEN: Final = "%&@#/"
_MINUTE_S: Final = 60.0


def normalised(text: str) -> str:
    """The words of a text, for comparison: without case, punctuation, white space and fillers."""
    letters = []
    for char in unicodedata.normalize("NFKC", text).casefold():
        if char in "'’":
            continue
        dropped = unicodedata.category(char).startswith("P") and char not in _SPOKEN
        letters.append(" " if dropped else char)
    return " ".join(word for word in "".join(letters).split() if word not in FILLERS)


def guess(c: Conversation) -> str:
    """The turn if it ended now, as it would be committed; "" if this is no moment to guess."""
    free = (
        is_auto(c)
        and c.state == "LISTENING"
        and c.turn is None
        and c.closing is None
        and not c.queue
        and not c.overdue
        and len(c.flushes) <= 1
        # Words that go on with an earlier turn, or may yet be passed over, wait for their commit.
        and not c.joins
        and c.bargein.stopped_s is None
    )
    if not free or c.endpointing.voice_s is not None:
        return ""
    return " ".join(part for part in (*c.words, c.interim) if part).strip()


@frozen
class SpeculationOptions:
    """The settings; `SpeculationSettings` explains them."""

    mode: Mode = "off"
    probability: float = 0.6
    confidence: float = 0.7
    max_per_turn: int = 3
    max_wasted_tokens: int = 20_000


@frozen
class Start:
    """Answer this text in secret."""

    text: str


@frozen
class Discard:
    """Drop the secret answer."""


Verdict: TypeAlias = Start | Discard | None


@define
class Draft:
    """What a secret answer has cost so far: the requests to the model, as there are several if it
    asks for tools, and all that it wrote."""

    requests: list[ChatRequest] = field(factory=list)
    written: list[str] = field(factory=list)

    def tokens(self, count: CountTokens) -> tuple[int, int]:
        """Tokens that were sent, and that were written."""
        sent = sum(request_tokens(request, count) for request in self.requests)
        return sent, count("".join(self.written))


@frozen
class Waste:
    """Tokens of an answer that was dropped: its prompts and what had been written."""

    at_s: float
    tokens: int


@frozen
class Speculation:
    """What is known of secret answers.

    Attributes:
        live: the words, normalised, of the one that is being made.
        turn: the turn for which `started` were begun.
        kept, dropped, wasted_tokens: counts over the whole call.
        recent: what was wasted in the last minute.
    """

    options: SpeculationOptions = SpeculationOptions()
    live: str | None = None
    turn: int = -1
    started: int = 0
    kept: int = 0
    dropped: int = 0
    wasted_tokens: int = 0
    recent: tuple[Waste, ...] = ()

    def decide(self, c: Conversation, confidence: float, now_s: float) -> Verdict:
        """What to do now.

        Args:
            c: the conversation as it is.
            confidence: the recogniser's in its last words, 0..1.
        """
        if self.options.mode == "off":
            return None
        text = guess(c)
        words = normalised(text)
        if self.live is not None:
            return None if words == self.live else Discard()
        if not words or confidence < self.options.confidence or not self._may_start(c, now_s):
            return None
        return Start(text) if self._is_likely(c) else None

    def fits(self, text: str) -> bool:
        """Whether the committed turn says what the secret answer was made for."""
        return self.live is not None and normalised(text) == self.live

    def begun(self, text: str, c: Conversation) -> Speculation:
        """A secret answer to this text has begun."""
        started = self.started + 1 if self.turn == c.next_turn else 1
        return evolve(self, live=normalised(text), turn=c.next_turn, started=started)

    def was_kept(self) -> Speculation:
        """Its turn was committed; it is an answer like any other."""
        return evolve(self, live=None, kept=self.kept + 1)

    def was_dropped(self, tokens: int, now_s: float) -> Speculation:
        """It was dropped, and so many tokens were for nothing."""
        return evolve(
            self,
            live=None,
            dropped=self.dropped + 1,
            wasted_tokens=self.wasted_tokens + tokens,
            recent=(*self._recent(now_s), Waste(now_s, tokens)),
        )

    def _recent(self, now_s: float) -> tuple[Waste, ...]:
        return tuple(waste for waste in self.recent if waste.at_s > now_s - _MINUTE_S)

    def _may_start(self, c: Conversation, now_s: float) -> bool:
        wasted = sum(waste.tokens for waste in self._recent(now_s))
        if wasted >= self.options.max_wasted_tokens:
            return False
        started = self.started if self.turn == c.next_turn else 0
        # The last one of several is kept for when the turn is judged over: it is the surest.
        spare = 0 if c.flushes or self.options.max_per_turn == 1 else 1
        return started + spare < self.options.max_per_turn

    def _is_likely(self, c: Conversation) -> bool:
        if c.flushes:
            return True
        heard = c.endpointing
        # Without a voice, words come in bursts: only the recogniser knows of a pause.
        paused = heard.voiced or heard.settled_s is not None
        probability = heard.probability
        return paused and probability is not None and probability >= self.options.probability
