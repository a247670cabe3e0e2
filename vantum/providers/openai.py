"""OpenAI chat completions, streamed, through the official package on trio.

The package does what it is good at: keys, headers, addresses, connections and the classes of
failure. Two things are done here instead, on the response it hands over:

- **Reading the events.** Its `AsyncStream` stacks async generators and leaves them suspended at
  `[DONE]` (and whenever a caller stops early). On trio each is reported as a leak and finalised
  late, so a cancelled answer would hold its connection for a while. It also builds a model object
  per token (~120 µs, against ~10 µs for the JSON alone), and hides whether `[DONE]` ever came.
- **Retrying.** `max_retries=0`: the llm actor retries, because it knows what was spoken.

About connections (HTTP/1.1, `openai_http`): one that carried a stream is kept if the response was
read to its end, and is closed if the answer was cancelled. So after each interruption
the next answer would pay for TCP and TLS again, two to three round trips that the caller hears as
silence. While the provider is entered as a context manager it therefore asks for its model's
description (a small GET) when a session starts and when an answer was cancelled: the answer leaves
an open connection behind, long before the next turn needs it. Idle connections are kept for
minutes, not for httpx2's 5 s: a turn of the caller takes longer than that.

Sources: OpenAI's API reference (chat completions, streaming events) and its error codes guide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio
from attrs import define, field, frozen

from vantum.config import LlmSettings, OpenAISettings
from vantum.config.providers import is_openai
from vantum.core.messages import ChatRequest, ModelOutput
from vantum.core.spent import ModelUsage, Spent
from vantum.errors import ProviderError
from vantum.ports import Health, LanguageModel
from vantum.providers.contacts import Contacts
from vantum.providers.openai_failures import (
    CONNECT_S,
    broken,
    broken_stream,
    translate,
    unfinished,
    was_stale,
    watch_connecting,
)
from vantum.providers.openai_served import ServedModel
from vantum.providers.openai_tools import CallAssembler
from vantum.providers.openai_wire import (
    NAME,
    Delta,
    EventStreamReader,
    chat_body,
    estimated_usage,
    first_terms,
    http_url,
    read_chunk,
)

if TYPE_CHECKING:
    import httpx2

#: What comes after the answer's end is a few bytes; if not, the connection is not worth the wait.
_DRAIN_S = 0.1

#: Warm-ups under way at once. More would be a burst of requests at the provider for little.
_MAX_WARM_UPS = 4
_WARM_UP_S = 10.0

#: A wait that is given up after most of the allowed time was given up for its length.
_MOST = 0.9


class OpenAIProvider:
    """OpenAI, or any server that speaks its chat completions; one per process, for all sessions.

    Use it as an async context manager (then it keeps a warm connection), or call `aclose`.
    Building it imports the official package, which takes about a second.

    Args:
        settings_openai: key, organization and address (with its `/v1`; ws and wss are http, https).
        settings_llm: model and sampling. The deadlines in it are the llm actor's.
        http_client: replaces the HTTP client, for proxies and tests; closed with the provider.
    """

    def __init__(
        self,
        settings_openai: OpenAISettings,
        settings_llm: LlmSettings,
        *,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        import httpx2
        import openai
        from openai.types.chat import ChatCompletionChunk

        from vantum.providers.openai_http import open_client

        base_url = http_url(settings_openai.base_url)
        if http_client is None:
            http_client = open_client(base_url)
        http_client.event_hooks["request"].append(watch_connecting)
        self._client = openai.AsyncOpenAI(
            # An own server may need no key, but a header without one is not valid HTTP.
            api_key=settings_openai.api_key.reveal().strip() or "none",
            organization=settings_openai.organization or None,
            base_url=base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            http_client=http_client,
        )
        # Both are imported when first touched, which would take 0.1 s of the first answer.
        self._post = self._client.post
        self._chunk_class = ChatCompletionChunk
        self._stream_class = openai.AsyncStream[ChatCompletionChunk]
        self._describe = self._client.models.retrieve
        self._settings = settings_llm
        self._is_openai = is_openai(base_url)
        terms = first_terms(settings_llm, is_openai=self._is_openai)
        self._served = ServedModel(settings_llm.model, terms)
        self._contacts = Contacts()
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None
        self._warming = 0

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return NAME

    def health(self) -> Health:
        """Down after a refused key or an empty account, or after three failures in a row.

        A failure other than a refused key fades after a minute: without calls there would be
        nothing to show that the provider is back.
        """
        return self._contacts.health(trio.current_time())

    def for_session(self) -> LanguageModel:
        """A model for one session; prepares a connection for its first answer."""
        self._warm_up()
        return _Model(self)

    async def __aenter__(self) -> Self:
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._nursery is not None
        assert self._nursery_manager is not None
        nursery, self._nursery = self._nursery, None
        nursery.cancel_scope.cancel()
        try:
            await self._nursery_manager.__aexit__(kind, error, traceback)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        with trio.move_on_after(1, shield=True):
            await self._client.close()

    async def open(self, request: ChatRequest) -> httpx2.Response:
        """Send the request and wait for the response's head.

        A kept connection may have been closed by the server at the very moment it was used again.
        That is no failure of the provider's: the request is sent once more, on a new connection.
        So is one that can do without what was refused of it (`openai_terms`).

        Raises:
            ProviderError: the request failed.
        """
        import openai

        stale = False
        while True:
            terms = self._served.terms
            body = chat_body(request, self._settings, terms, is_openai=self._is_openai)
            try:
                # Its own `create` first checks the body against its types, which takes as long as
                # all the rest of the request.
                stream = await self._post(
                    "/chat/completions",
                    cast_to=self._chunk_class,
                    body=body,
                    stream=True,
                    stream_cls=self._stream_class,
                )
            except openai.OpenAIError as error:
                if not stale and was_stale(error):
                    stale = True
                    continue
                if self._served.learn(terms, body, error):
                    continue
                raise self.failed(translate(error)) from None
            except broken_stream() as error:  # while it read the body of an error status
                raise self.failed(broken(error)) from None
            response = stream.response
            # It holds a generator that holds it: with them the response, the request and each
            # turn's whole context would stay until the collector comes by.
            vars(stream).clear()
            return response

    def failed(self, error: ProviderError) -> ProviderError:
        """Note a failed contact; returns the same error."""
        self._contacts.failure(error, trio.current_time())
        return error

    def closed(self, *, heard: bool, complete: bool, failed: bool, silent_s: float) -> None:
        """Note how an answer ended.

        Args:
            heard: it had text.
            complete: it was read to its end; if not, its connection is gone.
            failed: `failed` has been called.
            silent_s: how long it had been waited for, at its end.
        """
        wait_ms = self._settings.token_timeout_ms if heard else self._settings.request_timeout_ms
        if not complete and not failed and silent_s * 1000 >= wait_ms * _MOST:
            self.failed(ProviderError(NAME, "timeout", f"silent for {silent_s:.1f} s"))
        elif heard and not failed:
            self._contacts.success()
        if not complete:
            self._warm_up()

    def _warm_up(self) -> None:
        if self._nursery is not None and self._warming < _MAX_WARM_UPS:
            self._warming += 1
            self._nursery.start_soon(self._connect)

    async def _connect(self) -> None:
        """Any response will do: what counts is the connection that it leaves in the pool."""
        try:
            # Whatever goes wrong here, the next answer will find out and say so.
            with trio.move_on_after(_WARM_UP_S), suppress(Exception):
                described = await self._describe(self._settings.model)
                self._served.described(described.shutdown_date)
        finally:
            self._warming -= 1


@frozen
class _Model:
    """One session's model: the context travels in each request; it only counts what they use."""

    _provider: OpenAIProvider
    spent: Spent = field(factory=Spent, init=False)

    def stream(self, request: ChatRequest) -> _Answer:
        """See `vantum.ports.LanguageModel`."""
        return _Answer(self._provider, request, self.spent)


