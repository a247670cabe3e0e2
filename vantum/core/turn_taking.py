"""Turn-taking in the table: what `turnDetection: auto` and long silences lead to. Pure.

The policy that judges signs of speech is `vantum.core.endpointing`; here its verdicts become
commands. A turn that is judged over is not committed yet: the recogniser is asked for its last
words first, and if the caller went on meanwhile, the turn goes on with him.
"""

from __future__ import annotations

from vantum.core.decisions import (
    AskDetector,
    Command,
    Conversation,
    FlushRecogniser,
    Tick,
    Turn,
)
from vantum.core.endpointing import CheckAsked, Sign, TurnTaken
from vantum.core.events import Prospect
from vantum.core.evolving import evolve
from vantum.core.messages import Transcript
from vantum.core.moves import NOBODY_ANSWERED, go_on, has_given_up
from vantum.core.prompts import fill_spoken, known_of
from vantum.core.wording import words_of


def is_auto(c: Conversation) -> bool:
    """Whether the server decides when a turn is over."""
    return c.options is not None and c.options.turn_detection == "auto"


def notice(c: Conversation, sign: Sign, now_s: float) -> Conversation:
    """Tell the policy of a sign; in manual mode nobody asks it."""
    if not is_auto(c):
        return c
    return evolve(c, endpointing=c.endpointing.take(sign, now_s), quiet_since_s=now_s)


def judge(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    """Ask the policy what is to be done now, and order it."""
    if not _waits_for_policy(c):
        return c
    verdict = c.endpointing.decide(now_s)
    if verdict.check is not None:
        commands.append(AskDetector(verdict.check, c.endpointing.text))
        c = evolve(c, endpointing=c.endpointing.take(CheckAsked(verdict.check), now_s))
    if verdict.ended:
        commands.append(FlushRecogniser(verdict.reason, verdict.waited_s))
    return c


def still_ended(c: Conversation, now_s: float) -> bool:
    """Whether a turn that was judged over still is, now that its last words are known."""
    return c.endpointing.decide(now_s).ended


def turn_taken(c: Conversation, now_s: float) -> Conversation:
    """The turn's words were taken: whatever comes is a new turn."""
    return evolve(c, endpointing=c.endpointing.take(TurnTaken(), now_s))


def begin_judging(c: Conversation, now_s: float) -> Conversation:
    """From now on the client ends turns, or does no longer: the policy knows nothing but the words
    of this one."""
    c = turn_taken(c, now_s)
    for text, is_final in ((" ".join(c.words), True), (c.interim, False)):
        c = notice(c, Transcript(text, is_final, 1.0, 0.0, 0.0), now_s) if text else c
    return c


def _waits_for_policy(c: Conversation) -> bool:
    """Not while the recogniser owes an answer: what it says next belongs to the turn before."""
    return is_auto(c) and not c.flushes and not c.overdue


# ---------------------------------------------------------------- saying something unasked


def say(
    c: Conversation,
    text: str,
    commands: list[Command],
    *,
    firm: bool = False,
    leaves: bool = False,
) -> Conversation:
    """Speak a text of our own, with its variables filled, ahead of whoever waits."""
    told = c.options.prospect if c.options is not None else Prospect()
    text = fill_spoken(text, known_of(told, c.prospect))
    turn = Turn(c.next_turn, "", c.start_request, say=text, firm=firm, leaves=leaves)
    return go_on(evolve(c, next_turn=c.next_turn + 1, queue=(turn, *c.queue)), commands)


def _is_silent(c: Conversation) -> bool:
    return (
        is_auto(c)
        and c.state == "LISTENING"
        and c.silence.after_s > 0
        and c.closing is None
        and not c.flushes
        and c.endpointing.began_s is None
        and c.bargein.stopped_s is None
    )


def mind_silence(c: Conversation, e: Tick, now_s: float, commands: list[Command]) -> Conversation:
    """Ask a caller who has long been silent whether he is there; then say goodbye and end."""
    if not _is_silent(c) or now_s < c.quiet_since_s + c.silence.after_s:
        return c
    if not e.hearing:  # nothing comes in: this client only sends while its user speaks
        return evolve(c, quiet_since_s=now_s)
    if c.prompted < len(c.silence.texts):
        text = c.silence.texts[c.prompted]
        return say(evolve(c, prompted=c.prompted + 1), text, commands)
    if has_given_up(c) or not c.silence.goodbye:
        return go_on(evolve(c, closing=NOBODY_ANSWERED), commands)
    return say(evolve(c, prompted=c.prompted + 1), c.silence.goodbye, commands, leaves=True)


def policy_wakes_at(c: Conversation) -> float:
    """When the policy or the silence wants a `Tick`; infinity: never."""
    times = [float("inf")]
    if _waits_for_policy(c) and (at_s := c.endpointing.wake_at()) is not None:
        times.append(at_s)
    if _is_silent(c):
        times.append(c.quiet_since_s + c.silence.after_s)
    return min(times)


def shown_is_said(c: Conversation) -> Conversation:
    """Nobody will make the interim text final: it stands."""
    return evolve(c, words=(*c.words, c.interim), interim="") if c.interim else c


def flush_given_up(c: Conversation, flush_id: int) -> Conversation:
    """The turn is answered by what is known of it, so that its words must not come again."""
    if "stt" not in c.ready:
        return c  # there is nobody who could say them again: what comes later is new
    before = c.foretold if c.overdue else 0
    return evolve(c, overdue=c.overdue | {flush_id}, foretold=before + len(words_of(c.interim)))
