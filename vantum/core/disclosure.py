"""Whether a text says that an artificial voice is speaking."""

from __future__ import annotations

import re
from typing import Final

#: What counts by default, in a few languages. Abbreviations count in capitals and with a word that
#: makes them a speaker: "Acme AI", "j'ai" and "gli amici ai quali" say nothing of who is speaking.
DEFAULT_DISCLOSURE: Final = (
    r"\b(?:an? |the |eine |une |un['’]|una |\w+['’]s )(?-i:AI\b|A\.I\.|KI\b|IA\b)"
    r"(?! (?:product|tool|solution|platform|company|start-?up|software|project)s?\b)|"
    r"\b(?-i:AI|A\.I\.|KI|IA)(?: |-)(?:voice|assistant|agent|caller|system|bot|representative|"
    r"receptionist|assistent\w*|stimme)\b|"
    r"\bartificial (?:intelligence|voice)\b|"
    r"\b(?:automated|virtual|digital|computer) (?:voice|assistant|agent|caller|call|system)\b|"
    r"\b(?:a|the|your) (?:voice ?bot|chat ?bot|robot|bot|machine)\b|"
    r"\bkünstliche (?:intelligenz|stimme)\b|\bintelligence artificielle\b|"
    r"\binteligencia artificial\b|\bintelligenza artificiale\b"
)

#: "I am not a robot" has the word and says the opposite.
_DENIAL: Final = re.compile(
    r"\b(?:not|never|no|isn[’']?t|ain[’']?t|kein\w*|nicht|pas|ne|non)\W+(?:[\w’']+\W+){0,3}$",
    re.IGNORECASE,
)
#: A denial reaches to the end of its clause.
_CLAUSE_END: Final = re.compile(r"[.!?;:,]\s|\b(?:but|aber|mais|sino|ma)\b")


def discloses(text: str, pattern: str = DEFAULT_DISCLOSURE) -> bool:
    """Whether `text` says it by one of the words of `pattern`, and does not deny it.

    Args:
        text: what will be spoken, variables filled in.
        pattern: a regular expression, matched anywhere and without regard to case.

    Raises:
        re.error: `pattern` is none.
    """
    for found in re.finditer(pattern, text, re.IGNORECASE):
        before = _CLAUSE_END.split(text[: found.start()])[-1]
        if found[0] and not _DENIAL.search(before):
            return True
    return False
