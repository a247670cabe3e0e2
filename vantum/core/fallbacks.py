"""What is said when no answer can be had: three texts, from a hiccup to giving up."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import Attribute, field, frozen

FallbackTier: TypeAlias = Literal[1, 2, 3]


def _check_text(_self: object, attribute: Attribute[str], text: str) -> None:
    if not any(map(str.isalnum, text)):
        raise ValueError(f"fallback text {attribute.name} must have words, not {text!r}")


@frozen
class FallbackTiers:
    """The texts of `LLM_FALLBACK_TIER1` … `TIER3`.

    Raises:
        ValueError: one of them has nothing that can be spoken.
    """

    tier1: str = field(validator=_check_text)
    tier2: str = field(validator=_check_text)
    tier3: str = field(validator=_check_text)

    def after(self, failures: int) -> tuple[FallbackTier, str]:
        """Tier and text after so many failures in a row, the present one included.

        The caller counts per session and starts again at 0 after a success; from the third
        failure on it stays at tier 3.

        Raises:
            ValueError: `failures` is below 1: nothing has failed.
        """
        if failures < 1:
            raise ValueError(f"a fallback follows at least 1 failure, not {failures}")
        if failures == 1:
            return 1, self.tier1
        return (2, self.tier2) if failures == 2 else (3, self.tier3)
