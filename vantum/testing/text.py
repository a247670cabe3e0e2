"""A conversation in text: the whole call but without audio, for testing prompts and tools.

The session, its history, prompts, script and tools are those of a call; only what hears and what
speaks are made of text. What is said comes in the pieces that a voice would be given, fillers,
greetings and fallbacks included.

::

    async with text_conversation(settings, model=provider) as talk:
        reply = await talk.say("What does it cost?")
        print(reply.text, reply.tools)

`model` may be any provider of the registry (`open_model`), a simulated one
(`vantum.testing.calls.DirectModel`), or your own.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, evolve, field, frozen

from vantum.actors.conductor import Conductor
from vantum.config import Settings
from vantum.core import events as e
from vantum.core.audio import AudioFormat
from vantum.core.history import Entry
from vantum.core.messages import (
    EndOfPieces,
    PieceSpoken,
    SpeechAudio,
    SpeechFinished,
    SpeechWords,
    SpokenWord,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
    TtsInput,
    TtsOutput,
)
from vantum.core.tools import Tool
from vantum.ports import Health, LanguageModelProvider
from vantum.providers.registry import Providers
from vantum.server import Server, new_uuid7, wall_ms
from vantum.session import run_session
from vantum.testing.calls.line import Line, MemorySocket, Network
from vantum.testing.calls.phone import CallOver, Phone
from vantum.tools import check_tools

__all__ = ["CallOver", "Reply", "TextConversation", "ToolUse", "text_conversation"]

_RATE_HZ: Final = 16_000
#: A word is heard in a thousandth of a second: nobody waits for audio that is none.
_WORD_SAMPLES: Final = _RATE_HZ // 1000
#: Nobody is hung up on for thinking about what to type: the longest that the setting allows.
_IDLE_MS: Final = 86_400_000

Show = Callable[[str], object]


@frozen
class ToolUse:
    """A tool that the model used. `result` is what it was told, None if nothing yet."""

    name: str
    arguments_json: str
    result: str | None


@frozen
class Reply:
    """What came of one thing that was said.

    Attributes:
        pieces: what a voice would have been given, in order.
        tools: the tools that were used for it.
        stages: where the call's script was moved to meanwhile.
        errors: what the client was told of as an error.
        first_s: until the first piece; None: there was none. `total_s`: until the line was free.
        is_fallback: the model failed and a fallback text was said.
    """

    pieces: tuple[str, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    stages: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    first_s: float | None = None
    total_s: float = 0.0
    is_fallback: bool = False

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(self.pieces)


@define(eq=False)
class TextConversation:
    """A call that is going on. `greeting`: what the agent said unasked at its beginning."""

    phone: Phone
    _typed: _Typed = field(repr=False)
    _voice: _Voice = field(repr=False)
    greeting: Reply = Reply()
    conductor: Conductor | None = None
    failure: BaseException | None = None

    @property
    def history(self) -> tuple[Entry, ...]:
        """The call's record, as with audio."""
        return self.conductor.history.entries if self.conductor is not None else ()

    @property
    def is_over(self) -> bool:
        """The agent has hung up, or the session has failed."""
        return self.phone.over.is_set()

    async def open(self) -> None:
        """Wait for the greeting, if the settings have one, to be over."""
        self.greeting = await self._reply(self._since(), trio.current_time())

    async def say(self, text: str) -> Reply:
        """Say something; returns when the answer is complete and the line is free again.

        Raises:
            ValueError: there is nothing in `text`.
            CallOver: the call is over already.
        """
        if not text.strip():
            raise ValueError("nothing to say: the text is empty")
        if self.is_over:
            raise CallOver("the call is over")
        since, began_s = self._since(), trio.current_time()
        acks = self.phone.count(e.StateChanged)
        self._typed.texts.append(text.strip())
        await self.phone.end()
        await self._wait(lambda: self.phone.count(e.StateChanged) > acks)
        return await self._reply(since, began_s)

    def _since(self) -> tuple[int, int, int, int, int]:
        count = self.phone.count
        return (
            len(self._voice.pieces),
            len(self.history),
            count(e.StageChanged),
            count(e.ErrorReply),
            count(e.ResponseCompleted),
        )

    async def _wait(self, is_so: Callable[[], bool]) -> None:
        """Wait for something, or for the end of the call."""
        try:
            await self.phone.wait_for(is_so)
        except CallOver:
            return

    def _is_free(self) -> bool:
        """Nobody speaks, thinks or waits."""
        assert self.conductor is not None
        c = self.conductor.conversation
        return c.state == "LISTENING" and c.turn is None and not c.queue and not c.flushes

    async def _reply(self, since: tuple[int, int, int, int, int], began_s: float) -> Reply:
        await self._wait(self._is_free)
        pieces, entries, stages, errors, answers = since
        said = self._voice.pieces[pieces:]
        messages = self.phone.messages
        return Reply(
            tuple(text for _, text in said),
            _tools_used(self.history[entries:]),
            tuple(stage.new for stage in messages(e.StageChanged)[stages:]),
            tuple(f"{error.case}: {error.message}" for error in messages(e.ErrorReply)[errors:]),
            said[0][0] - began_s if said else None,
            trio.current_time() - began_s,
            any(answer.is_fallback for answer in messages(e.ResponseCompleted)[answers:]),
        )


