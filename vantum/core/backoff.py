"""Retry schedules as values: how long to wait before which attempt, and when to give up.

Pure: no clock and no sleeping here. A client asks for the next delay and sleeps itself.

```
attempt = 0
while (delay_s := FIRST_CONNECT.delay_s(attempt)) is not None:
    await trio.sleep(delay_s)
    ...
    attempt += 1
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite

from attrs import Attribute, field, frozen

from vantum.errors import ProviderError


def _check_delays(
    _self: object, _attribute: Attribute[tuple[float, ...]], delays_s: tuple[float, ...]
) -> None:
    for delay_s in delays_s:
        if not (isfinite(delay_s) and delay_s >= 0):
            raise ValueError(f"a retry delay must be a finite number of seconds >= 0: {delay_s}")


@frozen
class Schedule:
    """Delays before each attempt, in seconds; after the last one, give up.

    A first entry of 0 makes attempt 0 immediate. An empty schedule allows no attempt.

    Raises:
        ValueError: a delay is negative, infinite or not a number.
    """

    delays_s: tuple[float, ...] = field(validator=_check_delays)

    @property
    def attempts(self) -> int:
        """How many attempts there are."""
        return len(self.delays_s)

    def __iter__(self) -> Iterator[float]:
        """The delays in seconds, in order: `for delay_s in schedule` is one attempt each."""
        return iter(self.delays_s)

    def delay_s(self, attempt: int) -> float | None:
        """Seconds to wait before `attempt`, counted from 0; None: give up.

        Raises:
            ValueError: `attempt` is negative.
        """
        if attempt < 0:
            raise ValueError(f"attempts are counted from 0, not {attempt}")
        return self.delays_s[attempt] if attempt < len(self.delays_s) else None

    def first(self, attempts: int) -> Schedule:
        """At most the first `attempts` of it; if it is shorter, its last delay is repeated.

        Lets a setting (`LLM_MAX_RETRIES`) decide how many and the schedule how long. An empty
        schedule stays empty.

        Raises:
            ValueError: `attempts` is negative.
        """
        if attempts < 0:
            raise ValueError(f"a number of attempts must be >= 0, not {attempts}")
        repeated = self.delays_s[-1:] * max(0, attempts - len(self.delays_s))
        return Schedule(self.delays_s[:attempts] + repeated)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """How long a refusal asks to be left alone, in seconds; None if it does not say.

    `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3); OpenAI's servers, and
    those that follow them, also send `retry-after-ms`.

    Args:
        headers: with lower-case names.
        now_s: Unix time.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if isfinite(wait_s) and wait_s >= 0:
            return wait_s
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        # A date in one of the older forms may name no zone: it is GMT.
        return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None


#: Nobody in a call is helped by a longer pause, whoever asks for it.
LONGEST_PAUSE_S = 8.0


def pause_s(delay_s: float, error: ProviderError | None) -> float:
    """The schedule's delay, or the longer one that the provider asked for when it failed."""
    asked_s = error.retry_after_s if error is not None else None
    return max(delay_s, min(asked_s or 0.0, LONGEST_PAUSE_S))


#: Recognition, before the call has begun: the caller is not speaking yet, so patience costs little.
FIRST_CONNECT = Schedule((0.0, 0.1, 1.0, 3.0, 5.0))

#: Recognition, in mid-call: a lost second is heard, and the replay ring is bounded.
MID_CALL_RECONNECT = Schedule((0.0, 0.1, 0.5))

#: The provider said 429: hurrying makes it worse, and its limits are counted per some seconds.
RATE_LIMITED = Schedule((1.0, 2.0, 4.0, 8.0))

#: The provider said 503: usually a restart or a full node, over within seconds.
UNAVAILABLE = Schedule((0.5, 1.0, 2.0, 4.0))

#: Synthesis, in mid-call.
TTS_RECONNECT = Schedule((0.5, 1.0, 2.0))

#: The language model; `LLM_RETRY.first(max_retries)` follows the setting.
LLM_RETRY = Schedule((1.0, 2.0, 4.0))
