"""An answer in parts: it was cut, and went on or may go on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from attrs import evolve, frozen

from vantum.actors.response import Response
from vantum.core.messages import ChatMessage
from vantum.core.wording import joined, split_behind, words_of

#: To a model that has to go on with an answer it was stopped in.
_GO_ON = (
    "You were stopped by a noise while you said your last message, and all of it has been heard "
    "now. Go on right behind its last word. Do not repeat any of it and do not begin anew."
)


@frozen
class CutAnswer:
    """One answer in all its utterances so far, oldest first."""

    responses: tuple[Response, ...]

    @property
    def is_whole(self) -> bool:
        """Whether all that there is to say is known: no model has to go on."""
        last = self.responses[-1]
        return last.is_own or bool(last.said.text)

    @property
    def _has_words(self) -> bool:
        """Whether there is more of it than fillers, which nobody needs to hear to the end."""
        return any(len(r.said.known) > len(r.said.fillers) for r in self.responses)

    @property
    def heard(self) -> str:
        """What was heard of it."""
        return _joined(response.heard for response in self.responses)

    @property
    def rest(self) -> str:
        """What is known and was not heard: from the first unspoken word on."""
        last = self.responses[-1]
        if not (last.is_own or last.own_text or self._has_words):
            return ""
        return split_behind(last.known, len(words_of(last.heard)))[1]

    @property
    def begun(self) -> tuple[ChatMessage, ...]:
        """What the model must know to go on: what it has asked of tools, and what it has said."""
        errands = [r.errands for r in self.responses if r.errands is not None]
        rounds = [this.messages for errand in errands for this in errand.rounds]
        used = tuple(evolve(m, content="") if m.tool_calls else m for r in rounds for m in r)
        said = _joined((self.heard, self.rest)) if self._has_words else ""
        told = (ChatMessage("assistant", said), ChatMessage("system", _GO_ON)) if said else ()
        return (*used, *told)

    @property
    def written(self) -> str:
        """What the model wrote, with its markers, if it wrote all of it at once: then what follows
        is ours, and else the first has nothing whole."""
        return self.responses[0].said.written


def _joined(texts: Iterable[str]) -> str:
    return reduce(joined, filter(None, texts), "")
