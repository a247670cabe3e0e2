"""Whether somebody says that they do not want to be called any more.

Each language has a table of its own, in `opt_out_english` and so on; phrases can be added for
others. All languages are listened for unless the settings name some: who speaks Spanish to an agent
that speaks English asks for the same, and no table finds anything in another's language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from vantum.core.opt_out_english import english_opt_out, normal
from vantum.core.opt_out_french import FRENCH
from vantum.core.opt_out_german import GERMAN
from vantum.core.opt_out_portuguese import PORTUGUESE
from vantum.core.opt_out_spanish import SPANISH

_TABLES: Final[Mapping[str, Callable[[str], str | None]]] = {
    "en": english_opt_out,
    "es": SPANISH.find,
    "fr": FRENCH.find,
    "de": GERMAN.find,
    "pt": PORTUGUESE.find,
}
#: The languages that have a table, as ISO 639-1 codes.
LANGUAGES: Final = tuple(_TABLES)


def opt_out_phrase(
    transcript: str, more: Sequence[str] = (), languages: Sequence[str] = LANGUAGES
) -> str | None:
    """The words by which somebody asks not to be called again; None: nobody does.

    Args:
        transcript: what was recognised, of one turn; its end need not be the sentence's.
        more: phrases that count wherever they stand as whole words, for other languages.
        languages: those that are listened for, of `LANGUAGES`.

    Returns:
        The words as they were matched: small letters, without punctuation.

    Raises:
        KeyError: there is no table for a language.
    """
    for language in languages:
        if (words := _TABLES[language](transcript)) is not None:
            return words
    padded = f" {normal(transcript)} "
    for phrase in more:
        if (words := normal(phrase).rstrip(" .")) and f" {words} " in padded:
            return words
    return None


def parse_languages(text: str) -> tuple[str, ...]:
    """Languages as people write them: "en, es"; empty: none.

    Raises:
        ValueError: one line that says which is none, and which there are.
    """
    found = tuple(part.lower() for piece in text.split(",") if (part := piece.strip()))
    for code in found:
        if code not in _TABLES:
            raise ValueError(f"{code!r} is none of {', '.join(LANGUAGES)}")
    return tuple(dict.fromkeys(found))
