"""Interruption in the table: what the caller's voice does to an answer. Pure.

The policy that judges his sounds is `vantum.core.bargein`; here its verdicts become commands. A
stop is a real one, at once: the answer is cancelled. Until it is known whether it was right,
nothing else begins; then either the caller's words become a turn, or the answer goes on where it
was cut.

Before an answer can be heard there is nothing to resume: words that come then belong to the turn
that is being answered, so that answer is dropped and the words join the turn. While a voice is
heard that may be about to say such words, an answer that is ready is held back.
"""

from __future__ import annotations

from vantum.core.backchannels import tokens
from vantum.core.bargein import AnswerAudible, Sign, WordsTaken
from vantum.core.decisions import (
    AnswerFailed,
    CancelResponse,
    Command,
    Conversation,
    Event,
    FirstAudio,
    ResponseDone,
    Step,
    Turn,
)
from vantum.core.endpointing import AnswerBegan
from vantum.core.events import Interrupt, Request
from vantum.core.evolving import evolve
from vantum.core.floor import Floor
from vantum.core.messages import SpeechStarted, SttFlushed, Transcript, VoiceEdge
from vantum.core.moves import (
    commit,
    go_on,
    is_heard_out,
    move,
    parting,
    service_error,
    speechless,
    take_words,
    without_last,
)
from vantum.core.noises import Noise
from vantum.core.turn_taking import is_auto, notice, turn_taken

#: Nobody answers a sound sooner: an interruption that comes so soon after the first audio of an
#: answer was meant for the one before it.
_REACTION_S = 0.3


def hear(c: Conversation, sign: Sign, now_s: float) -> Conversation:
    """Tell the policy of a sign; in manual mode nobody asks it."""
    if not is_auto(c):
        return c
    floor = c.floor if c.state == "RESPONDING" else None
    policy = c.bargein
    begins = isinstance(sign, SpeechStarted) and not policy.eared
    if begins or isinstance(sign, SttFlushed) or (isinstance(sign, VoiceEdge) and sign.speaking):
        c = evolve(c, noise=None)  # what comes now is something else
    if isinstance(sign, VoiceEdge) and sign.speaking and policy.only_echo:
        # A recogniser goes on with the same text: what it holds already is not his.
        policy = evolve(policy, echo_words=len(tokens(_text(c))))
    known = policy.take(sign, floor, now_s)
    return c if known is c.bargein else evolve(c, bargein=known)


def asks_sound(c: Conversation, event: Event) -> bool:
    """Whether the ear is to be asked, before these words count, if they are our echo."""
    if not isinstance(event, Transcript) or not event.text or not is_auto(c):
        return False
    return c.bargein.wants_sound(is_final=event.is_final)


def floor_taken(c: Conversation, e: Floor, now_s: float) -> Step:
    """What the agent is saying, as of now."""
    return evolve(c, floor=evolve(e, firm=_is_firm(c))), []


def pass_over(c: Conversation, e: Transcript, now_s: float) -> Conversation | None:
    """After a transcript that only says again what was dropped already; None: it is another."""
    if c.noise is None or not c.noise.covers(e.text, now_s):
        return None
    return evolve(c, noise=None) if e.is_final else c


def _text(c: Conversation) -> str:
    return " ".join(p for p in (*c.words, c.interim) if p)


# ---------------------------------------------------------------- stop, join, resume


