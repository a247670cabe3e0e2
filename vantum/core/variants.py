"""Variants of the system prompt, for comparing them: which one a call gets.

The choice depends on the session's id alone, so it can be made again from a record, and every
process of a cluster makes the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from attrs import frozen

_BITS: Final = 64


@frozen
class PromptVariant:
    """One variant. `system_prompt` empty: the prompt that stands without variants, as a control.

    `weight` is its share of the calls in proportion to the others', 0 or more.
    """

    name: str
    weight: float = 1.0
    system_prompt: str = ""


def choose_variant(variants: Sequence[PromptVariant], session_id: str) -> PromptVariant | None:
    """The variant of a session; None if there are none with any weight."""
    total = sum(variant.weight for variant in variants)
    digest = hashlib.sha256(session_id.encode()).digest()
    place = int.from_bytes(digest[: _BITS // 8]) / 2**_BITS * total
    chosen = None
    for variant in variants:
        if variant.weight > 0:
            chosen = variant
            place -= variant.weight
            if place < 0:
                break
    return chosen
