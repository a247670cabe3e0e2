"""The whole phone in memory: our server, its calls, and the simulated Twilio at both ends.

Time is virtual and begins at a weekday's noon in New York.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx
import trio
from attrs import define, frozen

from vantum.config import (
    ComplianceSettings,
    Secret,
    ServerSettings,
    Settings,
    StorageSettings,
    TwilioSettings,
)
from vantum.http import build_app
from vantum.server import Server
from vantum.telephony.calls import CallOrder, Calls
from vantum.telephony.desk import Desk
from vantum.telephony.record import CallRecord
from vantum.testing import DeepgramScript, OpenAIScript
from vantum.testing.calls import CallSetup
from vantum.testing.twilio import SimulatedTwilio, TwilioScript, simulated_phone
from vantum.testing.twilio.script import ACCOUNT, AUTH_TOKEN, FROM_NUMBER

BEGAN = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
#: Numbers of New York.
PROSPECT, OTHER = "+12125550142", "+12125550143"
API_TOKEN = "an-api-token"

TWILIO = TwilioSettings(
    account_sid=ACCOUNT,
    auth_token=Secret(AUTH_TOKEN),
    public_url="https://server.test",
    from_number=FROM_NUMBER,
    base_url="http://twilio.test",
)
SETTINGS = Settings(
    twilio=TWILIO,
    storage=StorageSettings(path=":memory:"),
    server=ServerSettings(api_tokens=Secret(f"another, {API_TOKEN}")),
    compliance=ComplianceSettings(consent_required=False, countries="US"),
)
#: Six seconds after the answer somebody says "Hello there.", and is answered.
SETUP = CallSetup(
    settings=SETTINGS,
    deepgram=DeepgramScript(("Hello there.",), lead_s=6.0, pause_s=30.0, repeat=False),
    openai=OpenAIScript(lambda _: "Yes, indeed."),
    direct=True,
)


@frozen
class Answer:
    """What the API said."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])


@define(eq=False)
class Office:
    """What there is to look at."""

    twilio: SimulatedTwilio
    server: Server
    desk: Desk

    @property
    def calls(self) -> Calls:
        assert self.desk.calls is not None
        return self.desk.calls

    async def place(self, to: str = PROSPECT, **about: Any) -> CallRecord:
        return await self.calls.place(CallOrder(to, **about))

    async def call(self, to: str = PROSPECT, **about: Any) -> CallRecord:
        """Place a call and wait for its end."""
        with trio.fail_after(4000):
            return await self.calls.wait((await self.place(to, **about)).id)

    async def api(
        self,
        method: str,
        path: str = "/v1/calls",
        *,
        token: str = API_TOKEN,
        json: Any = None,
        content: str | None = None,
        **headers: str,
    ) -> Answer:
        transport = httpx.ASGITransport(build_app(self.server, self.desk.phone.routes))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://server.test") as web:
            answer = await web.request(method, path, json=json, content=content, headers=named)
        return Answer(answer.status_code, answer.json(), answer.headers)

    def is_idle(self) -> bool:
        """Whether no line and no place is taken."""
        return not (
            self.calls.lines.taken
            or self.calls.all_live
            or self.server.held_back
            or self.server.sessions
        )


@contextmanager
def stopping(office: Office) -> Iterator[None]:
    """All calls are cancelled, as when their process stops; the body looks at what follows."""
    # The office's own body is one of what is cancelled.
    with trio.CancelScope(shield=True), trio.fail_after(100):
        office.calls.nursery.cancel_scope.cancel()
        yield


@asynccontextmanager
async def an_office(
    script: TwilioScript | None = None,
    *,
    setup: CallSetup = SETUP,
    label: str = "w0",
    **changes: Any,
) -> AsyncIterator[Office]:
    """`changes`: of the Twilio settings."""
    settings = setup.settings
    settings = attrs.evolve(settings, twilio=attrs.evolve(settings.twilio, **changes))
    phone = simulated_phone(script, setup, settings=settings, began=BEGAN, label=label)
    async with phone as opened:
        yield Office(opened.twilio, opened.server, opened.desk)