def barge(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    """Ask the policy what becomes of the answer now, and order it."""
    if c.bargein.stopped_s is not None:
        return _look_back(c, now_s, commands)
    turn = c.turn
    if not is_auto(c) or turn is None or c.closing is not None or _is_firm(c):
        return c
    if c.state == "THINKING":
        return _join(c, turn, now_s, commands)
    if c.state == "RESPONDING" and c.bargein.kind(" ".join(c.words), c.floor) == "echo":
        c = _drop_words(evolve(c, interim=""), now_s)  # or it would outgrow what is compared with
    # What is understood of an echo before it is over is mostly misheard.
    text = " ".join(c.words) if c.bargein.only_echo else _text(c)
    if c.state != "RESPONDING" or not c.bargein.stops(text, c.floor, now_s):
        return c
    if c.floor.waits and not c.bargein.has_words(_text(c), c.floor):
        # There is nothing to silence: a cough must not cost what the model or a tool has begun.
        return evolve(c, bargein=c.bargein.put_off(now_s))
    commands.append(CancelResponse(turn.number, "user_interrupt", interrupted=True))
    c = evolve(c, bargein=c.bargein.stopped(now_s))
    return _look_back(move(c, "INTERRUPTED", commands), now_s, commands)


def _join(c: Conversation, turn: Turn, now_s: float, commands: list[Command]) -> Conversation:
    """The caller goes on while we think: what he says belongs to the turn he has begun."""
    if not _may_go_on(c):
        return c
    if not c.bargein.has_words(_text(c), Floor()):
        until_s = c.bargein.holds_until
        waited = until_s is not None and now_s >= until_s
        return evolve(c, bargein=c.bargein.held()) if waited else c
    commands.append(CancelResponse(turn.number, "user_interrupt", interrupted=True, joins=True))
    if turn.resumes:
        return evolve(c, bargein=c.bargein.stopped(now_s))
    return evolve(c, joins=True)


def _may_go_on(c: Conversation) -> bool:
    """Whether the caller's next words would go on with the turn whose answer is being made."""
    ours = c.turn is None or bool(c.turn.say)
    return is_auto(c) and c.state == "THINKING" and c.closing is None and not ours and not c.queue


def holds_answer(c: Conversation) -> bool:
    """Whether an answer that is ready has to wait: the caller has raised his voice again."""
    return _may_go_on(c) and c.bargein.holds_until is not None


def _look_back(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    """An answer was stopped: was that right?"""
    policy = c.bargein
    # Final words do not vanish; interim ones may, so for them the end of the turn is waited for.
    if c.words and policy.kind(" ".join(c.words), c.floor) == "words":
        c = evolve(c, bargein=policy.confirmed())
        return go_on(c, commands) if c.turn is None and c.queue else c
    at_s = policy.resumes_at(_text(c), c.floor)
    if c.turn is None and at_s is not None and now_s >= at_s:
        return _resume(c, now_s, commands)
    return c


def _resume(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    """The stop was false: what was taken for words is none, and the answer goes on."""
    c = _drop_words(c, now_s)
    turn = Turn(c.next_turn, "", c.start_request, resumes=True)
    return go_on(evolve(c, next_turn=c.next_turn + 1, queue=(turn, *c.queue)), commands)


def _drop_words(c: Conversation, now_s: float) -> Conversation:
    kind = c.bargein.kind(_text(c), c.floor)
    if c.interim:
        c = evolve(c, noise=Noise.dropped(c.bargein, c.floor, now_s))
    c = evolve(c, words=(), interim="", bargein=c.bargein.refuted(kind, now_s))
    return turn_taken(hear(c, WordsTaken(), now_s), now_s)


def take_turn(
    c: Conversation,
    request: Request,
    now_s: float,
    commands: list[Command],
    *,
    with_interim: bool,
    judged: bool,
) -> Conversation:
    """The turn being spoken is over: its words are answered, or waited for no longer.

    `judged`: the policy has ended it and not the client, so it may have been no turn at all.
    """
    text = _meant(c, with_interim=with_interim, judged=judged)
    if not text:
        stopped = c.bargein.stopped_s is not None
        if stopped and c.turn is None and c.bargein.voice_s is None:
            return _resume(c, now_s, commands)
        c = _drop_words(c, now_s) if not stopped else c
    elif c.bargein.stopped_s is not None or c.bargein.duds:
        c = evolve(c, bargein=c.bargein.confirmed())
    c, _ = take_words(c, with_interim=with_interim)
    c = commit(hear(c, WordsTaken(), now_s), text, request, commands)
    return turn_taken(c, now_s)


def _meant(c: Conversation, *, with_interim: bool, judged: bool) -> str:
    """The words of the turn being spoken, without what is none: a listening noise, an echo."""
    parts = tuple(p for p in (*c.words, c.interim if with_interim else "") if p)
    text = " ".join(parts)
    if not judged or not is_auto(c) or c.bargein.options.mode == "off":
        return text
    over_agent = c.bargein.onset is not None or c.bargein.stopped_s is not None
    # What came while we were about to ask into a silence answers what was said before that. While
    # anything else was made it is none, also if that is being said by now.
    if c.turn is not None and not (c.turn.say and c.prompted):
        over_agent = over_agent or bool(c.bargein.before) or c.state == "THINKING"
    if not over_agent:
        return text
    kind = c.bargein.kind(text, c.floor)
    if kind == "echo" and c.floor.firm:
        # No answer was stopped over it, and what was said into it is still to be answered.
        return c.bargein.own(parts, c.floor)
    if kind == "nothing" and c.bargein.echo_words:
        return ""  # nothing came behind the words of the echo
    return "" if kind in ("backchannel", "echo") else text


def unanswered(c: Conversation) -> tuple[str, ...]:
    """What the caller has said that has not become a turn, or whose turn waits, oldest first: when
    the call is over nobody will answer it any more, and he has said it all the same. What is heard
    during the last words is none of it: a machine's recording, more often than not."""
    c = without_last(c)
    waiting = (turn.text for turn in c.queue)
    return tuple(filter(None, (*waiting, _meant(c, with_interim=True, judged=True))))


def _is_firm(c: Conversation) -> bool:
    """Whether nothing that the caller says interrupts what is being said: the last words are so."""
    return c.turn is not None and (c.turn.firm or c.turn.ends is not None)


def barging_wakes_at(c: Conversation) -> float:
    """When the policy wants a `Tick`; infinity: never."""
    at_s = None
    if c.bargein.stopped_s is not None:
        at_s = c.bargein.resumes_at(_text(c), c.floor) if c.turn is None else None
    elif is_auto(c) and c.state == "RESPONDING" and c.closing is None and not _is_firm(c):
        at_s = c.bargein.voice_due_s
    elif _may_go_on(c):
        at_s = c.bargein.holds_until
    return float("inf") if at_s is None else at_s


# ---------------------------------------------------------------- the answer's own events


def first_audio(c: Conversation, e: FirstAudio, now_s: float) -> Step:
    """The answer can be heard."""
    commands: list[Command] = []
    if c.turn is None or c.turn.number != e.turn:
        return c, commands
    c = evolve(notice(c, AnswerBegan(), now_s), audible_s=now_s)
    c = move(c, "RESPONDING", commands)
    return barge(hear(c, AnswerAudible(len(tokens(_text(c)))), now_s), now_s, commands), commands


def answer_failed(c: Conversation, e: AnswerFailed, now_s: float) -> Step:
    """The model failed in the middle of the answer: told at once."""
    if c.turn is None or c.turn.number != e.turn:
        return c, []
    return evolve(c, told_of=e.turn), service_error(c.turn.request, e.lost)


def response_done(c: Conversation, e: ResponseDone, now_s: float) -> Step:
    """The answer is over, or cut; who waits is next, unless it is not known yet who speaks."""
    commands: list[Command] = []
    if c.turn is None or c.turn.number != e.turn:
        return c, commands
    for lost in e.failed:
        if lost.role != "llm" or c.told_of != e.turn:
            commands.extend(service_error(c.turn.request, lost))
    ends = c.turn.ends or speechless(c, e)
    c = without_last(c)
    c = evolve(c, turn=None, quiet_since_s=now_s, bargein=c.bargein.answer_over(now_s))
    if ends is not None:
        c = evolve(c, closing=c.closing or ends)
    elif e.hangs_up and is_heard_out(c):
        c = evolve(c, closing=c.closing or parting(c))
    elif e.hangs_up:
        # Who has said anything during the goodbye is answered, if it was something.
        c = evolve(c, leaving=True)
    return go_on(c, commands), commands


def interrupt(c: Conversation, e: Interrupt, now_s: float) -> Step:
    """Cut the answer off. While nothing was heard yet there is nothing to interrupt but thought.

    It is meant for what the user was hearing when he sent it: a second one that comes before the
    next answer in the queue could be heard is one too many.
    """
    if c.turn is None:  # the answer has been stopped already: it is not to go on
        if c.bargein.stopped_s is None:
            return c, []
        commands: list[Command] = []
        return go_on(evolve(c, bargein=c.bargein.confirmed()), commands), commands
    if _is_firm(c):
        return c, []
    if c.turn.number == c.follows_cut and (
        c.state == "THINKING" or now_s < c.audible_s + _REACTION_S
    ):
        return c, []
    # First of all the cut: what follows may have to wait for the writer.
    commands = [CancelResponse(c.turn.number, "user_interrupt", interrupted=True)]
    if c.state == "RESPONDING":
        c = move(c, "INTERRUPTED", commands)
    return evolve(c, follows_cut=c.queue[0].number if c.queue else None), commands
