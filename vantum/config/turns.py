"""Settings of turn-taking: when a caller's turn is over, the greeting, and silence."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from attrs import frozen

from vantum.config.base import setting
from vantum.core.backchannels import BACKCHANNELS
from vantum.core.bargein import BargeInOptions
from vantum.core.endpointing import EndpointingOptions
from vantum.core.prompts import divided


@lru_cache(maxsize=64)
def _phrases(text: str) -> frozenset[str]:
    """Those between the bars: one set for all calls with the same settings."""
    return frozenset(divided(text))


@frozen
class TurnSettings:
    """Who speaks when, with `turnDetection: auto`."""

    min_wait_ms: int = setting(
        350,
        "Shortest silence that ends the user's turn, however complete his sentence is.",
        env="TURN_MIN_WAIT",
        low=50,
        high=5000,
    )
    silence_ms: int = setting(
        1200,
        "Silence that ends it when nothing tells whether the sentence is complete.",
        env="TURN_SILENCE",
        low=100,
        high=10_000,
    )
    max_wait_ms: int = setting(
        2200,
        "Longest silence, however incomplete the sentence is.",
        env="TURN_MAX_WAIT",
        low=200,
        high=30_000,
    )
    adapt: bool = setting(
        True,
        "Draw `silence_ms` towards the pauses that this caller makes, within the two limits.",
        env="TURN_ADAPT",
    )
    debounce_ms: int = setting(
        150,
        "After the voice has stopped, a transcript that grows holds the end back for so long, "
        "unless the recogniser has called the utterance over.",
        env="TURN_DEBOUNCE",
        low=0,
        high=2000,
    )
    deadline_ms: int = setting(
        8000,
        "A voice without any new word for so long ends the turn with the words that are known.",
        env="TURN_DEADLINE",
        low=1000,
        high=60_000,
    )
    voice_activity: Literal["auto", "off"] = setting(
        "auto",
        "`auto`: the embedded voice activity if it is on this machine; `off`: the recogniser's.",
        env="TURN_VOICE_ACTIVITY",
        choices=("auto", "off"),
    )
    detector: Literal["auto", "off"] = setting(
        "auto",
        "`auto`: the embedded end-of-turn model, if it is on this machine, beside the words; "
        "`off`: the words alone say whether a sentence is complete.",
        env="TURN_DETECTOR",
        choices=("auto", "off"),
    )
    read_words: bool = setting(
        True,
        "What was said counts, too, when a turn's end is judged, if the call is in English.",
        env="TURN_READ_WORDS",
    )
    check_ms: int = setting(
        100,
        "Silence after which that model is asked; later it knows no more.",
        env="TURN_CHECK",
        low=0,
        high=5000,
    )
    barge_in: Literal["auto", "words", "off"] = setting(
        "auto",
        "What interrupts the agent: `auto`: the user's voice, or words; `words`: words only; "
        "`off`: nothing, and what he says meanwhile is the next turn.",
        env="TURN_BARGE_IN",
        choices=("auto", "words", "off"),
    )
    barge_in_ms: int = setting(
        60,
        "A voice that lasts so long stops the agent; the embedded ear knows of none before 64 ms.",
        env="TURN_BARGE_IN_VOICE",
        low=40,
        high=5000,
    )
    barge_in_words: int = setting(
        1,
        "So many words stop it, if they are more than listening noises.",
        env="TURN_BARGE_IN_WORDS",
        low=1,
        high=20,
    )
    false_stop_ms: int = setting(
        1000,
        "Silence without words, or with nothing but listening noises, after which an answer that "
        "was stopped goes on.",
        env="TURN_FALSE_STOP",
        low=100,
        high=10_000,
    )
    backchannels: str = setting(
        "|".join(BACKCHANNELS),
        "What a listener says to say that he listens, divided by bars; case and punctuation do not "
        "count. To a question it is an answer.",
        env="TURN_BACKCHANNELS",
    )
    echo: bool = setting(
        True,
        "Compare a voice that is heard while the agent speaks with what it says: its echo out of "
        "the user's loudspeaker is none. Needs the embedded voice activity.",
        env="TURN_ECHO",
    )
    greeting: str = setting(
        "",
        "Spoken first, before the user says anything. May hold the prospect's variables, such as "
        "`{{prospect.name|there}}`; so may `reprompts`, `goodbye` and `cannot_hear`.",
        env="TURN_GREETING",
        form="own_text",
    )
    greeting_is_firm: bool = setting(
        False,
        "Whether the greeting is said to its end whatever the user says meanwhile; he is answered "
        "after it. The opening of an outbound phone call always is: what must be said first is in "
        "it.",
        env="TURN_GREETING_FIRM",
    )
    reprompt_after_ms: int = setting(
        20_000,
        "Silence of both sides after which the user is asked again, while his audio is coming in; "
        "0: never.",
        env="TURN_REPROMPT_AFTER",
        low=0,
        high=600_000,
    )
    reprompts: str = setting(
        "Are you still there?|Hello? Can you hear me?",
        "What is said then, one after the other, divided by bars.",
        env="TURN_REPROMPTS",
        form="own_texts",
    )
    goodbye: str = setting(
        "I'll let you go then. Goodbye!",
        "Said after the last of them went unanswered; then the call ends, unless the user says "
        "something to that.",
        env="TURN_GOODBYE",
        form="own_text",
    )
    cannot_hear: str = setting(
        "I'm sorry, I can't hear you any more: something on our side is broken. Goodbye.",
        "Said when speech recognition has failed in a way that does not pass (a key that is "
        "refused, an account that is empty) and the client has not started again within 4 s; then "
        "the call ends. Empty: it ends without a word. In `manual` mode the client decides.",
        env="TURN_CANNOT_HEAR",
        form="own_text",
    )

    @property
    def reprompt_texts(self) -> tuple[str, ...]:
        """What is said in a long silence, in order; nothing: the goodbye comes at once."""
        return divided(self.reprompts)

    def bargein(self) -> BargeInOptions:
        """For `vantum.core.bargein`."""
        return BargeInOptions(
            mode=self.barge_in,
            voice_s=self.barge_in_ms / 1000,
            words=self.barge_in_words,
            false_stop_s=self.false_stop_ms / 1000,
            backchannels=_phrases(self.backchannels),
        )

    def endpointing(self, *, has_detector: bool) -> EndpointingOptions:
        """For `vantum.core.endpointing`; `has_detector`: somebody answers its checks."""
        return EndpointingOptions(
            min_wait_s=self.min_wait_ms / 1000,
            silence_s=self.silence_ms / 1000,
            max_wait_s=self.max_wait_ms / 1000,
            debounce_s=self.debounce_ms / 1000,
            check_s=self.check_ms / 1000,
            deadline_s=self.deadline_ms / 1000,
            has_detector=has_detector,
            reads_words=self.read_words,
            adapts=self.adapt,
        )
