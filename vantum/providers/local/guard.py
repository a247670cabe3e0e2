"""Watches over what a small model says, sentence by sentence, before it is heard.

Small models loop, echo, take the other side's part, and state and promise what nobody gave them. A
sentence is released when it is complete and found good (speech is cut at sentence ends anyway, so
this costs nothing); at the first bad one the answer ends, with the rest of the example in its place
if the answer followed an example. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from vantum.core.sentences import SentenceEnd, sentence_end
from vantum.providers.local.faithful import is_faithful

_LABEL: Final = re.compile(
    r"^\W*(?:alex|assistant|user|system|prospect|caller|customer|agent|me|you)\s*:", re.IGNORECASE
)
_NONSENSE: Final = re.compile(r"[\[\]{}<>*#|_]|https?:|\bsay:", re.IGNORECASE)
#: What small models were trained on: help desks, and being asked what they are.
_HELP_DESK: Final = re.compile(
    r"language model|customer service|sorry for (?:any|the|your)|(?:help|assist) you with any"
    r"|i'm (?:a|not a) (?:human|person|robot|chatbot|salesperson)",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[\w']+")
_MAX_WORDS: Final = 40
_MOSTLY: Final = 0.75  # of the words in common: the same thing said twice


class Guard:
    """One answer. Feed it the model's text; speak what it returns; stop when `done`."""

    def __init__(
        self,
        *,
        sentences: int,
        strict: bool = True,
        heard: str = "",
        known: str = "",
        opening: str = "",
        model: str = "",
        closing: bool = False,
    ) -> None:
        """Watch over an answer.

        Args:
            sentences: how many it may have.
            strict: otherwise only loops and the other side's part end it, for models that know
                what they say.
            heard: what the other side said last, which is not to be echoed.
            known: all text the model was given; only numbers that are in it may be said.
            opening: the beginning of the answer, already spoken.
            model: the answer of the example that it follows: what it says must be said by that,
                sentence for sentence, in these words or others.
            closing: nothing new is asked or announced.
        """
        self._strict = strict
        self._heard = _words(heard)
        self._known = f"{known} {model}"
        self._numbers = set(_NUMBER.findall(self._known))
        self._closing = closing
        self._example = split_sentences(model)
        self._limit = min(sentences, len(self._example) or sentences)
        self._said: list[str] = []
        *whole, self._open = split_sentences(opening) or [""]
        self._said.extend(whole)
        if is_whole(self._open):
            self._said.append(self._open)
            self._open = ""
        self._held = ""
        self.done = len(self._said) >= self._limit

    def feed(self, text: str) -> str:
        """Take what the model wrote next; what of the answer may be spoken now."""
        if self.done:
            return ""
        self._held += text
        if not (self._said or self._open):
            self._held = self._held.lstrip()
        line, newline, _ = self._held.partition("\n")
        spoken = ""
        while not self.done and (at := _first_end(self._open + line)):
            at -= len(self._open)
            sentence, line = line[:at], line[at:]
            spoken += self._judge(sentence)
        self._held = line
        return spoken + self.finish() if newline else spoken

    def finish(self) -> str:
        """The model has ended: the rest that may be spoken."""
        if self.done:
            return ""
        rest, self._held = self._held, ""
        spoken = self._judge(rest) if (self._open + rest).strip() else ""
        if self._closing and not self.done:
            spoken += self._rest_of_example()
        self.done = True
        return spoken

    def _judge(self, sentence: str) -> str:
        whole = (self._open + sentence).strip()
        if self._is_good(whole):
            spoken = sentence if self._said or self._example else sentence.lstrip()
            self._said.append(whole)
        else:
            spoken = self._rest_of_example()
            if self._open and not spoken:
                spoken = "."
        self._open = ""
        if len(self._said) >= self._limit:
            self.done = True
        return spoken

    def _rest_of_example(self) -> str:
        """What the example says from here on, in the model's place."""
        self.done = True
        rest = self._example[len(self._said) : self._limit]
        self._said.extend(rest)
        text = " ".join(rest)
        return text.removeprefix(self._open) if self._open else f" {text}".rstrip()

    def _is_good(self, sentence: str) -> bool:
        words = _words(sentence)
        if _LABEL.search(sentence) or any(_alike(words, _words(said)) for said in self._said):
            return False
        if not self._strict:
            return not _loops(words, often=3)
        if _NONSENSE.search(sentence) or _loops(words, often=2) or len(words) > _MAX_WORDS:
            return False
        if self._example and not is_faithful(
            sentence,
            self._example[len(self._said)],
            opening=self._open,
            known=self._known,
            closing=self._closing,
        ):
            return False
        # The only sentence of an answer without an example to fall back on is better than silence.
        return not (self._example or self._said) or (
            is_whole(sentence)
            and not _HELP_DESK.search(sentence)
            and set(_NUMBER.findall(sentence)) <= self._numbers
            and not _alike(words, self._heard)
        )


def split_sentences(text: str) -> list[str]:
    """The sentences of `text`, trimmed; the last may be unfinished."""
    sentences: list[str] = []
    while at := _first_end(text):
        sentences.append(text[:at].strip())
        text = text[at:]
    return sentences + ([text.strip()] if text.strip() else [])


def is_whole(sentence: str) -> bool:
    """Whether it ends as sentences do."""
    return sentence.rstrip("\"'”’)")[-1:] in (".", "!", "?", "…") and sentence[-1:] != ""


def _first_end(text: str) -> int:
    """Where the first sentence that is followed by a space ends; 0 if there is none."""
    for space in re.finditer(r"(?<=\S)\s", text):
        before = text[: space.start()]
        word = before[before.rfind(" ") + 1 :]
        begins = not before[: -len(word)].strip()
        end = sentence_end(word, begins_sentence=begins)
        if end in (SentenceEnd.CLEAR, SentenceEnd.UNLESS_LOWER):
            return space.start()
    return 0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def _loops(words: list[str], *, often: int) -> bool:
    threes = Counter(zip(words, words[1:], words[2:], strict=False))
    return any(count >= often for count in threes.values())


def _alike(one: list[str], other: list[str]) -> bool:
    a, b = set(one), set(other)
    return len(a | b) > 2 and len(a & b) >= _MOSTLY * len(a | b)
