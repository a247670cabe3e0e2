"""When to try again to connect. Pure."""

from __future__ import annotations

from vantum.core.backoff import Schedule, pause_s
from vantum.errors import ProviderError
from vantum.providers.deepgram.protocol import schedule_after


class Retries:
    """Counts attempts, separately for each schedule that an error may ask for."""

    def __init__(self, usual: Schedule) -> None:
        self._usual = usual
        self._used: dict[Schedule, int] = {}

    def delay_s(self, error: ProviderError | None) -> float | None:
        """How long to wait before the next attempt, after `error`; None: give up."""
        if error is not None and not error.retryable:
            return None
        schedule = schedule_after(error, self._usual) if error else self._usual
        attempt = self._used.get(schedule, 0)
        self._used[schedule] = attempt + 1
        delay_s = schedule.delay_s(attempt)
        return None if delay_s is None else pause_s(delay_s, error)
