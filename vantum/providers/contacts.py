"""How a provider is, from its last contacts: nobody asks it just to know."""

from __future__ import annotations

from attrs import define

from vantum.errors import ProviderError
from vantum.ports import Health

#: So many failures in a row mean that the provider is down, and not that one answer failed.
_FAILURES_UNTIL_DOWN = 3

#: Older failures say nothing any more: without calls, nothing would show that it is back.
_FADES_AFTER_S = 60.0


@define
class Contacts:
    """Counts what went well and what failed; `now_s` is `trio.current_time()`.

    Down is a provider that refused the key (until something works again), whose account is empty,
    or that failed three times in a row; the last two fade after a minute.
    """

    _failures: int = 0
    _last: ProviderError | None = None
    _failed_at_s: float = 0.0
    _answered: bool = False

    def success(self) -> None:
        """Something was answered as it should be."""
        self._failures, self._last, self._answered = 0, None, True

    def failure(self, error: ProviderError, now_s: float) -> None:
        """Something failed. What one request asked wrongly says nothing of the provider; that there
        is no such model (404) fails every one."""
        if error.kind == "invalid_request" and error.status != 404:
            return
        self._failures, self._last, self._failed_at_s = self._failures + 1, error, now_s

    def health(self, now_s: float) -> Health:
        """The state as far as known."""
        if self._last is None:
            return Health(True, "answers" if self._answered else "not asked yet")
        age_s = now_s - self._failed_at_s
        detail = f"{self._last.kind}: {self._last.message} ({age_s:.0f} s ago)"
        if self._last.kind == "auth":
            return Health(False, detail)
        down = self._last.kind == "quota" or self._failures >= _FAILURES_UNTIL_DOWN
        return Health(not down or age_s > _FADES_AFTER_S, detail)
