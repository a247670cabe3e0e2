"""`nox -s hangup`: end the reference call at every point there is, and print how many there were.

`python -m tests.hang_up [EVERY]` tries every EVERYth point.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from vantum.config import Settings, TurnSettings
from vantum.testing import CartesiaScript, OpenAIScript
from vantum.testing.calls import (
    Answered,
    CallSetup,
    Cough,
    EndCall,
    Hear,
    Pause,
    Say,
    Step,
    turn_by_turn,
)
from vantum.testing.calls.hangup import How, prove_hang_up
from vantum.testing.openai_script import CallTool, Reply
from vantum.testing.openai_wire import Messages
from vantum.tools import tool

HOWS: Final[tuple[How, ...]] = ("cancelled", "disconnected")


@tool(effect="pure", filler="One moment.")
async def price(product: str) -> str:
    """What a product costs.

    Args:
        product: Its name.
    """
    return f"{product} costs ten dollars"


def _answer(messages: Messages) -> str | Reply:
    said = str(messages[-1].get("content", ""))
    if messages[-1]["role"] == "user" and "price" in said:
        return Reply("Let me see.", (CallTool("price", {"product": "it"}),))
    return turn_by_turn("Hi. ||BREAK|| How are you today?", "It costs ten dollars.")(messages)


#: A greeting that is cut by a cough and goes on, an answer that is cut, a tool, a polite end.
REFERENCE: Final[tuple[Step, ...]] = (
    Hear(0.2),
    Cough(),
    Pause(2.0),
    Say("Hello", 0.3),
    Hear(0.4),
    Say("the price please", 0.6),
    Answered(),
    EndCall(),
)
SETUP: Final = CallSetup(
    settings=Settings(turns=TurnSettings(greeting="Good day to you.")),
    openai=OpenAIScript(_answer, first_token_s=0.2, tokens_per_s=40.0),
    cartesia=CartesiaScript(first_audio_s=0.1, rate=5.0),
    tools=(price,),
    step_ms=100,
)


def main(every: int) -> int:
    """Try every so many-th point, both ways; the process's exit code."""
    code = 0
    for how in HOWS:
        began_s = time.monotonic()

        def show(point: int) -> None:
            if point % 500 == 1:
                print(f"  point {point} …", flush=True)

        points = None if every == 1 else range(1, 1_000_000, every)
        report = prove_hang_up(REFERENCE, SETUP, how=how, points=points, progress=show)
        print(f"{report}  ({time.monotonic() - began_s:.0f} s)", flush=True)
        code = code or int(bool(report.findings))
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