def _tools_used(entries: Sequence[Entry]) -> tuple[ToolUse, ...]:
    results = {entry.tool_call_id: entry.text for entry in entries if entry.role == "tool"}
    return tuple(
        ToolUse(call.name, call.arguments_json, results.get(call.id))
        for entry in entries
        for call in entry.tool_calls
    )


# ---------------------------------------------------------------- ears and voice of text


@define(eq=False)
class _Typed:
    """A recogniser that hears what was typed: a `SpeechToTextProvider` and its recogniser."""

    texts: list[str] = field(factory=list)
    name: str = "text"

    def health(self) -> Health:
        return Health(True, "text")

    def takes(self, line: AudioFormat) -> AudioFormat:
        return line

    def for_session(self, *, language: str, line: AudioFormat) -> _Typed:
        return self

    async def run(
        self,
        input_rx: trio.MemoryReceiveChannel[SttInput],
        event_tx: trio.MemorySendChannel[SttEvent],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        task_status.started()
        async for message in input_rx:
            if isinstance(message, SttFlush):
                for text in self.texts:
                    await event_tx.send(Transcript(text, True, 1.0, 0.0, 0.0))
                self.texts.clear()
                await event_tx.send(SttFlushed(message.flush_id))


@define(eq=False)
class _Voice:
    """A synthesiser that only notes what it is to say: a `TextToSpeechProvider` and its voice."""

    pieces: list[tuple[float, str]] = field(factory=list)
    show: Show | None = None
    name: str = "text"

    def health(self) -> Health:
        return Health(True, "text")

    def for_session(self) -> _Voice:
        return self

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    def rate_hz(self, line: AudioFormat) -> int:
        return _RATE_HZ

    async def synthesize(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        speech_tx: trio.MemorySendChannel[TtsOutput],
        *,
        voice_id: str | None,
        language: str,
        line: AudioFormat,
    ) -> None:
        at = 0
        while not isinstance(piece := await piece_rx.receive(), EndOfPieces):
            words = piece.text.split()
            self.pieces.append((trio.current_time(), piece.text.strip()))
            if self.show is not None:
                self.show(piece.text.strip())
            places = [at + n * _WORD_SAMPLES for n in range(len(words) + 1)]
            spoken = tuple(
                SpokenWord(word, start / _RATE_HZ, end / _RATE_HZ)
                for word, (start, end) in zip(words, itertools.pairwise(places), strict=True)
            )
            await speech_tx.send(SpeechWords(piece.index, spoken))
            if words:
                pcm = bytes(2 * _WORD_SAMPLES * len(words))
                await speech_tx.send(SpeechAudio(piece.index, pcm))
            await speech_tx.send(PieceSpoken(piece.index))
            at = places[-1]
        await speech_tx.send(SpeechFinished())


# ---------------------------------------------------------------- the conversation


@asynccontextmanager
async def text_conversation(
    settings: Settings | None = None,
    *,
    model: LanguageModelProvider,
    options: e.InputOptions | None = None,
    tools: Sequence[Tool] = (),
    show: Show | None = None,
    patience_s: float = 300.0,
) -> AsyncIterator[TextConversation]:
    """Talk to the agent in text, on any clock. Leaving the block hangs up.

    Args:
        settings: the server's: prompts, script, limits.
        model: who thinks.
        options: as a client would send them, such as the prospect.
        tools: besides the built-in ones.
        show: is told of each piece of an answer as soon as it is complete.
        patience_s: an answer that takes longer raises `trio.TooSlowError`.

    Raises:
        ConfigError: the tools cannot be offered together.
    """
    check_tools(tools)
    settings = settings or Settings()
    settings = evolve(settings, session=evolve(settings.session, idle_timeout_ms=_IDLE_MS))
    line = Line.over(Network(), random.Random(0))  # noqa: S311 (an ideal line needs none)
    typed, voice = _Typed(), _Voice(show=show)
    server = Server(
        settings, Providers(typed, model, voice), tools=tools, new_id=new_uuid7, wall_ms=wall_ms
    )
    talk = TextConversation(Phone(line, patience_s=patience_s), typed, voice)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk.phone.listen)
        talk.conductor = await nursery.start(_hold, talk, server, MemorySocket(line))
        await talk.phone.until(e.Welcome)
        options = options or e.InputOptions()
        await talk.phone.start(evolve(options, turn_detection="manual"))
        await talk.open()
        yield talk
        nursery.cancel_scope.cancel()


async def _hold(
    talk: TextConversation,
    server: Server,
    socket: MemorySocket,
    *,
    task_status: trio.TaskStatus[Conductor],
) -> None:
    try:
        ours = server.new_call("unified", new_uuid7())
        await run_session(ours, socket, began=task_status.started)
    except Exception as failure:
        talk.failure = failure
    finally:
        socket.line.down.close()
        socket.line.up.reset()
