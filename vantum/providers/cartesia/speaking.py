"""One answer being spoken: its pieces into contexts, the contexts' replies into speech.

Normally an answer is one context with a continuation for each piece. It takes a further one when
the model paused for so long that the context would expire, and a new one after a failure. Several
may be open at once (the caller still hears the first while the second generates); their replies
are taken strictly in order. The border between pieces is `flush_done`: each piece is an input
followed by a flush.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import trio
from attrs import define, field

from vantum.channels import Each, put
from vantum.core.backoff import TTS_RECONNECT
from vantum.core.messages import (
    EndOfPieces,
    SpeechAudio,
    SpeechFinished,
    SpeechPiece,
    SpeechWords,
    TtsInput,
    TtsOutput,
)
from vantum.core.spent import Spent
from vantum.errors import ProviderError
from vantum.observe.logs import get_log
from vantum.providers.cartesia import protocol
from vantum.providers.cartesia.answer import Answer
from vantum.providers.cartesia.link import Inbox, Link, Wake
from vantum.providers.cartesia.protocol import Done, Failure, Reply, Voicing

_log = get_log("cartesia")

#: Audio that has come already is handed on together: each message costs every actor on its way a
#: turn of the event loop. No more than this, or the player would hold much at once.
_MOST_JOINED_S = 0.5


class Connection(Protocol):
    """Where the link comes from: the session."""

    @property
    def link(self) -> Link | None:
        """The link of the moment, if there is one."""

    @property
    def spent(self) -> Spent:
        """What is asked for is counted there."""

    async def connected(self) -> Link:
        """The link, waiting for it; `ProviderError` when it cannot be had."""


#: Speech comes a few times a second; a context that owes some and says nothing for so long may be
#: one of a connection that is dead.
_DOUBTED_S = 2.0

#: One that says nothing for so long has stalled, whether the connection is alive or not: the rest
#: is asked for elsewhere, while the caller still hopes for it. If that is as slow it is given more
#: time, and then all there is (`TTS_AUDIO_TIMEOUT`): slow speech is better than none. A third
#: connection speaks before ten seconds are over.
_STALLED_S = (3.0, 5.5, math.inf)
#: Who was kept from reading by the player looks at what has come meanwhile, however late it is.
_AT_LEAST_S = 0.1

#: A connection that has said nothing for so long, although something was asked for, is not used for
#: another answer.
_GIVEN_UP_S = 5.0


@define(eq=False)
class _Context:
    link: Link
    inbox: Inbox
    #: When the last of its text was sent, and when that was which it was to speak next.
    asked_s: float = 0.0
    owing_s: float = 0.0
    #: Positions of its pieces in the answer: `flush_id` n is the n-th.
    positions: list[int] = field(factory=list)
    finished: bool = False

    @property
    def open(self) -> bool:
        """Whether it can take a further input: not over, and not silent for too long."""
        inbox = self.inbox
        if inbox.over or inbox.lost or self.finished:
            return False
        silent = not self.owes
        return not silent or trio.current_time() < inbox.last_reply_s + protocol.CONTEXT_REST_S

    @property
    def owes(self) -> bool:
        """Whether some of its text has not been spoken, as the network saw it."""
        return self.inbox.flushed < len(self.positions)

    def asked_for(self, position: int) -> None:
        """Another piece of the answer has been sent to it."""
        self.asked_s = trio.current_time()
        if not self.owes:
            self.owing_s = self.asked_s
        self.positions.append(position)

    async def next_reply(self, patience_s: float) -> Reply | Wake | None:
        """The next reply; whoever waits long for it has the connection looked at. None: it owes
        speech and has said nothing for so long."""
        while True:
            due_s = math.inf
            if self.owes:
                silent_s = trio.current_time() - max(self.owing_s, self.inbox.last_reply_s)
                due_s = max(min(patience_s - silent_s, _DOUBTED_S), _AT_LEAST_S)
            with trio.move_on_after(due_s):
                return await self.inbox.receive()
            if trio.current_time() >= max(self.owing_s, self.inbox.last_reply_s) + patience_s:
                return None
            self.link.doubt()

    def leave(self, *, cancel: bool) -> None:
        """Nothing more is wanted of it."""
        self.link.forget(self.inbox.context_id, cancel=cancel)
        silent_s = trio.current_time() - max(self.asked_s, self.link.heard_s)
        if cancel and self.owes and silent_s >= _GIVEN_UP_S:
            self.link.drop(ProviderError(protocol.NAME, "timeout", "it did not answer"))


@define(eq=False)
class Speaking:
    """One `synthesize` call. `run` it, then always `close` it."""

    _connection: Connection
    _voicing: Voicing
    _new_context_id: Callable[[], str]
    _answer: Answer = field(init=False)
    _contexts: deque[_Context] = field(factory=deque, init=False)
    _news: trio.Event = field(factory=trio.Event, init=False)
    _stalls: int = field(default=0, init=False)

    @_answer.default
    def _no_pieces(self) -> Answer:
        return Answer(self._voicing.audio)

    async def run(
        self,
        piece_rx: trio.MemoryReceiveChannel[TtsInput],
        speech_tx: trio.MemorySendChannel[TtsOutput],
    ) -> None:
        """Speak until `EndOfPieces`. If `piece_rx` just closes, stop without `SpeechFinished`."""
        error: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_pieces, piece_rx, nursery.cancel_scope)
            try:
                await self._speak(speech_tx)
            except (ProviderError, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                error = exc
            nursery.cancel_scope.cancel()
        if error is not None:
            raise error

    def close(self) -> None:
        """Leave nothing running at the provider. Does not wait."""
        while self._contexts:
            context = self._contexts.popleft()
            # A context that has said everything ends by itself.
            context.leave(cancel=not self._answer.finished)

    # ------------------------------------------------------------ text out

    async def _take_pieces(
        self, piece_rx: trio.MemoryReceiveChannel[TtsInput], scope: trio.CancelScope
    ) -> None:
        try:
            async for piece in Each(piece_rx):
                match piece:
                    case SpeechPiece():
                        self._answer.add(piece)
                    case EndOfPieces():
                        self._answer.end()
                self._submit()
                self._news.set()
                if self._contexts:
                    self._contexts[0].inbox.wake("nudge")
                if self._answer.ended:
                    return
        except trio.ClosedResourceError:
            pass
        scope.cancel()  # the pieces' sender has gone without an end: so has the answer

    def _submit(self) -> None:
        """Send what can be sent. Never waits: the link's own task does the sending."""
        link = self._connection.link
        if link is None or link.lost.is_set() or any(c.inbox.lost for c in self._contexts):
            return  # sent again after the reconnect
        while (text := self._answer.next_text()) is not None:
            position, transcript = text
            context = self._open_context(link)
            context.asked_for(position)
            context_id = context.inbox.context_id
            context.link.send(protocol.speak(context_id, self._voicing, transcript))
            self._connection.spent.characters += len(transcript.strip()) + 1  # and a space
            context.link.send(protocol.flush(context_id, self._voicing))
        if self._answer.ended and self._answer.all_submitted and self._contexts:
            context = self._contexts[-1]
            if context.open:
                context.finished = True
                context.link.send(protocol.finish(context.inbox.context_id, self._voicing))

    def _open_context(self, link: Link) -> _Context:
        if not self._contexts or not self._contexts[-1].open:
            if not self._contexts:
                self._answer.enter_context()
            encoding = self._voicing.audio.encoding
            inbox = link.open_context(self._new_context_id(), encoding)
            self._contexts.append(_Context(link, inbox))
        return self._contexts[-1]

    # ------------------------------------------------------------ speech out

    async def _speak(self, speech_tx: trio.MemorySendChannel[TtsOutput]) -> None:
        answer = self._answer
        failures, heard = 0, 0
        while True:
            await _give(speech_tx, answer.settle())
            if answer.finished:
                break
            error = await self._step(speech_tx)
            if error is None:
                continue
            # Whatever happened: what was not given out is generated again in a new context.
            lost = any(context.inbox.lost for context in self._contexts)
            self.close()
            await _give(speech_tx, answer.restart())
            if not answer.has_work:
                continue
            failures = 1 if answer.delivered > heard else failures + 1
            heard = answer.delivered
            if not error.retryable or failures > TTS_RECONNECT.attempts:
                raise error
            _log.warning("answer interrupted", error=str(error), attempt=failures)
            if not lost:
                await trio.sleep(TTS_RECONNECT.delays_s[failures - 1])
        await put(speech_tx, SpeechFinished())

    async def _step(self, speech_tx: trio.MemorySendChannel[TtsOutput]) -> ProviderError | None:
        """Wait for one thing and deal with it; the error, if the open contexts are of no use."""
        answer = self._answer
        if not self._contexts:
            if answer.has_work:
                await self._connection.connected()
                self._submit()
            else:
                self._news = trio.Event()
                await self._news.wait()
            return None
        context = self._contexts[0]
        reply = await context.next_reply(_STALLED_S[self._stalls])
        over = isinstance(reply, Done)
        match reply:
            case None:
                self._stalls += 1
                error = ProviderError(protocol.NAME, "timeout", "it fell silent within an answer")
                context.link.drop(error)
                return error
            case "nudge":
                pass
            case "lost":
                return context.link.error or ProviderError(protocol.NAME, "network", "lost")
            case Failure():
                return protocol.failed(reply)
            case _:
                outputs = self._ready(context, reply)
                del reply  # or its audio would be there twice until the player has room
                await _give(speech_tx, outputs)
                del outputs
                self._submit()
        spoken = all(position < answer.current for position in context.positions)
        if spoken and (len(self._contexts) > 1 or over):
            self._contexts.popleft()
            answer.enter_context()
            context.link.forget(context.inbox.context_id, cancel=False)
        elif over:
            return ProviderError(protocol.NAME, "server", "the context ended too early")
        return None

    def _ready(self, context: _Context, reply: Reply) -> list[TtsOutput]:
        """What a reply gives, and what has come behind it; of its own, so that audio that waits to
        be taken is there in one piece and not in those in which it came as well."""
        answer = self._answer
        enough = answer.delivered + answer.samples(_MOST_JOINED_S)
        outputs = answer.take(reply, context.positions)
        while answer.delivered < enough and (more := context.inbox.more_speech()):
            outputs += answer.take(more, context.positions)
        return joined(outputs)


def joined(outputs: Iterable[TtsOutput]) -> list[TtsOutput]:
    """The same speech in fewer messages: neighbouring audio of a piece as one, its words ahead."""
    result: list[TtsOutput] = []
    index, audio = 0, list[bytes]()

    def close() -> None:
        if audio:
            result.append(SpeechAudio(index, b"".join(audio)))
            audio.clear()

    for output in outputs:
        if not isinstance(output, SpeechAudio | SpeechWords) or output.piece_index != index:
            close()
        match output:
            case SpeechAudio(piece_index=index, pcm=pcm):
                audio.append(pcm)
            case _:
                result.append(output)
    close()
    return result


async def _give(speech_tx: trio.MemorySendChannel[TtsOutput], outputs: Iterable[TtsOutput]) -> None:
    for output in outputs:
        await put(speech_tx, output)
