"""When the caller's sounds stop the agent, and whether the stop was right. Pure.

A voice is known long before its words, so an answer is stopped on the voice alone, and the words
decide afterwards whether that was right:

- A voice that lasts `voice_s` stops the answer, or words that are no mere listening noise.
- Words that are none (a *backchannel*: "mm-hmm", "right") or our own (an *echo* of the agent out of
  a loudspeaker), or no words at all within a window: the stop was false, and the answer goes on.
- After an echo, or after several false stops in a row, a voice proves nothing any more: for a while
  only words stop, and near an echo only words that are not the agent's. An ear that knows an echo
  by its sound (`EchoHeard`) reports none as a voice, so its voices count all the same.
- "Yes", "no" or "okay" to a question of the agent's, or in its last moment, is an answer.
- An answer that is ready waits with its first sound while a voice is heard that began after the
  turn was judged over, and a moment longer for its words: they may go on with that turn.

`BargeIn` is a value, as `vantum.core.endpointing.Endpointing` is: signs in, the next one out. What
the agent is saying comes with each question as a `Floor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from attrs import frozen

from vantum.core.backchannels import BACKCHANNELS, is_backchannel, tokens
from vantum.core.echo import foreign
from vantum.core.evolving import evolve
from vantum.core.floor import Floor
from vantum.core.messages import (
    EchoHeard,
    SpeechStarted,
    SttFlushed,
    Transcript,
    UtteranceEnded,
    VoiceEdge,
)
from vantum.core.wording import words_of

#: "auto": voice or words stop the agent; "words": words only; "off": nothing does.
Mode: TypeAlias = Literal["auto", "words", "off"]
#: What the caller's words are, while the agent speaks.
Kind: TypeAlias = Literal["nothing", "backchannel", "echo", "words"]

# ---------------------------------------------------------------- settings and signs


@frozen
class BargeInOptions:
    """Times in seconds; `TurnSettings` explains them.

    Attributes:
        settle_s: with words that are none, so much silence is enough for a false stop; `hum_s`:
            with a listening noise that is all that was said.
        voice_limit_s: a voice without words is no reason to be silent for longer, once an answer
            was stopped; `hold_limit_s`: nor for longer before it begins.
        echo_memory_s: for so long after an echo, and with `duds` false stops in a row, a voice
            alone stops nothing.
    """

    mode: Mode = "auto"
    voice_s: float = 0.06
    words: int = 1
    false_stop_s: float = 1.0
    backchannels: frozenset[str] = frozenset(BACKCHANNELS)
    settle_s: float = 0.4
    hum_s: float = 0.2
    voice_limit_s: float = 5.0
    hold_limit_s: float = 2.0
    echo_memory_s: float = 60.0
    duds: int = 2


@frozen
class AnswerAudible:
    """Its first audio is on its way. `words`: so many words of the caller's came before it."""

    words: int = 0


@frozen
class WordsTaken:
    """The caller's words were taken as a turn, or dropped."""


Sign: TypeAlias = (
    VoiceEdge
    | EchoHeard
    | SpeechStarted
    | Transcript
    | UtteranceEnded
    | SttFlushed
    | AnswerAudible
    | WordsTaken
)

# ---------------------------------------------------------------- words

#: A transcript is an echo if no more than this share of it is not ours; few words are misheard more
#: easily than many.
_FOREIGN_SHARE: Final = 0.25
_FEW_WORDS: Final = 6
_FOREIGN_OF_FEW: Final = 0.4
#: Where the ear has heard nothing but an echo, an echo is what the words are, unless most of them
#: are not ours: out of a loudspeaker much is misheard.
_FOREIGN_OF_HEARD: Final = 0.6
#: What is said to its end cannot be stopped by an echo, so there is no haste to know one: over it,
#: few words are an echo only if they are no fewer than these and all ours.
_SURE_WORDS: Final = 3
#: A part of what was heard is no echo, whatever the rest is, if more than this share is not ours.
_OWN_SHARE: Final = 0.5
#: An echo is heard so long after what was said, at most; a telephone line's delay is in it.
_ECHO_TAIL_S: Final = 1.5
#: An echo that is not known yet must begin where the voice began; of one that is known, so many
#: words count as ours: what a recogniser reports at once.
_ECHO_WORDS: Final = 40
_SLACK_WORDS: Final = 2
#: A listening noise lasts no longer than this for each of its words: a voice that lasted for longer
#: has said something that is still to come.
_WORD_S: Final = 0.8
#: Words that nobody placed in time by their voice were said at most so far back.
_RECENT_WORDS: Final = 10

# ---------------------------------------------------------------- the policy


