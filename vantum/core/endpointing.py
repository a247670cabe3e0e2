"""When the caller's turn is over: one policy for all that can tell. Pure.

Sources, any of which may be missing, late, or wrong:

- the server's own voice activity (`VoiceEdge`), which knows at once that somebody speaks or not;
- the recogniser's words (`Transcript`), which know late, but know *what*;
- the recogniser's own opinion (`SpeechStarted`, `UtteranceEnded`), and its answer to a flush;
- a detector that guesses from the audio whether the turn is complete (`CheckAnswered`), and the
  same guess from the words alone (`vantum.core.completeness`).

The rule. A pause begins at the last sign of speech: where the voice fell silent; or, in a turn
whose voice was not heard, the last transcript that grew. It ends the turn when it has lasted the
*wait*: `silence_s`, adapted to the caller's own pauses, drawn towards `min_wait_s` the surer it is
that the turn is complete, and towards `max_wait_s` the surer it is that it is not. A transcript
that grows soon after the voice fell silent is only late; it holds the end back by `debounce_s`
unless the recogniser has said that it has no more. One that grows long after is speech that the
voice activity did not hear. Without a voice, a pause counts only once the recogniser has said that
the utterance is over, since words come in bursts.

Nothing stalls: voice without new words ends the turn at `deadline_s`, or `max_wait_s` after the
recogniser has called it over; words without voice at `max_wait_s`.

`Endpointing` is a value. Each sign gives the next one; `wake_at` says when to `decide` if nothing
happens before. The policy drops no words: it holds only what it needs to judge them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

from vantum.core.completeness import completeness, pool
from vantum.core.evolving import evolve
from vantum.core.messages import (
    SpeechStarted,
    SttFlush,
    SttFlushed,
    Transcript,
    UtteranceEnded,
    VoiceEdge,
)
from vantum.core.pauses import Pauses
from vantum.core.wording import words_of

# ---------------------------------------------------------------- signs


@frozen
class CheckAsked:
    """The detector was asked about this pause."""

    pause: int


@frozen
class CheckAnswered:
    """The detector's answer: the probability that the turn is complete."""

    pause: int
    probability: float


@frozen
class AnswerBegan:
    """The caller hears an answer: what he says from here on is no continuation."""


@frozen
class TurnTaken:
    """The turn's words were taken, or there were none; whatever comes is a new turn."""


Sign: TypeAlias = (
    VoiceEdge
    | SpeechStarted
    | Transcript
    | UtteranceEnded
    | SttFlush
    | SttFlushed
    | CheckAsked
    | CheckAnswered
    | AnswerBegan
    | TurnTaken
)

# ---------------------------------------------------------------- verdicts

#: Why a turn is over. "complete" and "incomplete": the wait was shortened or lengthened by the
#: guess. "silence": nothing was known of it. "recogniser": it said so and there was no voice to
#: ask. "deadline": the sources contradict each other or one has gone silent.
EndReason: TypeAlias = Literal["complete", "silence", "incomplete", "recogniser", "deadline"]
#: "idle": nobody has said anything. "flushing": the recogniser is telling its last words.
Reason: TypeAlias = Literal["idle", "voice", "pause", "flushing"] | EndReason


@frozen
class Verdict:
    """What is to be done now.

    Attributes:
        ended: the turn is over.
        reason: why it is, or why it is not.
        check: the pause that the detector should be asked about now; answer with `CheckAsked`.
        waited_s: since the last sign of speech, of which `wait_s` were wanted; for the log.
    """

    ended: bool
    reason: Reason
    check: int | None = None
    waited_s: float = 0.0
    wait_s: float = 0.0


@frozen
class EndpointingOptions:
    """Waits in seconds; `TurnSettings` explains them.

    Attributes:
        has_detector: somebody answers checks.
        reads_words: what was said in English counts, by rules (`vantum.core.completeness`).
        adapts: the caller's pauses count.
        sure: from this probability on (or from one less it, downwards) nobody waits for a surer
            one.
        late_s: words this long after the voice fell silent were not spoken before it.
    """

    min_wait_s: float = 0.35
    silence_s: float = 1.2
    max_wait_s: float = 2.2
    debounce_s: float = 0.15
    check_s: float = 0.1
    deadline_s: float = 8.0
    has_detector: bool = False
    reads_words: bool = True
    adapts: bool = True
    sure: float = 0.95
    late_s: float = 1.0

    def __attrs_post_init__(self) -> None:
        """Raise ValueError if the waits are not in order."""
        if not 0 < self.min_wait_s <= self.silence_s <= self.max_wait_s <= self.deadline_s:
            raise ValueError("waits must be 0 < min_wait <= silence <= max_wait <= deadline")


