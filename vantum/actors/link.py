"""Link: keeps a session's recogniser or synthesiser open and says when it is ready or lost."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

import trio
from attrs import define, evolve, field

from vantum.actors.call import Inbox
from vantum.channels import Spill, put
from vantum.core.backoff import Schedule
from vantum.core.decisions import RoleLost, RoleReady
from vantum.errors import ProviderError, Role, first_error
from vantum.observe.logs import get_log

#: A provider has its own quick schedule for a lost connection. When that is used up the session
#: still tries now and then: a call may outlive a provider's bad minute. The last delay repeats.
_REOPEN = Schedule((1.0, 2.0, 5.0, 10.0))

Run = Callable[..., Awaitable[None]]
T = TypeVar("T")

_log = get_log("call")


@define(eq=False)
class Wanted(Generic[T]):
    """What a link is to be open for: the newest order counts. One orders, one obeys.

    Not a channel: that would take a second task, beside the link's, to wait at its end.
    """

    _waiting: list[T] = field(factory=list, init=False)
    _came: trio.Event = field(factory=trio.Event, init=False)
    _obeying: trio.CancelScope = field(factory=trio.CancelScope, init=False)

    def order(self, order: T) -> None:
        """Order; what was ordered before and not begun is forgotten."""
        self._waiting[:] = [order]
        self._came.set()
        self._obeying.cancel()

    async def next(self) -> T:
        """The newest order, once."""
        await self._came.wait()
        self._came = trio.Event()
        return self._waiting.pop()

    def until_next(self) -> trio.CancelScope:
        """A scope that a further order cancels, be it one that waits already."""
        self._obeying = trio.CancelScope()
        if self._waiting:
            self._obeying.cancel()
        return self._obeying


def lost(role: Role, error: ProviderError) -> RoleLost:
    """What may be said of a provider's failure."""
    names = {"stt": "speech recognition", "llm": "the model", "tts": "speech synthesis"}
    return RoleLost(role, error.kind, f"{names[role]} is unavailable ({error.kind}): {error}")


@define(eq=False)
class _Opening:
    """A provider's `task_status` where no task is started for it: two of them, each with a nursery,
    would be a twelfth of what an idle session holds."""

    patience: trio.CancelScope
    say_ready: Callable[[], None]
    is_over: bool = False

    def started(self, value: None = None) -> None:
        """It is ready; from now on it may take its time."""
        if trio.current_effective_deadline() > -math.inf:  # else it is seen at the next checkpoint
            self.is_over, self.patience.deadline = True, math.inf
            self.say_ready()


async def keep_open(
    role: Role,
    run: Run,
    inbox_tx: trio.MemorySendChannel[Inbox],
    nursery: trio.Nursery,
    *,
    ready_timeout_s: float,
    language: str | None = None,
) -> None:
    """Run a provider's connection for as long as the session lasts.

    Returns if it never became ready, or if trying again would not help (a key that is refused, an
    account that is empty): the client was told, and its next start tries again.

    `nursery`: for news that the inbox has no room for when a provider is ready.
    """
    say_ready = partial(Spill(inbox_tx, nursery).send, RoleReady(role, language))
    was_ready = False
    failures = 0
    while True:
        error = ProviderError(role, "unknown", "the connection ended without a reason")
        opening = _Opening(
            trio.CancelScope(deadline=trio.current_time() + ready_timeout_s), say_ready
        )
        try:
            with opening.patience:
                await run(task_status=opening)
        except* ProviderError as group:
            error = first_error(group)
        if opening.patience.cancelled_caught:
            error = ProviderError(role, "timeout", f"not ready within {ready_timeout_s:g} s")
        if opening.is_over:
            was_ready, failures = True, 0
        _log.warning("lost" if was_ready else "not ready", role=role, error=str(error))
        for_good = not was_ready or not error.retryable
        await put(inbox_tx, evolve(lost(role, error), language=language, for_good=for_good))
        if for_good:
            return
        last = len(_REOPEN.delays_s) - 1
        await trio.sleep(_REOPEN.delays_s[min(failures, last)])
        failures += 1
