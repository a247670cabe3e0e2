"""The peers' own share of a turn: from a request's arrival at their socket to their answer.

Which turn a request belongs to is told by its words: each line that the simulated recogniser hears
has a number ("line 17"), the simulated model's answer begins with it, and so it comes back in the
synthesiser's timestamps. A span begins with the arrival of the *last* bytes read before the answer
was written (`benchmarks.arrivals`), so whatever is in doubt counts as the server's.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
from attrs import define, field

from benchmarks.arrivals import now_s, receive, stamp

Serve = Callable[[trio.abc.Stream], Awaitable[None]]

#: Longer than any message of the synthesiser that is not audio.
AUDIO_BYTES = 2000
_LINE = re.compile(rb"[Ll]ine (\d+)")
_SPOKEN_NUMBER = re.compile(rb'"(\d+)[:.,]?"')


@define(eq=False)
class Noted(trio.abc.Stream):
    """A stream that tells what is written before it leaves, and what is read with when it came."""

    inner: trio.abc.Stream
    on_write: Callable[[bytes], None]
    on_read: Callable[[bytes, float], None]

    def __attrs_post_init__(self) -> None:
        if isinstance(self.inner, trio.SocketStream):
            stamp(self.inner)

    async def send_all(self, data: Any) -> None:
        self.on_write(bytes(data))
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data, at_s = await receive(self.inner, max_bytes or 65_536)
        self.on_read(data, at_s)
        return data

    async def aclose(self) -> None:
        await self.inner.aclose()


def lines(count: int) -> tuple[str, ...]:
    """What the simulated recogniser hears, one after another."""
    return tuple(f"line {number} my friend" for number in range(1, count + 1))


def numbered(answer: str) -> Callable[[Any], str]:
    """The model's answer with the number of the line that it answers."""

    def text(messages: Sequence[Any]) -> str:
        found = _LINE.findall(str(messages[-1]).encode())
        return f"Line {int(found[-1])}: {answer}" if found else answer

    return text


@define(eq=False)
class Spans:
    """Seconds by (line's number, role); the first answer of each counts."""

    found: dict[tuple[int, str], float] = field(factory=dict)

    def note(self, number: int, role: str, seconds: float) -> None:
        """One answer."""
        self.found.setdefault((number, role), seconds)

    def totals(self) -> dict[int, float]:
        """All three roles' seconds of each line that all three have answered."""
        numbers = {number for number, _ in self.found}
        roles = ("stt", "llm", "tts")
        return {
            number: sum(self.found[number, role] for role in roles)
            for number in numbers
            if all((number, role) in self.found for role in roles)
        }

    def recogniser(self, serve: Serve) -> Serve:
        """Its answer to `Finalize`."""

        async def served(stream: trio.abc.Stream) -> None:
            read_s = [0.0]

            def read(_: bytes, at_s: float) -> None:
                read_s[0] = at_s

            def wrote(data: bytes) -> None:
                if b'"from_finalize": true' in data and (line := _LINE.search(data)):
                    self.note(int(line[1]), "stt", now_s() - read_s[0])

            await serve(Noted(stream, wrote, read))

        return served

    def model(self, serve: Serve) -> Serve:
        """Its first text."""

        async def served(stream: trio.abc.Stream) -> None:
            read_s, number = [0.0], [0]

            def read(data: bytes, at_s: float) -> None:
                read_s[0] = at_s
                if found := _LINE.findall(data):
                    number[0] = int(found[-1])

            def wrote(data: bytes) -> None:
                if number[0] and b'"content"' in data:
                    self.note(number[0], "llm", now_s() - read_s[0])
                    number[0] = 0

            await serve(Noted(stream, wrote, read))

        return served

    def voice(self, serve: Serve) -> Serve:
        """Its first audio of an answer, whose number comes with the words."""

        async def served(stream: trio.abc.Stream) -> None:
            read_s = [0.0]
            seconds: list[float] = []
            number: list[int] = []

            def read(_: bytes, at_s: float) -> None:
                read_s[0] = at_s

            def wrote(data: bytes) -> None:
                if b'"type": "done"' in data:
                    seconds.clear()
                    number.clear()
                elif len(data) > AUDIO_BYTES:
                    seconds.append(now_s() - read_s[0])
                elif b'"timestamps"' in data and (spoken := _SPOKEN_NUMBER.search(data)):
                    number.append(int(spoken[1]))
                if seconds and number:
                    self.note(number[0], "tts", seconds[0])

            await serve(Noted(stream, wrote, read))

        return served