# ---------------------------------------------------------------- the policy


@frozen
class Endpointing:
    """What is known of the turn being spoken, and of the caller's pauses.

    Attributes:
        began_s: first sign of the turn.
        voice_s: since when a voice is heard; None: silence.
        voiced: a voice was heard in this turn.
        quiet_s: the last sign of speech; while a voice is heard, the one before it.
        grew_s: when the transcript last grew.
        settled_s: when the recogniser said that it had no more, if nothing came since.
        final, interim: the words; `most` is the largest number there were.
        flush_id: a flush is on its way and this is its number.
        pause: number of the last pause; `asked` the one the detector was asked about, `answer` what
            it said about this one.
        taken_s: where the silence began that ended the turn before, if no answer was heard yet.
        language: of the caller (BCP 47).
    """

    options: EndpointingOptions = EndpointingOptions()
    pauses: Pauses = Pauses()
    began_s: float | None = None
    voice_s: float | None = None
    voiced: bool = False
    quiet_s: float = 0.0
    grew_s: float | None = None
    settled_s: float | None = None
    final: str = ""
    interim: str = ""
    most: int = 0
    flush_id: int | None = None
    pause: int = 0
    asked: int | None = None
    answer: float | None = None
    taken_s: float | None = None
    language: str = "en-US"

    @property
    def text(self) -> str:
        """The words of the turn so far."""
        return f"{self.final} {self.interim}".strip()

    @property
    def probability(self) -> float | None:
        """That the turn is complete; None if neither words nor the detector have said anything."""
        reads = self.options.reads_words and self.language.lower().split("-")[0] == "en"
        text = completeness(self.text) if reads and self.text else None
        if self._is_answer_due and text is not None:
            # The detector will know better: until then words may only lengthen the wait.
            return min(text, 0.5)
        return pool(self.answer, text)

    # ------------------------------------------------------------ signs

    def take(self, sign: Sign, now_s: float) -> Endpointing:
        """What is known after this sign; `now_s` never goes back."""
        match sign:
            case VoiceEdge(speaking=True):
                return self._voice_began(now_s - sign.late_s, now_s)
            case VoiceEdge(is_last=True):
                # What was not heard cannot be judged.
                options = evolve(self.options, has_detector=False)
                return evolve(self, options=options)._voice_ended(now_s)
            case VoiceEdge():
                return self._voice_ended(now_s - sign.late_s)
            case Transcript():
                return self._heard(sign, now_s)
            case SpeechStarted():
                if self.voiced or self.flush_id is not None:
                    return self
                return self._spoken(now_s)
            case UtteranceEnded():
                return self._settled(now_s)
            case SttFlush(flush_id):
                return evolve(self, flush_id=flush_id)
            case SttFlushed(flush_id) if flush_id == self.flush_id:
                return evolve(self._settled(now_s), flush_id=None)
            case CheckAsked(pause):
                return evolve(self, asked=pause)
            case CheckAnswered(pause, probability) if pause == self.pause and self.voice_s is None:
                return evolve(self, answer=probability)
            case AnswerBegan():
                return evolve(self, taken_s=None)
            case TurnTaken():
                return self._taken(now_s)
            case _:
                return self

    def _voice_began(self, at_s: float, now_s: float) -> Endpointing:
        if self.voice_s is not None:
            return self
        since_s = self.quiet_s if self.voiced else self.taken_s
        pauses = self.pauses
        if since_s is not None and at_s - since_s <= self.options.max_wait_s:
            pauses = pauses.add(at_s - since_s)
        return evolve(
            self,
            pauses=pauses,
            began_s=now_s if self.began_s is None else self.began_s,
            voice_s=now_s,
            voiced=True,
            settled_s=None,
            answer=None,
            taken_s=None,
        )

    def _voice_ended(self, at_s: float) -> Endpointing:
        if self.voice_s is None:
            return self
        return evolve(self, voice_s=None, quiet_s=max(at_s, self.quiet_s), pause=self.pause + 1)

    def _heard(self, transcript: Transcript, now_s: float) -> Endpointing:
        final, interim = self.final, transcript.text
        if transcript.is_final:
            final, interim = f"{final} {interim}".strip(), ""
        count = len(words_of(final)) + len(words_of(interim))
        if count <= self.most:
            return evolve(self, final=final, interim=interim)
        if self.voice_s is None and self.flush_id is not None:  # what the flush was for
            return evolve(self, final=final, interim=interim, most=count)
        known = evolve(self, final=final, interim=interim, most=count, grew_s=now_s, settled_s=None)
        if self.voice_s is not None:
            return known
        is_late = self.voiced and now_s - self.quiet_s <= self.options.late_s
        return known if is_late else known._spoken(now_s)

    def _settled(self, now_s: float) -> Endpointing:
        """The recogniser has no more. What it said first counts: saying it again delays nothing."""
        if self.began_s is None or self.settled_s is not None:
            return self
        return evolve(self, settled_s=now_s)

    def _spoken(self, now_s: float) -> Endpointing:
        """A sign of speech that the voice activity did not give."""
        return evolve(
            self,
            began_s=now_s if self.began_s is None else self.began_s,
            quiet_s=now_s,
            settled_s=None,
            pause=self.pause + 1,
            answer=None,
        )

    def _taken(self, now_s: float) -> Endpointing:
        goes_on = self.voice_s is not None
        return Endpointing(
            options=self.options,
            pauses=self.pauses,
            began_s=now_s if goes_on else None,
            voice_s=now_s if goes_on else None,
            voiced=goes_on,
            quiet_s=self.quiet_s,
            pause=self.pause,
            taken_s=self.quiet_s if self.voiced and not goes_on else self.taken_s,
            language=self.language,
        )

    # ------------------------------------------------------------ decisions

    def wake_at(self) -> float | None:
        """When `decide` will say something new if no sign comes; None: never."""
        if self.began_s is None or self.flush_id is not None:
            return None
        end_s, _, _ = self._end()
        check_s = self._check_at()
        return end_s if check_s is None else min(end_s, check_s)

    def decide(self, now_s: float) -> Verdict:
        """Judge what is known at `now_s`, no earlier than the last sign. Changes nothing."""
        if self.began_s is None:
            return Verdict(False, "idle")
        if self.flush_id is not None:
            return Verdict(False, "flushing")
        end_s, reason, wait_s = self._end()
        waited_s = now_s - self.quiet_s if self.voice_s is None else 0.0
        if now_s >= end_s:
            return Verdict(True, reason, None, waited_s, wait_s)
        check_s = self._check_at()
        return Verdict(
            False,
            "pause" if self.voice_s is None else "voice",
            self.pause if check_s is not None and now_s >= check_s else None,
            waited_s,
            wait_s,
        )

    def _end(self) -> tuple[float, EndReason, float]:
        """When the turn ends if nothing more comes, why, and after which wait."""
        options = self.options
        assert self.began_s is not None
        # Counted from the words: a noise that comes and goes can put it off no further.
        deadline_s = max(self.began_s, self.grew_s or self.began_s) + options.deadline_s
        if self.voice_s is not None:
            if self.settled_s is not None and self.most:
                deadline_s = min(deadline_s, self.settled_s + options.max_wait_s)
            return deadline_s, "deadline", 0.0
        wait_s, reason = self._wait()
        end_s = self.quiet_s + wait_s
        if self.settled_s is None and self.grew_s is not None:
            end_s = max(end_s, self.grew_s + options.debounce_s)
        deadline_s = max(deadline_s, self.quiet_s + options.min_wait_s)
        return (end_s, reason, wait_s) if end_s <= deadline_s else (deadline_s, "deadline", wait_s)

    def _wait(self) -> tuple[float, EndReason]:
        """How long a pause has to last, and what its end would mean."""
        options = self.options
        if not self.voiced and self.settled_s is None:
            return options.max_wait_s, "deadline"
        probability = self.probability
        surest = 0.5 if probability is None else probability
        if not self.voiced and not self._is_answer_due and surest >= 0.5:
            return options.min_wait_s, "recogniser"
        middle_s = options.silence_s
        if options.adapts:
            adapted_s = self.pauses.wait_s(middle_s)
            middle_s = min(max(adapted_s, options.min_wait_s), options.max_wait_s)
        surety = min(max((surest - 0.5) / (options.sure - 0.5), -1.0), 1.0)
        if surety > 0:
            return middle_s + surety * (options.min_wait_s - middle_s), "complete"
        if surety < 0:
            return middle_s - surety * (options.max_wait_s - middle_s), "incomplete"
        return middle_s, "silence"

    @property
    def _is_answer_due(self) -> bool:
        return self.options.has_detector and self.answer is None

    def _check_at(self) -> float | None:
        """When the detector is to be asked about this pause, if it still is."""
        if not self.options.has_detector or self.asked == self.pause or self.voice_s is not None:
            return None
        return self.quiet_s + self.options.check_s if self.voiced else self.settled_s
