"""llama.cpp inside this process: one loaded model, several answers generated side by side.

`xllamacpp` runs llama.cpp's server core on a thread of its own, which batches the tokens of all
running answers into one pass (continuous batching) and keeps the evaluated prompt of each *slot*,
so that the next turn of a conversation costs only its new words. Facts used here (its README and
sources): a streaming request calls back for every token and ends when the callback returns True;
`return_progress` makes it call back after every batch of the prompt as well.

The core insists on a listening socket for its HTTP interface, which nobody needs: it gets a Unix
socket in a private directory, removed as soon as it is open. No port, nothing to connect to.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import trio
from attrs import asdict, frozen
from outcome import Outcome, capture

from vantum.errors import ErrorKind, ProviderError

#: Answers generated at once; more wait in line. Beyond a few, batching gains nothing on a CPU: with
#: four, the answers of four callers at once began and ended a quarter later than with three.
SLOTS = 3
#: Context of one slot in tokens: the system prompt, the turns and the answer.
SLOT_TOKENS = 2048
#: Tokens evaluated per pass: 20 to 25 ms of a 135M model on one core. A long prompt holds up
#: other answers no longer than that. Stopping is noticed at the end of a pass, when the next one
#: has begun already: it is the last. Fewer would stop sooner, but a prompt is read with what the
#: other slots leave of a pass: two tokens while the two of them write; and llama.cpp refuses to
#: start with less than one a slot.
BATCH_TOKENS = 4
#: Leaving waits so long for the last pass, so that what is asked next finds the slot free that
#: begins like it; and no longer: while llama.cpp reads somebody else's prompt it says nothing.
LEAVE_S = 0.05

Message: TypeAlias = dict[str, str]


@frozen
class Sampling:
    """How tokens are picked. The same seed and request give the same answer."""

    temperature: float
    top_p: float = 1.0
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    max_tokens: int = 96
    seed: int = 7
    stop: tuple[str, ...] = ()


class Llama:
    """A loaded model. `Llama.load` makes it, in a worker thread."""

    def __init__(self, server: Any, load_s: float = 0.0) -> None:
        self._server = server
        self._slots = trio.CapacityLimiter(SLOTS)
        self.load_s = load_s

    @classmethod
    def load(cls, path: Path, threads: int) -> Llama:
        """Load a GGUF file (about a second). Blocking.

        llama.cpp computes with `threads` of its own, which spin while they wait for each other:
        without a core for each, two are many times slower than one (13 tokens/s against 130).

        Raises:
            ProviderError: llama.cpp cannot read the file.
        """
        import xllamacpp

        started_s = time.perf_counter()
        params = xllamacpp.CommonParams()
        params.model.path = os.fspath(path)
        params.n_parallel = SLOTS
        params.n_ctx = SLOTS * SLOT_TOKENS
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        # An 8-bit cache halves its memory (68 MB less for SmolLM2's slots) at the same speed.
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.cache_ram_mib = 0  # no second cache of whole conversations beside the slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_gpu_layers = 0
        params.verbosity = -1  # its log would go to our standard error
        params.ui = False
        params.endpoint_slots = False
        params.n_threads_http = 1
        with tempfile.TemporaryDirectory(prefix="vantum-") as private:
            params.hostnames = [os.path.join(private, "unused.sock")]
            try:
                server = xllamacpp.Server(params)
            except (RuntimeError, ValueError) as error:
                raise ProviderError(
                    "local", "invalid_request", f"llama.cpp cannot load {path} as a chat model"
                ) from error
        return cls(server, time.perf_counter() - started_s)

    @asynccontextmanager
    async def stream(
        self, messages: list[Message], sampling: Sampling
    ) -> AsyncGenerator[AsyncIterator[str], None]:
        """Generate one answer; iterating gives its tokens' text as they come.

        Waits for a free slot, first come, first served. Leaving stops the generation at its next
        pass and waits for that, `LEAVE_S` at most (shielded): behind other answers' prompts it may
        be seconds until llama.cpp comes to it again. Until then the slot is not free.
        Of the free slots llama.cpp takes the one whose cached prompt begins most like this one.

        Raises:
            ProviderError: while iterating; `invalid_request` if the messages are too long.
                Before that, if there is no thread for it.
        """
        generation = _Generation(self._server, _request(messages, sampling))
        await self._slots.acquire_on_behalf_of(generation)
        try:
            generation.start(lambda: self._slots.release_on_behalf_of(generation))
        except RuntimeError as error:  # the machine has no thread for it
            self._slots.release_on_behalf_of(generation)
            raise ProviderError("local", "server", f"llama.cpp: {error}") from None
        try:
            yield generation
        finally:
            await generation.stop()

    def warm(self, messages: list[Message], slots: int) -> None:
        """Read the beginning of a prompt into that many slots: answers start from there. Blocking.

        Raises:
            ProviderError: `invalid_request` if the messages are too long.
        """
        errors: list[ProviderError] = []

        def came(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                errors.append(_translate(chunk["error"]))
            return False

        for slot in range(slots):
            request = _request(messages, Sampling(temperature=0, max_tokens=1))
            self._server.handle_chat_completions(request | {"id_slot": slot}, came)
        if errors:
            raise errors[0]


def _request(messages: list[Message], sampling: Sampling) -> dict[str, Any]:
    fixed = {"messages": messages, "stream": True, "return_progress": True, "cache_prompt": True}
    return fixed | asdict(sampling)


class _Generation:
    """A running request: a thread that waits for llama.cpp, and what came out of it so far.

    The thread is no worker: the computing is done by llama.cpp's own threads. Nor is it one of
    Trio's, which die with the process: called back in the midst of that, llama.cpp would abort it.
    """

    def __init__(self, server: Any, request: dict[str, Any]) -> None:
        self._server = server
        self._request = request
        self._stopped = False
        self._over = trio.Event()
        self._loop = trio.lowlevel.current_trio_token()
        # Unbounded, but never longer than the answer's max_tokens: a listener who pauses must not
        # hold up the slot, and through it the other sessions.
        self._text_tx, self._text_rx = trio.open_memory_channel[str](math.inf)
        self._error: ProviderError | None = None
        self._release: Callable[[], object] = lambda: None

    def start(self, release: Callable[[], object]) -> None:
        """Begin; `release` is called on the event loop when llama.cpp is done with it."""
        self._release = release
        threading.Thread(target=self._run, name="vantum llama").start()

    async def stop(self) -> None:
        self._stopped = True
        with trio.move_on_after(LEAVE_S, shield=True):
            await self._over.wait()
        self._text_rx.close()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        try:
            return await self._text_rx.receive()
        except trio.EndOfChannel:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None

    # ------------------------------------------------------- in the waiting thread

    def _run(self) -> None:
        ended = capture(self._server.handle_chat_completions, self._request, self._chunk_came)
        with suppress(trio.RunFinishedError):
            self._loop.run_sync_soon(self._finish, ended)

    def _chunk_came(self, chunk: dict[str, Any]) -> bool:
        """Called by llama.cpp for every token and every batch of the prompt; True ends it."""
        if not self._stopped:
            with suppress(trio.RunFinishedError):
                self._loop.run_sync_soon(self._deliver, chunk)
        return self._stopped

    # ------------------------------------------------------- on the event loop

    def _deliver(self, chunk: dict[str, Any]) -> None:
        if self._stopped:
            return
        if "error" in chunk:
            self._error = _translate(chunk["error"])
        for choice in chunk.get("choices", ()):
            if text := choice.get("delta", {}).get("content"):
                self._text_tx.send_nowait(text)

    def _finish(self, outcome: Outcome[None]) -> None:
        try:
            outcome.unwrap()
        except Exception as error:
            self._error = ProviderError("local", "server", f"llama.cpp: {type(error).__name__}")
        self._text_tx.close()
        self._over.set()
        self._release()


def _translate(error: dict[str, Any]) -> ProviderError:
    if error.get("type") == "exceed_context_size_error":
        return ProviderError(
            "local",
            "invalid_request",
            f"the prompt has {error.get('n_prompt_tokens')} tokens, the embedded model takes "
            f"{error.get('n_ctx')}: shorten LLM_SYSTEM_PROMPT",
        )
    kind: ErrorKind = "invalid_request" if error.get("code") == 400 else "server"
    return ProviderError("local", kind, f"llama.cpp refused the request ({error.get('type')})")
