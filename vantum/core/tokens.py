"""About how many tokens a text takes, without a tokenizer at hand.

An encoding's table is megabytes that no package brings which may be downloaded by nobody at run
time (`tiktoken` fetches it). So characters are counted by their kind, each with the tokens it takes
on average. The shares were fitted to o200k_base, the encoding of OpenAI's models since GPT-4o, on
spoken sentences in sixteen languages, numbers and JSON: of those, none is estimated more than a
tenth too low, and most are a few per cent too high, which is the side to err on with a limit.
`tests/core/test_tokens.py` has the sentences and their true counts.

With the extra `tokens` installed, OpenAI's models are counted exactly: `vantum.providers.counting`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final, TypeAlias

#: Tells how many tokens a text takes.
CountTokens: TypeAlias = Callable[[str], int]

#: What a chat format adds to each message (role and separators).
MESSAGE_TOKENS: Final = 4

#: Tokens for a letter or space of plain Latin text, and for what a character of a kind adds to it.
_PLAIN: Final = 0.235
_KINDS: Final = (
    (re.compile(r"[0-9]"), 0.45),
    (re.compile(r"[!-/:-@\[-`{-~]"), 0.35),  # ASCII punctuation
    (re.compile(r"[\u00a1-\u036f\u1e00-\u1eff]"), 0.75),  # Latin with accents
    (re.compile(r"[\u0370-\u03ff]"), 0.2),  # Greek
    (re.compile(r"[\u0400-\u052f]"), 0.06),  # Cyrillic
    (re.compile(r"[\u0530-\u10ff\u1100-\u1dff]"), 0.17),  # Hebrew, Arabic, India, Thai, …
    (re.compile(r"[\u2000-\u2bff]"), 0.9),  # punctuation, symbols
    (re.compile(r"[\u2c00-\ud7ff\uf900-\uffef]"), 0.5),  # China, Japan, Korea
    (re.compile(r"[\U00010000-\U0010ffff]"), 1.6),  # emoji
)


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` takes; 0 only for no text."""
    tokens = _PLAIN * len(text)
    for kind, more in _KINDS if not text.isascii() else _KINDS[:2]:
        tokens += more * len(kind.findall(text))
    return math.ceil(tokens)