@define(eq=False)
class _Answer:
    """One answer: a context manager and an iterator, without a generator that could be left."""

    _provider: OpenAIProvider
    _request: ChatRequest
    _spent: Spent
    _response: httpx2.Response | None = field(default=None, init=False)
    _pieces: AsyncGenerator[bytes, None] | None = field(default=None, init=False)
    _reader: EventStreamReader = field(factory=EventStreamReader, init=False)
    _events: deque[bytes] = field(factory=deque, init=False)
    _calls: CallAssembler = field(factory=CallAssembler, init=False)
    _ready: deque[ModelOutput] = field(factory=deque, init=False)
    _complete: bool = field(default=False, init=False)
    _heard: bool = field(default=False, init=False)
    _failed: bool = field(default=False, init=False)
    _failures: list[ProviderError] = field(factory=list, init=False)
    _since_s: float = field(default=0.0, init=False)
    _written: list[str] = field(factory=list, init=False)
    _usage: ModelUsage | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._since_s = trio.current_time()
        try:
            self._response = await self._provider.open(self._request)
        except trio.Cancelled:
            self._close()
            raise
        self._pieces = self._response.aiter_bytes()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give the connection back, or close it if the answer is not complete."""
        assert self._response is not None
        assert self._pieces is not None
        with trio.move_on_after(1, shield=True):
            with trio.CancelScope(deadline=trio.current_time() + _DRAIN_S) as drain:
                if not self._complete:
                    # The library's generators all end if an exception comes from within; ended
                    # from outside, the inner ones would be left to the garbage collector.
                    drain.cancel()
                # What was wanted of it has been read; what it has used comes behind it.
                with suppress(*broken_stream(), ValueError):
                    async for piece in self._pieces:
                        self._events.extend(self._reader.feed(piece))
            await self._pieces.aclose()
            await self._response.aclose()
        self._close()

    def _close(self) -> None:
        usage = self._told()
        self._spent.asked(
            usage or estimated_usage(self._request, "".join(self._written)),
            is_estimate=usage is None,
        )
        self._provider.closed(
            heard=self._heard,
            complete=self._complete,
            failed=self._failed,
            silent_s=trio.current_time() - self._since_s,
        )

    def _told(self) -> ModelUsage | None:
        """What the server says that the request has used."""
        while self._events:
            event = self._events.popleft()
            if b'"usage"' in event:
                with suppress(ProviderError):
                    self._usage = read_chunk(event).usage or self._usage
        return self._usage

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ModelOutput:
        """The next text, never empty, or news of a call. Ends at the finish reason or `[DONE]`.

        Texts that have come together are handed on together.
        """
        while not (self._ready or self._failures or self._complete):
            if not self._events:
                await self._receive()
            self._take_events()
        if self._ready:
            return self._ready.popleft()
        if self._failures:
            # Popped: kept, it would hold what holds it.
            raise self._failures.pop()
        raise StopAsyncIteration

    def _take_events(self) -> None:
        """All that has come, up to the answer's end; what came before a failure stands."""
        try:
            while self._events and not self._complete:
                self._take(read_chunk(self._events.popleft()))
        except ProviderError as error:
            self._failures.append(self._fail(error))

    def _take(self, delta: Delta) -> None:
        self._complete = delta.finish_reason is not None
        self._usage = delta.usage or self._usage
        if delta.finish_reason == "content_filter":
            raise ProviderError(NAME, "invalid_request", "withheld by the content filter")
        if delta.text or delta.calls:
            self._heard, self._since_s = True, trio.current_time()
            self._hear(delta)
        if self._complete:
            self._ready += self._calls.finish()

    def _hear(self, delta: Delta) -> None:
        if self._ready and isinstance(last := self._ready[-1], str):
            self._ready[-1] = last + delta.text
        elif delta.text:
            self._ready.append(delta.text)
        self._written += (delta.text, *(call.arguments for call in delta.calls))
        try:
            self._ready += self._calls.feed(delta.calls)
        except ValueError as error:
            raise ProviderError(NAME, "server", str(error)) from None

    async def _receive(self) -> None:
        assert self._pieces is not None
        try:
            self._events.extend(self._reader.feed(await anext(self._pieces)))
        except StopAsyncIteration:
            self._events.extend(self._reader.end())
            if not self._events:
                raise self._fail(unfinished(any_event=self._reader.found)) from None
        except ValueError as error:
            raise self._fail(ProviderError(NAME, "network", str(error))) from None
        except broken_stream() as error:
            raise self._fail(broken(error)) from None

    def _fail(self, error: ProviderError) -> ProviderError:
        self._failed = True
        return self._provider.failed(error)
