"""A simulated Twilio: a real HTTP server that speaks its REST API, calls back and streams media.

Calls ring at personas instead of people. The official package is run against it in the tests.

::

    async with simulated_twilio(TwilioScript(personas={"+15551234567": Busy()})) as twilio:
        ...  # twilio.base_url, twilio.environment(), await twilio.ring(url), twilio.calls

On sockets it runs in real time. In memory (`twilio_in_memory`) it runs on any clock, whole minutes
in milliseconds under one that jumps.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx2
import trio
from attrs import define

from vantum.testing.calls.wires import Wires, memory_transport
from vantum.testing.serving import serve_peer
from vantum.testing.twilio.call import CallOptions, PhoneCall, Source
from vantum.testing.twilio.exchange import Exchange
from vantum.testing.twilio.personas import AnsweringMachine, Person
from vantum.testing.twilio.rest import RecordedRequest, Rest
from vantum.testing.twilio.script import RestFault, TwilioScript
from vantum.testing.twilio.webhooks import OpenStream, SentWebhook, Webhooks, open_tcp

#: Who calls, if nobody says otherwise.
CALLER = "+15005550001"


@define(eq=False)
class SimulatedTwilio:
    """The running simulation: what it does next and what it has seen.

    Attributes:
        base_url: its address, for `TWILIO_BASE_URL`.
    """

    exchange: Exchange
    rest: Rest
    base_url: str = ""

    @property
    def script(self) -> TwilioScript:
        """How it behaves; may be replaced at any time."""
        return self.exchange.script

    @script.setter
    def script(self, script: TwilioScript) -> None:
        self.exchange.script = script
        self.exchange.webhooks.callbacks = script.callbacks
        self.exchange.webhooks.timeout_s = script.webhook_timeout_s

    @property
    def calls(self) -> list[PhoneCall]:
        """All calls, oldest first, those that TwiML dialled included."""
        return list(self.exchange.calls.values())

    @property
    def faults(self) -> deque[RestFault | None]:
        """For the next REST requests, first in first out; append to it at any time."""
        return self.rest.faults

    @property
    def requests(self) -> list[RecordedRequest]:
        """The REST requests that came."""
        return self.rest.requests

    @property
    def webhooks(self) -> list[SentWebhook]:
        """The requests that it sent: for TwiML, and callbacks."""
        return self.exchange.webhooks.sent

    def environment(self) -> dict[str, str]:
        """Environment variables that point a server at it."""
        account = self.script.account
        return {
            "TWILIO_ACCOUNT_SID": account.sid,
            "TWILIO_AUTH_TOKEN": account.auth_token,
            "TWILIO_FROM_NUMBER": account.numbers[0],
            "TWILIO_BASE_URL": self.base_url,
        }

    def transport(self) -> httpx2.AsyncBaseTransport:
        """What an HTTP client sends through to reach the REST API without a socket, whatever its
        URL; for `vantum.telephony.twilio_rest.open_twilio`."""
        return memory_transport(Wires(self.exchange.nursery).to(self.serve_stream))

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to the REST API."""
        await self.rest.serve_stream(stream)

    def ring(
        self,
        voice_url: str,
        caller: Person | AnsweringMachine | None = None,
        *,
        from_number: str = CALLER,
        to_number: str = "",
        method: str = "POST",
        status_url: str = "",
        fallback_url: str = "",
    ) -> PhoneCall:
        """Somebody calls a number that is connected with `voice_url`.

        Args:
            voice_url: what the number's configuration has for "A call comes in".
            caller: what they do; None: they are silent and stay.
            from_number: whose number is shown.
            to_number: the number called; empty: the account's first.
            method: GET or POST.
            status_url: of the number's "Call status changes".
            fallback_url: of the number's "Primary handler fails".

        Returns:
            The call, at once; `await call.over.wait()` for its end.
        """
        options = CallOptions(
            Source(voice_url, method),
            Source(fallback_url, method) if fallback_url else None,
            status_url,
        )
        to_number = to_number or self.script.account.numbers[0]
        return self.exchange.come_in(from_number, to_number, caller or Person(), options)


def twilio_in_memory(
    nursery: trio.Nursery,
    script: TwilioScript | None = None,
    open_stream: OpenStream = open_tcp,
    *,
    began: datetime | None = None,
) -> SimulatedTwilio:
    """A simulation without a listener: hand it connections by `serve_stream`.

    Args:
        nursery: where its calls live.
        script: how it behaves.
        open_stream: how it reaches servers: host, port, whether by TLS.
        began: the time of day now; None: what the machine's clock says.
    """
    script = script or TwilioScript()
    rng = random.Random(script.seed)  # noqa: S311 (the same seed gives the same calls)
    webhooks = Webhooks(open_stream, script.callbacks, script.webhook_timeout_s, nursery, rng)
    exchange = Exchange(script, webhooks, nursery, rng, began or datetime.now(UTC))
    return SimulatedTwilio(
        exchange, Rest(exchange, deque(script.faults)), base_url="http://twilio.test"
    )


@asynccontextmanager
async def simulated_twilio(
    script: TwilioScript | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    open_stream: OpenStream = open_tcp,
) -> AsyncIterator[SimulatedTwilio]:
    """Serve on a socket while the body runs. Leaving it cuts every call off at once.

    Port 0 takes a free one. Raises `OSError` if the address cannot be had.
    """
    async with trio.open_nursery() as nursery:
        twilio = twilio_in_memory(nursery, script, open_stream)

        async def serve(*, task_status: trio.TaskStatus[SimulatedTwilio]) -> None:
            await serve_peer(
                twilio,
                twilio.serve_stream,
                "http://{}",
                host=host,
                port=port,
                task_status=task_status,
            )

        await nursery.start(serve)
        yield twilio
        nursery.cancel_scope.cancel()
