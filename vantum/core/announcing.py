"""What somebody outside the conversation has it say, in the table. Pure."""

from __future__ import annotations

from vantum.core.bargein import WordsTaken
from vantum.core.barging import hear
from vantum.core.decisions import (
    Announce,
    CancelResponse,
    CloseRequested,
    Command,
    Conversation,
    Step,
    Turn,
)
from vantum.core.evolving import evolve
from vantum.core.moves import go_on, take_words
from vantum.core.turn_taking import turn_taken


def announce(c: Conversation, e: Announce, now_s: float) -> Step:
    """Say what somebody outside wants said: at once, or as soon as anything can be said.

    What is being said is cut off, and an answer that is being thought of dropped. Passed over when
    the call ends anyway.
    """
    commands: list[Command] = []
    ending = c.closing is not None or any(turn.ends for turn in (c.turn, *c.queue) if turn)
    if ending:
        return c, commands
    text = ""
    if e.answers or e.then_hang_up:  # behind the last words there is no turn for what came before
        c, text = take_words(c, with_interim=True)
        c = turn_taken(hear(c, WordsTaken(), now_s), now_s)
    turn = Turn(
        c.next_turn,
        text,
        c.start_request,
        say=e.text,
        joins=c.joins and bool(text),
        ends=CloseRequested(e.code, e.reason) if e.then_hang_up else None,
    )
    # Those that wait already go first, and whoever waits for an answer waits on.
    before = sum(1 for waiting in c.queue if waiting.say)
    queue = (*c.queue[:before], turn, *c.queue[before:])
    c = evolve(c, next_turn=c.next_turn + 1, queue=queue, joins=False)
    if c.bargein.stopped_s is not None:  # an answer that was stopped is not to go on
        c = evolve(c, bargein=c.bargein.confirmed())
    if c.turn is not None:
        commands.append(CancelResponse(c.turn.number, "announcement", interrupted=False))
    elif c.state == "LISTENING":
        c = go_on(c, commands)
    return c, commands
