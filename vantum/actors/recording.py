"""What tools did within an answer goes into the history, between what was said before and after."""

from __future__ import annotations

from functools import partial

from vantum.actors.cut import CutAnswer
from vantum.actors.response import Response
from vantum.core.history import History
from vantum.core.wording import joined, split_behind, words_of


def record_answer(
    history: History, cut: CutAnswer, *, interrupted: bool, at_ms: int, follows: bool = True
) -> None:
    """Record an answer with all its utterances, as far as it was heard. `follows`: results of tools
    that come later are to go there, too."""
    last = cut.responses[-1]
    whole = not interrupted and not last.failed
    text = heard = ""
    goes_on = False
    for response in cut.responses:
        said = last.playing.playout.text if response is last else response.heard
        if text and response.said.round_ends:
            history.add_assistant(
                text, at_ms=at_ms, heard_text=None if whole else heard, continued=goes_on
            )
            text = heard = ""
            goes_on = True
        more, more_heard = record_rounds(
            history,
            response,
            said,
            response.heard,
            whole=whole,
            interrupted=interrupted and response is last,
            at_ms=at_ms,
            follows=follows,
            continued=goes_on,
        )
        text, heard = joined(text, more), joined(heard, more_heard)
    if text or not last.said.round_ends:
        history.add_assistant(
            text,
            interrupted=interrupted,
            is_fallback=any(response.said.is_fallback for response in cut.responses),
            heard_text=None if whole else heard,
            written=cut.written if whole and _is_last_round(cut, text) else "",
            at_ms=at_ms,
        )


def _is_last_round(cut: CutAnswer, text: str) -> bool:
    """Whether a text is what the model wrote last: an answer that was cut in a round before says
    the rest of that with it."""
    said = cut.responses[0].said
    return len(words_of(text)) == _count(said.pieces[(said.round_ends or [0])[-1] :])


def _count(pieces: list[str]) -> int:
    return sum(len(words_of(piece)) for piece in pieces)


def record_rounds(
    history: History,
    response: Response,
    text: str,
    heard: str,
    *,
    whole: bool,
    at_ms: int,
    interrupted: bool = False,
    follows: bool = True,
    continued: bool = False,
) -> tuple[str, str]:
    """Record the rounds of an answer but the last; gives what is left of `text` and of `heard`.

    An answer that was cut before anything of it was heard is none: of it only what has begun is
    recorded, which stays done whatever becomes of the answer. `interrupted`: the user cut in, and
    the round says so in whose words he did, or behind which nothing was to be said yet.
    `continued`: its words go on with what was recorded last.
    """
    said, errands = response.said, response.errands
    began = 0
    for number, this in enumerate(errands.rounds if errands is not None else ()):
        if not (whole or heard or this.begun):
            continue
        end = said.round_ends[number] if number < len(said.round_ends) else len(said.pieces)
        words = _count(said.pieces[began:end])
        began = end
        before, text = split_behind(text, words)
        before_heard, heard = split_behind(heard, words)
        if before:
            is_cut = not text or len(words_of(before_heard)) < len(words_of(before))
            history.add_assistant(
                before,
                interrupted=interrupted and is_cut,
                heard_text=None if whole else before_heard,
                # What was cut in it is said in the utterance that goes on with it.
                written=this.text if whole and len(words_of(before)) == words else "",
                at_ms=at_ms,
                continued=continued,
            )
            continued = False
        history.add_tool_use(this.messages, at_ms=at_ms)
        if follows:
            this.late = partial(history.tool_finished, at_ms=at_ms)
    return text, heard