@frozen
class BargeIn:
    """What is known of the caller's sounds while the agent has the floor.

    Attributes:
        voice_s: since when a voice is heard; None: silence.
        spent: that voice has stopped an answer already, or began before it.
        eared: the server has an ear; else the recogniser's word counts.
        quiet_s: when the caller fell silent last; `told`: words came since.
        spoken_s: for so long his voice was heard since the words were taken last.
        onset: the agent's word at which the caller began; None: he did not while it spoke.
        until: the agent's word at which the caller's last words came.
        silent_s: when the agent was heard last; `apart`: the caller began when no echo of that was
            left.
        asked: he began where the agent wanted an answer.
        before: so many of his words were said before the answer could be heard.
        stopped_s: when the answer was stopped, while it is not known whether rightly.
        echo_s: when an echo was heard last; `echoing`: it counts still.
        tells: the ear knows an echo by its sound: a voice that it reports is none.
        owned: such a voice was heard since the words were taken last.
        echo_words: so many words came of an echo before that voice.
        echo_next: the words that come next lie in an echo and nothing else; `echoed`: all final
            ones since then did; None: there were none.
        duds: false stops in a row.
    """

    options: BargeInOptions = BargeInOptions()
    voice_s: float | None = None
    spent: bool = False
    eared: bool = False
    quiet_s: float = float("-inf")
    told: bool = False
    spoken_s: float = 0.0
    onset: int | None = None
    until: int | None = None
    silent_s: float = float("inf")
    apart: bool = False
    asked: bool = False
    before: int = 0
    stopped_s: float | None = None
    echo_s: float = float("-inf")
    echoing: bool = False
    tells: bool = False
    owned: bool = False
    echo_words: int = 0
    echo_next: bool = False
    echoed: bool | None = None
    duds: int = 0

    # ------------------------------------------------------------ signs

    def take(self, sign: Sign, floor: Floor | None, now_s: float) -> BargeIn:
        """What is known after this sign. `floor`: None if the agent cannot be heard."""
        match sign:
            case VoiceEdge(speaking=True):
                began_s = now_s - sign.late_s
                apart = self.apart or began_s > self.silent_s + _ECHO_TAIL_S
                known = evolve(self, eared=True, apart=apart and floor is None)
                return known._voice(began_s)._began(floor, 0)
            case VoiceEdge():
                return evolve(self, eared=not sign.is_last)._silent(now_s - sign.late_s)
            case EchoHeard(words=words):
                known = evolve(self, eared=True, echo_s=now_s, echoing=True, tells=True)
                return evolve(known, echo_next=words)._began(floor, 0)
            case SpeechStarted():
                if self.eared or self.voice_s is not None:
                    return self
                return self._voice(now_s)._began(floor, 0)
            case Transcript(text=text):
                all_echoed = self.echo_next and self.echoed is not False
                echoed = all_echoed if sign.is_final else self.echoed
                told = self.voice_s is None if text else self.told
                was = (self.echo_next, self.echoed, self.told)
                is_news = was != (False, echoed, told)
                known = evolve(self, echo_next=False, echoed=echoed, told=told) if is_news else self
                if not text or floor is None:
                    return known
                return evolve(known._began(floor, len(words_of(text))), until=floor.position)
            case UtteranceEnded() | SttFlushed():
                if self.eared or self.voice_s is None:
                    return self
                return self._silent(now_s)
            case AnswerAudible(words=before):
                known = evolve(self, before=before)
                return known if self.voice_s is None else known._began(Floor(), 0)
            case _:
                return self._afresh()

    def _afresh(self) -> BargeIn:
        owned = self.voice_s is not None
        known = evolve(self, onset=None, until=None, apart=False, asked=False, before=0)
        return evolve(known, owned=owned, echo_words=0, echoed=None, told=False, spoken_s=0.0)

    def _voice(self, at_s: float) -> BargeIn:
        echoing = self.echoing and at_s < self.echo_s + self.options.echo_memory_s
        known = evolve(self, voice_s=at_s, spent=False, echoing=echoing, owned=True)
        return evolve(known, told=False)

    def _silent(self, at_s: float) -> BargeIn:
        lasted_s = 0.0 if self.voice_s is None else max(at_s - self.voice_s, 0.0)
        known = evolve(self, voice_s=None, quiet_s=at_s, told=False)
        return evolve(known, spoken_s=self.spoken_s + lasted_s)

    def _began(self, floor: Floor | None, words_ago: int) -> BargeIn:
        if floor is None or self.onset is not None:
            return self
        return evolve(self, onset=max(floor.position - words_ago, 0), asked=floor.wants_answer)

    def answer_started(self) -> BargeIn:
        """An answer is in the making: a voice that is heard already is no interruption of it."""
        return evolve(self._afresh(), spent=True, silent_s=float("inf"))

    def answer_over(self, now_s: float) -> BargeIn:
        """Nothing of an answer is to be heard any more."""
        return evolve(self, silent_s=now_s)

    def stopped(self, now_s: float) -> BargeIn:
        """The answer was stopped; whether rightly is not known yet."""
        return evolve(self, stopped_s=now_s, spent=True)

    def confirmed(self) -> BargeIn:
        """The caller has something to say."""
        return evolve(self, stopped_s=None, duds=0)

    def refuted(self, kind: Kind, now_s: float) -> BargeIn:
        """He has not: the stop was false, or his words were none."""
        known = evolve(self, echo_s=now_s, echoing=True) if kind == "echo" else self
        if self.stopped_s is None:
            return known
        return evolve(known, stopped_s=None, duds=self.duds + 1)

    # ------------------------------------------------------------ what the words are

    def kind(self, text: str, floor: Floor) -> Kind:
        """What the words are that the caller has said since his last turn."""
        return self._kind(tokens(text)[self.echo_words :], floor)

    def _kind(self, words: Sequence[str], floor: Floor) -> Kind:
        if not words:
            return "nothing"
        if self.echoed and self.only_echo:
            return "echo"
        if is_backchannel(words, self.options.backchannels):
            return "words" if self.asked else "backchannel"
        few = len(words) <= _FEW_WORDS
        most = _FOREIGN_OF_FEW if few and len(words) > 1 else _FOREIGN_SHARE
        if self.only_echo:
            most = _FOREIGN_OF_HEARD
        if floor.firm and few and not self.echoing:
            most = 0.0 if len(words) >= _SURE_WORDS else -1.0
        return "echo" if self._share(words, floor) <= most else "words"

    def _share(self, words: Sequence[str], floor: Floor) -> float:
        return foreign(words, self._ours(floor)) / len(words)

    def own(self, texts: Sequence[str], floor: Floor) -> str:
        """What the caller said himself into an echo that came with it; its parts as they came."""
        parts = [(text, words) for text in texts if (words := tokens(text))]
        return " ".join(t for t, words in parts if self._share(words, floor) > _OWN_SHARE)

    def _ours(self, floor: Floor) -> list[str]:
        """What an echo would consist of: what was to be heard when the words came, or shortly
        before."""
        if self.apart:
            return []
        position = floor.position if self.until is None else min(self.until, floor.position)
        end = position + _SLACK_WORDS
        if self.echoing:
            begin = end - _ECHO_WORDS
        elif self.onset is None:
            return []
        elif self.eared:
            begin = self.onset - _SLACK_WORDS
        else:
            begin = min(self.onset, end - _RECENT_WORDS)
        return tokens(" ".join(floor.words[max(begin, 0) : end]))

    # ------------------------------------------------------------ decisions

    @property
    def only_echo(self) -> bool:
        """Whether the ear has heard nothing but an echo since the words were taken last."""
        return self.echoing and self.tells and not self.owned

    def wants_sound(self, *, is_final: bool) -> bool:
        """Whether words that come now are to be asked for their sound: no voice was heard for them.
        Once an echo was, only final ones count."""
        return self.eared and not self.owned and (is_final or not self.only_echo)

    @property
    def trusts_voice(self) -> bool:
        """Whether a voice alone stops an answer."""
        options = self.options
        known = self.tells or not self.echoing
        return options.mode == "auto" and known and self.duds < options.duds

    def has_words(self, text: str, floor: Floor) -> bool:
        """Whether the words alone are enough to stop an answer."""
        words = tokens(text)[self.before :]
        if self.options.mode == "off" or self._kind(words, floor) != "words":
            return False
        if self.echoing:
            return foreign(words, self._ours(floor)) >= max(self.options.words, 2)
        return len(words) >= self.options.words

    def stops(self, text: str, floor: Floor, now_s: float) -> bool:
        """Whether an answer that can be heard is to be stopped now."""
        due_s = self.voice_due_s
        return (due_s is not None and now_s >= due_s) or self.has_words(text, floor)

    @property
    def voice_due_s(self) -> float | None:
        """When the voice that is heard will have lasted long enough; None: it does not count."""
        if self.voice_s is None or self.spent or not self.trusts_voice:
            return None
        return self.voice_s + self.options.voice_s

    @property
    def holds_until(self) -> float | None:
        """Until when an answer that nobody has heard yet waits if nothing happens: a voice began
        after it was begun. None: it need not wait.

        A voice that proves nothing holds nothing up, and none that lasts without words does so for
        long.
        """
        if self.spent or not self.trusts_voice:
            return None
        if self.voice_s is not None:
            return self.voice_s + self.options.hold_limit_s
        return self.quiet_s + self.options.settle_s

    def held(self) -> BargeIn:
        """The answer has waited for long enough for this voice."""
        return evolve(self, spent=True)

    def put_off(self, now_s: float) -> BargeIn:
        """There was nothing to stop: from now on the voice has to last for as long again."""
        return evolve(self, voice_s=now_s)

    def resumes_at(self, text: str, floor: Floor) -> float | None:
        """When the answer that was stopped goes on if nothing happens; None: not by itself.

        While the caller is heard it waits for his words, and when there are some, for his turn to
        end: its words may still turn out to be none.
        """
        kind = self.kind(text, floor)
        if self.stopped_s is None or kind == "words":
            return None
        options = self.options
        if self.voice_s is not None:
            return self.stopped_s + options.voice_limit_s
        wait_s = options.false_stop_s
        if kind != "nothing":
            wait_s = min(wait_s, options.settle_s)
        if kind == "backchannel" and self._is_all(text):
            wait_s = min(wait_s, options.hum_s)
        return max(self.stopped_s, self.quiet_s) + wait_s

    def _is_all(self, text: str) -> bool:
        """Whether these words are all that was said: they came behind the voice, and it lasted for
        no longer than they do."""
        return self.told and self.spoken_s <= _WORD_S * len(tokens(text)[self.echo_words :])
