"""What the agent is saying: it has the floor. Pure."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Floor:
    """What the agent is saying: the answer's words as far as they are known, and where it is.

    Attributes:
        words: of the utterance.
        position: so many of them were heard by now.
        whole: no more will come.
        firm: it is said to its end, whatever is said into it.
    """

    words: tuple[str, ...] = ()
    position: int = 0
    whole: bool = False
    firm: bool = False

    @property
    def waits(self) -> bool:
        """All that is known of it was heard, and there will be more."""
        return bool(self.words) and self.position >= len(self.words) and not self.whole

    @property
    def wants_answer(self) -> bool:
        """A short word would be an answer: a question ends here, or all that we have to say."""
        if self.whole and len(self.words) - self.position <= _NEAR_WORDS:
            return True
        near = self.words[max(self.position - _NEAR_WORDS, 0) : self.position + _NEAR_WORDS]
        return any("?" in word for word in near)


#: So many words, about a second, are the end of something: of a question, of an answer.
_NEAR_WORDS: Final = 4
