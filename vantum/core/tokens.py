"""About how many tokens a text takes, without a tokenizer at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

#: Tells how many tokens a text takes.
CountTokens: TypeAlias = Callable[[str], int]

#: English text has about four characters to a token; other scripts have fewer, so that the
#: estimate is low for them. A limit should be set with room to spare.
CHARS_PER_TOKEN: Final = 4
#: What a chat format adds to each message (role and separators).
MESSAGE_TOKENS: Final = 4


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` takes."""
    return -(-len(text) // CHARS_PER_TOKEN)
