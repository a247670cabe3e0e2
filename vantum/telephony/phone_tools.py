"""What the model may do on the phone besides talking."""

from __future__ import annotations

from typing import Annotated, Final

from vantum.core.dtmf import MAX_KEYS, check_keys
from vantum.core.tools import ToolContext, ToolError, make_tool


async def _send_digits(
    context: ToolContext,
    digits: Annotated[
        str, f"Up to {MAX_KEYS} of 0-9 * # A-D; w pauses 0.5 s, W 1 s. Such as 2w42#."
    ],
) -> str:
    """Press keys of the telephone, for a menu or a machine that asks for them. They are sent as
    tones behind what you say in the same answer; say nothing if only the keys are needed. Never
    write keys as text instead: nobody would press them."""
    try:
        keys = check_keys(digits)
    except ValueError as error:
        raise ToolError(str(error)) from None
    context.line.press(keys)
    return "The tones are being sent. Wait for what is said next."


SEND_DIGITS: Final = make_tool(
    _send_digits, effect="irreversible", name="send_digits", filler="", needs_reply=False
)
