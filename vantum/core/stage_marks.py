"""Stage markers in a stream of text: `[[stage:pitch]]`, taken out and never spoken.

With them a model without tools says that the call has come to another stage of its script. Models
do not always write as asked, so one pair of brackets, spaces, capitals and `=` do as well. At the
end of the text an unfinished one (`[[stage:pi`) is dropped and means nothing.

What comes of text depends on the text alone, never on how it was split into tokens.
"""

from __future__ import annotations

import re
from typing import Final

from vantum.core.leaving_out import leave_out

#: A longer name is none; it also bounds what is held back.
_NAME: Final = r"[\w-]{1,40}"
_WHOLE: Final = re.compile(
    rf"\[{{1,2}}\s{{0,3}}stage\s{{0,3}}[:=\s]\s{{0,3}}(?P<name>{_NAME})\s{{0,3}}\]\]?",
    re.IGNORECASE,
)


def _opened() -> str:
    pattern = rf"[:=\s](?:\s{{0,3}}(?:{_NAME}(?:\s{{0,3}}\]?)?)?)?"
    for part in (r"\s{0,3}", "e", "g", "a", "t", "s"):
        pattern = f"{part}(?:{pattern})?"
    return rf"\[{{1,2}}\s{{0,3}}(?:{pattern})?"


#: What may yet become one.
_OPENED: Final = re.compile(_opened(), re.IGNORECASE)
#: What is one already, but for its end.
_MEANT: Final = re.compile(r"\[\[|\[\s{0,3}stage\s{0,3}[:=]", re.IGNORECASE)


class StageMarks:
    """Text in tokens → the text without stage markers, and their names in order.

    Holds back at most a marker's length.
    """

    __slots__ = ("_held", "names")

    def __init__(self) -> None:
        self._held = ""
        self.names: list[str] = []

    def feed(self, token: str, *, final: bool = False) -> str:
        """What is certain after `token`, without markers; with `final`, everything."""

        def judge(text: str, begin: int) -> int | None:
            whole = _WHOLE.match(text, begin)
            if _OPENED.fullmatch(text, begin):
                if not final:
                    return None
                if whole or _MEANT.match(text, begin):
                    self.names += [whole["name"]] if whole else []
                    return len(text)
            elif whole:
                self.names.append(whole["name"])
                return whole.end()
            return begin

        certain, self._held = leave_out(self._held + token, "[", judge)
        return certain


def without_unfinished_mark(text: str) -> str:
    """`text` without a marker that was begun at its end and is not whole: there it was cut off."""
    begin = text.rfind("[")
    begin -= text[:begin].endswith("[") if begin > 0 else 0
    if begin < 0 or _WHOLE.match(text, begin) or not _MEANT.match(text, begin):
        return text
    return text[:begin].rstrip() if _OPENED.fullmatch(text, begin) else text


def strip_stage_marks(text: str) -> str:
    """`text` without stage markers."""
    return StageMarks().feed(text, final=True)
