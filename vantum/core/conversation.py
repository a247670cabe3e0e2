"""The conversation as a table: (state, event, now) → (state, commands).

Nothing happens here: no clock, no socket, no task. The conductor feeds what happened to `step`
and carries out the commands that come back, in order. Time enters as `now_s`; `wake_at` says when
the machine wants a `Tick` if nothing else happens.

Which handler serves an event in a state stands in `TABLE`; an event without a row in a state means
nothing there and is passed over. `docs/reference/states.md` is drawn from `MOVES`, and a
test walks the machine to see that it makes these moves and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vantum.core import flushing
from vantum.core.announcing import announce
from vantum.core.barging import (
    answer_failed,
    barge,
    barging_wakes_at,
    first_audio,
    floor_taken,
    hear,
    interrupt,
    pass_over,
    response_done,
    take_turn,
)
from vantum.core.deafness import deaf_wakes_at, gone_deaf, hopeless, mind_deafness
from vantum.core.decisions import (
    Announce,
    AnswerFailed,
    CancelResponse,
    CloseRequested,
    Command,
    Conversation,
    Event,
    FirstAudio,
    Flush,
    InputEnding,
    OpenRecogniser,
    OpenSynthesiser,
    ResponseDone,
    RoleLost,
    RoleReady,
    Send,
    SendTranscript,
    Step,
    Tick,
    TurnEnding,
)
from vantum.core.digits import pressed, with_final
from vantum.core.endpointing import CheckAnswered
from vantum.core.events import (
    Ack,
    EndCall,
    ErrorReply,
    Goodbye,
    Heartbeat,
    InputDigits,
    Interrupt,
    Ready,
    StartInput,
    StateName,
)
from vantum.core.evolving import evolve
from vantum.core.floor import Floor
from vantum.core.messages import (
    EchoHeard,
    SpeechStarted,
    SttBehind,
    SttFlush,
    SttFlushed,
    Transcript,
    UtteranceEnded,
    VoiceEdge,
)
from vantum.core.moves import drop_queue, end_call, go_on, leave, move, service_error
from vantum.core.turn_taking import (
    begin_judging,
    flush_given_up,
    is_auto,
    judge,
    mind_silence,
    notice,
    policy_wakes_at,
    say,
    shown_is_said,
    still_ended,
    turn_taken,
)

# ---------------------------------------------------------------- handlers


def _start_input(c: Conversation, e: StartInput, now_s: float) -> Step:
    commands: list[Command] = []
    opening = bool(c.starts)  # what is on its way is not asked for twice
    was_auto = is_auto(c)
    c = evolve(c, options=e.options, start_request=e.request, starts=(*c.starts, e))
    c = evolve(c, endpointing=evolve(c.endpointing, language=e.options.language))
    if is_auto(c) is not was_auto:
        c = begin_judging(c, now_s)
        c = c if c.state == "INITIALIZING" else flushing.expects_answers(c, now_s)
    if "stt" not in c.ready and not opening:
        c = evolve(c, language=None)
    c = _open_recogniser(c, now_s, commands)
    if "tts" not in c.ready and not opening:
        commands.append(OpenSynthesiser())
    return _when_ready(c, now_s, commands), commands


def _open_recogniser(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    """Order a recogniser for the language that is wanted, if there is none or another one."""
    wanted = c.options.language if c.options is not None else None
    if wanted is None or c.language == wanted:
        return c
    if "stt" in c.ready and flushing.awaits_words(c):
        return c  # the words of an ended turn come first; only this recogniser knows them
    commands.append(OpenRecogniser(wanted))
    # The new one knows of no flush but those whose marks still wait in front of it.
    c = shown_is_said(c)
    c = begin_judging(c, now_s) if c.flushes else c
    return evolve(c, flushes=(), overdue=frozenset(), language=wanted, ready=c.ready - {"stt"})


def _when_ready(c: Conversation, now_s: float, commands: list[Command]) -> Conversation:
    wanted = c.options.language if c.options is not None else None
    if not {"stt", "tts"} <= c.ready or c.language != wanted:
        return c
    opens = c.state == "INITIALIZING"
    if opens:
        c = move(c, "LISTENING", commands)
        commands.append(Send(Ready(c.providers)))
        c = evolve(c, quiet_since_s=now_s)
        c = flushing.expects_answers(c, now_s)
    commands.extend(Send(Ack(start.request)) for start in c.starts)
    c = evolve(c, starts=())
    if opens and c.greeting and not any(turn.say for turn in c.queue):
        return say(c, c.greeting, commands, firm=c.greeting_is_firm)
    return go_on(c, commands) if c.turn is None and c.queue else c


def _role_ready(c: Conversation, e: RoleReady, now_s: float) -> Step:
    commands: list[Command] = []
    if _is_stale(c, e):
        return c, commands
    return _when_ready(evolve(c, ready=c.ready | {e.role}), now_s, commands), commands


def _is_stale(c: Conversation, e: RoleReady | RoleLost) -> bool:
    """News of a recogniser that another one has replaced since."""
    return e.language is not None and e.language != c.language


def _role_lost(c: Conversation, e: RoleLost, now_s: float) -> Step:
    commands: list[Command] = []
    if _is_stale(c, e):
        return c, commands
    was_ready = e.role in c.ready
    c = gone_deaf(evolve(c, ready=c.ready - {e.role}), e, now_s)
    if c.starts:
        for start in c.starts:
            commands.extend(service_error(start.request, e))
        c = evolve(c, starts=())
    elif was_ready or e.for_good:
        commands.extend(service_error(c.start_request, e))
    if e.role == "stt":
        # Its answers will not come: the best known words stand, and nothing old is expected.
        for flush in c.flushes:
            c = take_turn(c, flush.request, now_s, commands, with_interim=True, judged=flush.judged)
        c = evolve(shown_is_said(c), flushes=(), overdue=frozenset())
    why = hopeless(c, e)
    return (c if why is None else end_call(c, why, commands)), commands


def _input_ending(c: Conversation, e: InputEnding, now_s: float) -> Step:
    request = e.message.request
    if c.options is None:
        message = "nothing to end: send audio.input.start first"
        return c, [Send(ErrorReply(request, "malformed", message))]
    if len(c.flushes) >= c.limits.max_queue_size:
        message = f"{len(c.flushes)} ends of turns are waiting already: wait for their transcripts"
        return c, [Send(ErrorReply(request, "queue_full", message))]
    waiting = c.state == "INITIALIZING"
    deadline_s = None if waiting else now_s + c.limits.flush_timeout_s
    flush = Flush(e.flush_id, request, deadline_s, c.start_request)
    c = notice(evolve(c, flushes=(*c.flushes, flush)), SttFlush(e.flush_id), now_s)
    return c, [Send(Ack(request))]


def _turn_ending(c: Conversation, e: TurnEnding, now_s: float) -> Step:
    deadline_s = now_s + c.limits.flush_timeout_s
    flush = Flush(e.flush_id, c.start_request, deadline_s, c.start_request, judged=True)
    return notice(evolve(c, flushes=(*c.flushes, flush)), SttFlush(e.flush_id), now_s), []


def _sign(c: Conversation, e: SpeechStarted | VoiceEdge | UtteranceEnded, now_s: float) -> Step:
    commands: list[Command] = []
    c = barge(hear(c, e, now_s), now_s, commands)
    return judge(notice(c, e, now_s), now_s, commands), commands


def _echo(c: Conversation, e: EchoHeard, now_s: float) -> Step:
    return hear(c, e, now_s), []


def _check_answered(c: Conversation, e: CheckAnswered, now_s: float) -> Step:
    commands: list[Command] = []
    c = evolve(c, endpointing=c.endpointing.take(e, now_s))
    return judge(c, now_s, commands), commands


def _transcript(c: Conversation, e: Transcript, now_s: float) -> Step:
    if c.overdue:
        c, e = flushing.new_of_late(c, e)
    start = c.flushes[0].start if c.flushes else c.start_request
    commands: list[Command] = [SendTranscript(start, e)] if e.text else []
    if (passed := pass_over(c, e, now_s)) is not None:
        return passed, commands
    c = evolve(with_final(c, e.text), noise=None) if e.is_final else evolve(c, interim=e.text)
    if e.text:
        c = notice(hear(c, e, now_s), e, now_s)
    return judge(barge(c, now_s, commands), now_s, commands), commands


def _flushed(c: Conversation, e: SttFlushed, now_s: float) -> Step:
    commands: list[Command] = []
    if e.flush_id in c.overdue:
        # Words that are there came too late for that turn, or by keys.
        return evolve(c, overdue=c.overdue - {e.flush_id}, interim=""), commands
    # One that is not waited for any more was answered by a newer recogniser than it was asked of:
    # what that one has heard before it is a turn of its own.
    found = [f for f in c.flushes if f.flush_id == e.flush_id]
    request = found[0].request if found else c.start_request
    # Answers come in order: what was asked before it has its own, or will never have one.
    c = evolve(c, flushes=tuple(f for f in c.flushes if f.flush_id > e.flush_id))
    c = evolve(c, overdue=frozenset(n for n in c.overdue if n > e.flush_id))
    c = notice(hear(c, e, now_s), e, now_s)
    judged = bool(found and found[0].judged)
    if found and not e.complete and flushing.is_unknown(c) and not (judged or is_auto(c)):
        c = evolve(c, flushes=(evolve(found[0], answered=True), *c.flushes))
    elif not judged or c.flushes or still_ended(c, now_s):
        with_interim = not e.complete
        c = take_turn(c, request, now_s, commands, with_interim=with_interim, judged=judged)
    return _when_ready(_open_recogniser(c, now_s, commands), now_s, commands), commands


def _tick(c: Conversation, e: Tick, now_s: float) -> Step:
    commands: list[Command] = []
    for flush in c.flushes:
        if flush.deadline_s is None or flush.deadline_s > now_s:
            continue
        others = tuple(f for f in c.flushes if f is not flush)
        if flushing.is_unknown(c) and c.options and c.language == c.options.language:
            if flush.judged or is_auto(c):  # late words begin the next turn: none waits for them
                c = turn_taken(evolve(c, flushes=others), now_s)
            else:
                c = flushing.waits_on(c, flush)
            continue
        c = flush_given_up(evolve(c, flushes=others), flush.flush_id)
        c = take_turn(c, flush.request, now_s, commands, with_interim=True, judged=flush.judged)
        c = _open_recogniser(c, now_s, commands)
    c = judge(barge(c, now_s, commands), now_s, commands)
    c = mind_silence(c, e, now_s, commands)
    c = mind_deafness(c, now_s, commands)
    if c.closing is None and now_s >= c.started_s + c.limits.max_duration_s:
        c, more = _close(c, CloseRequested(1000, "maximum duration reached"), now_s)
        commands.extend(more)
    if c.turn and c.closing and c.grace_at_s is not None and now_s >= c.grace_at_s:
        commands.append(CancelResponse(c.turn.number, c.closing.cuts_as, interrupted=False))
        c = evolve(c, grace_at_s=None)
    return c, commands


def _close(c: Conversation, e: CloseRequested, now_s: float) -> Step:
    """Politely: what is being said may be finished; what waits is told that it will not be."""
    commands: list[Command] = []
    if c.closing is not None:
        return c, commands
    c = evolve(c, closing=e, grace_at_s=now_s + c.limits.grace_s)
    if c.turn is None:
        c = end_call(c, e, commands)
    return c, commands


def _hang_up(c: Conversation, e: EndCall | Goodbye, now_s: float) -> Step:
    """At once, in every state: the answer is cut and what waits is dropped."""
    commands: list[Command] = []
    if c.turn is not None:
        commands.append(CancelResponse(c.turn.number, "end_call", interrupted=False))
    reason = "call ended by the client"
    c = end_call(evolve(drop_queue(c), turn=None), CloseRequested(1000, reason), commands)
    return c, commands


def _heartbeat(c: Conversation, e: Heartbeat, now_s: float) -> Step:
    return c, [Send(Ack(e.request))]


# ---------------------------------------------------------------- the table

Handle: TypeAlias = Callable[..., Step]

_ALWAYS: dict[type, Handle] = {
    StartInput: _start_input,
    RoleReady: _role_ready,
    RoleLost: _role_lost,
    InputEnding: _input_ending,
    InputDigits: pressed,
    Transcript: _transcript,
    TurnEnding: _turn_ending,
    SpeechStarted: _sign,
    VoiceEdge: _sign,
    EchoHeard: _echo,
    UtteranceEnded: _sign,
    CheckAnswered: _check_answered,
    Floor: floor_taken,
    SttFlushed: _flushed,
    SttBehind: flushing.put_off,
    Tick: _tick,
    Announce: announce,
    CloseRequested: _close,
    EndCall: _hang_up,
    Goodbye: _hang_up,
    Heartbeat: _heartbeat,
}

#: What is understood in each state. A missing row: it means nothing there.
TABLE: dict[StateName, dict[type, Handle]] = {
    "INITIALIZING": _ALWAYS,
    "LISTENING": _ALWAYS | {Interrupt: interrupt},
    "THINKING": _ALWAYS
    | {
        FirstAudio: first_audio,
        AnswerFailed: answer_failed,
        ResponseDone: response_done,
        Interrupt: interrupt,
    },
    "RESPONDING": _ALWAYS
    | {
        AnswerFailed: answer_failed,
        ResponseDone: response_done,
        Interrupt: interrupt,
    },
    "INTERRUPTED": _ALWAYS | {ResponseDone: response_done},
    "ENDED": {},
}

#: Every move the machine can make, and why: the diagram in the reference is drawn from it.
MOVES: dict[tuple[StateName, StateName], str] = {
    ("INITIALIZING", "LISTENING"): "recogniser and synthesiser are ready",
    ("LISTENING", "THINKING"): "the user's turn is over and has words, or one was waiting",
    ("THINKING", "RESPONDING"): "first audio",
    ("THINKING", "LISTENING"): "nothing to say, cancelled, or failed",
    ("RESPONDING", "LISTENING"): "last audio heard, or cut for something else to say",
    ("RESPONDING", "INTERRUPTED"): "the user cuts in",
    ("INTERRUPTED", "LISTENING"): "the answer has stopped",
    ("INITIALIZING", "ENDED"): "hang-up, time up, or shutdown",
    ("LISTENING", "ENDED"): "hang-up, time up, or shutdown",
    ("THINKING", "ENDED"): "hang-up, time up, or shutdown",
    ("RESPONDING", "ENDED"): "hang-up, time up, or shutdown",
    ("INTERRUPTED", "ENDED"): "hang-up, time up, or shutdown",
}


def step(c: Conversation, event: Event, now_s: float) -> Step:
    """What follows from an event.

    Args:
        c: the conversation so far.
        event: what happened.
        now_s: when, on the clock of `Conversation.started_s`.

    Returns:
        The conversation after it and the commands to carry out, in order.
    """
    handle = TABLE[c.state].get(type(event))
    if handle is None:
        return c, []
    c, commands = handle(c, event, now_s)
    if c.leaving and c.state != "ENDED":
        c = leave(c, commands)
    return c, commands


def wake_at(c: Conversation) -> float:
    """When the machine wants a `Tick` at the latest; infinity once it has ended."""
    if c.state == "ENDED":
        return float("inf")
    deadlines = [f.deadline_s for f in c.flushes if f.deadline_s is not None]
    if c.closing is None:
        deadlines.append(c.started_s + c.limits.max_duration_s)
    elif c.grace_at_s is not None:
        deadlines.append(c.grace_at_s)
    deadlines += (policy_wakes_at(c), barging_wakes_at(c), deaf_wakes_at(c))
    return min(deadlines, default=float("inf"))
