"""The small moves that the conversation's handlers are made of. Pure."""

from __future__ import annotations

from typing import Final

from vantum.core.decisions import (
    CloseRequested,
    Command,
    Conversation,
    EndSession,
    MoveState,
    ResponseDone,
    RoleLost,
    Send,
    StartResponse,
    Turn,
)
from vantum.core.events import (
    Disconnecting,
    ErrorCase,
    ErrorReply,
    Maintenance,
    QuotaExceeded,
    Request,
    StateName,
)
from vantum.core.evolving import evolve
from vantum.core.floor import Floor
from vantum.errors import Role

GOODBYE_SAID: Final = CloseRequested(1000, "the agent ended the call")
NOBODY_ANSWERED: Final = CloseRequested(1000, "nobody answered")
#: 1011: by our fault.
DEAF: Final = CloseRequested(1011, "speech recognition is unavailable")
SPEECHLESS: Final = CloseRequested(1011, "speech synthesis is unavailable")


def move(c: Conversation, new: StateName, commands: list[Command]) -> Conversation:
    """To another state; the client is told. To the same one: nothing."""
    if c.state == new:
        return c
    commands.append(MoveState(c.state, new))
    return evolve(c, state=new)


def service_error(request: Request, lost: RoleLost) -> list[Command]:
    """What a client is told of a provider that failed it."""
    case: dict[Role, ErrorCase] = {
        "stt": "stt_unavailable",
        "llm": "llm_unavailable",
        "tts": "tts_unavailable",
    }
    commands: list[Command] = [Send(ErrorReply(request, case[lost.role], lost.message))]
    if lost.kind == "quota":
        commands.append(Send(QuotaExceeded(lost.role, lost.message)))
    return commands


def take_words(c: Conversation, *, with_interim: bool) -> tuple[Conversation, str]:
    """End the turn being spoken; an interim counts only if its final text will not come."""
    parts = (*c.words, c.interim) if with_interim else c.words
    return evolve(c, words=(), interim=""), " ".join(p for p in parts if p).strip()


def commit(c: Conversation, text: str, request: Request, commands: list[Command]) -> Conversation:
    """A turn of the user is over: answer it, or queue it behind the answer that is running."""
    if not text and not c.joins:
        return c
    if c.closing is not None:
        commands.append(
            Send(ErrorReply(request, "queue_full", "the session is closing: not answered"))
        )
        return evolve(c, words=(text,) if text else ())  # it was said all the same
    turn = Turn(c.next_turn, text, request, joins=c.joins)
    # Before the synthesiser is ready a turn waits just as it does behind an answer.
    must_wait = c.turn is not None or c.state == "INITIALIZING"
    if must_wait and len(c.queue) >= c.limits.max_queue_size:
        message = (
            f"{c.limits.max_queue_size} requests are waiting already (LLM_MAX_QUEUE_SIZE); "
            "this one is not answered by itself but with the last of them"
        )
        commands.append(Send(ErrorReply(request, "queue_full", message)))
        *others, last = c.queue  # it was said all the same
        return evolve(c, queue=(*others, evolve(last, text=f"{last.text} {text}".strip())))
    c = evolve(c, next_turn=c.next_turn + 1, queue=(*c.queue, turn), prompted=0, joins=False)
    return c if must_wait else go_on(c, commands)


def go_on(c: Conversation, commands: list[Command]) -> Conversation:
    """Start the next waiting turn, close if that was asked for, or listen: also while an answer is
    stopped that may have to go on."""
    if c.closing is not None:
        return end_call(c, c.closing, commands)
    if not c.queue or c.bargein.stopped_s is not None:
        return move(c, "LISTENING", commands)
    # Between two turns the line is open again, if only for an instant: the states stay a path of
    # the diagram.
    c = move(c, "LISTENING", commands)
    turn, *rest = c.queue
    c = evolve(c, turn=turn, queue=tuple(rest), floor=Floor(), bargein=c.bargein.answer_started())
    c = move(c, "THINKING", commands)
    commands.append(StartResponse(turn))
    return c


def starts_once(c: Conversation) -> bool:
    """Whether nothing can be asked of the client, as of a telephone, that mends anything."""
    return c.options is not None and c.options.starts_once


def speechless(c: Conversation, e: ResponseDone) -> CloseRequested | None:
    """Why the call ends behind an answer that was not spoken: the voice is refused for good, and
    there is nobody but the caller, who hears nothing, to be told."""
    refused = any(lost.role == "tts" and lost.kind in ("auth", "quota") for lost in e.failed)
    return SPEECHLESS if refused and starts_once(c) else None


def is_heard_out(c: Conversation) -> bool:
    """Whether nothing that the user has said waits for an answer, or may turn out to want one."""
    return c.turn is None and not (c.queue or c.words or c.interim or c.flushes)


def has_given_up(c: Conversation) -> bool:
    """Whether goodbye was said into a long silence, and the user has said nothing since."""
    return c.prompted > len(c.silence.texts)


def parting(c: Conversation) -> CloseRequested:
    """Why the call ends behind a goodbye."""
    return NOBODY_ANSWERED if has_given_up(c) else GOODBYE_SAID


def leave(c: Conversation, commands: list[Command]) -> Conversation:
    """The agent has said goodbye: the call ends, unless somebody is answered after all."""
    if c.turn is not None:
        return evolve(c, leaving=False)
    return end_call(c, parting(c), commands) if is_heard_out(c) else c


def without_last(c: Conversation) -> Conversation:
    """Without what was heard during the last words, if they are what we say in this turn."""
    turn = c.turn
    if turn is None or turn.ends is None:
        return c
    queue = (t if t.number < turn.number else evolve(t, text="") for t in c.queue)
    return evolve(c, words=(), interim="", queue=tuple(queue))


def drop_queue(c: Conversation) -> Conversation:
    """Answer nobody who waits; what they have said stays known."""
    c = without_last(c)
    texts = (turn.text for turn in c.queue if turn.text)
    return evolve(c, words=(*texts, *c.words), queue=())


def end_call(c: Conversation, why: CloseRequested, commands: list[Command]) -> Conversation:
    """Over: who waited is told, and the socket is closed after it."""
    for turn in c.queue:
        message = "the session ended before this was answered"
        commands.append(Send(ErrorReply(turn.request, "queue_full", message)))
    if why.maintenance:
        commands.append(Send(Maintenance(why.reason)))
    commands.append(Send(Disconnecting(why.reason)))
    c = move(evolve(drop_queue(c), turn=None, flushes=()), "ENDED", commands)
    commands.append(EndSession(why.code, why.reason))
    return c
