"""How a load client is told what to do: one JSON command a line in, one JSON answer a line out."""

from __future__ import annotations

import json
import sys
from typing import Any

import trio


async def obey(callers: object) -> None:
    """Call the methods that standard input names under "do", until it ends; errors are answers."""
    while text := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        command = json.loads(text)
        try:
            answer: Any = await getattr(callers, command.pop("do"))(**command)
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
