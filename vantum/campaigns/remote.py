"""Dial through a server that runs already, by its HTTP API (`/v1/calls`).

A request that dials carries a key of its own (`Idempotency-Key`), so that it may be sent again when
its answer is lost. The calls are the server's: they go on when the campaign's process ends, and the
next one takes them up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import attrs
import trio
from attrs import define

from vantum.campaigns.asking import AGAIN_S, PASSING, REQUEST_S, TRY_S, Failed, Unanswered, ask
from vantum.core.refusals import Reason, ReasonCode, Refusal
from vantum.errors import ConfigError
from vantum.proxies import http_client_options
from vantum.telephony.carrier import CarrierError, CarrierErrorKind
from vantum.telephony.lines import NoLine
from vantum.telephony.orders import CallOrder, CallRefused, NoSuchCall, OrderError
from vantum.telephony.record import CallRecord

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

_PATH: Final = "/v1/calls"
#: A call is minutes long: that it is over may be known so much later.
_POLL_S: Final = 2.0
#: A server that does not answer for so long has lost the call.
_LOST_S: Final = 600.0
_PAGE: Final = 200
#: Clocks of two machines differ.
_CLOCKS_S: Final = 60.0


@define(eq=False)
class RemoteDialler:
    """A `Dialler` over a server's API. `script`: TOML, the text of the campaign's script."""

    http: httpx2.AsyncClient
    script: str = ""

    def new_id(self) -> str:
        """The server gives the ids."""
        return ""

    async def place(self, order: CallOrder, call_id: str, key: str) -> str:
        """See `Dialler`; the key makes the request one that may be sent again."""
        body, was_sent = self._body(order), False
        why = "no answer came"
        with trio.move_on_after(TRY_S):
            while True:
                try:
                    headers = {"Idempotency-Key": key}
                    placed = await ask(self.http, "POST", _PATH, json=body, headers=headers)
                    return str(placed["id"])
                except Unanswered as error:
                    was_sent, why = was_sent or error.sent, str(error)
                except Failed as error:
                    if error.code not in PASSING:
                        raise _understood(error) from None
                    was_sent, why = True, error.message
                await trio.sleep(AGAIN_S)
        raise CarrierError("unknown" if was_sent else "network", f"through the server: {why}")

    async def wait(self, call_id: str) -> CallRecord:
        """See `Dialler`."""
        answered_s = trio.current_time()
        while trio.current_time() - answered_s < _LOST_S:
            try:
                record = await self._get(call_id)
            except Unanswered:
                pass
            except Failed as error:
                if error.status == 404:
                    break
            else:
                answered_s = trio.current_time()
                if record.is_over:
                    return record
            await trio.sleep(_POLL_S)
        raise NoSuchCall(f"the server does not know the call {call_id} any more")

    async def hang_up(self, call_id: str) -> None:
        """See `Dialler`. A server that does not answer ends it by itself."""
        try:
            await ask(self.http, "DELETE", f"{_PATH}/{call_id}")
        except (Unanswered, Failed):
            return

    async def look_up(self, call_id: str, order: CallOrder, since_s: float) -> CallRecord | None:
        """See `Dialler`: by the id, or among the latest calls by number and campaign.

        Raises:
            ConfigError: the server does not answer, or does not let us ask.
        """
        try:
            if call_id:
                return await self._get(call_id)
            return await self._find(order, since_s - _CLOCKS_S)
        except Failed as error:
            if error.status == 404:
                return None
            raise ConfigError(f"the server does not tell of its calls: {error}") from None
        except Unanswered as error:
            raise ConfigError(f"the server cannot be asked: {error}") from None

    async def goes_on(self, record: CallRecord) -> bool:
        """A server's call goes on without us."""
        return not record.is_over

    async def _find(self, order: CallOrder, since_s: float) -> CallRecord | None:
        before = ""
        while True:
            query = {"limit": str(_PAGE)} | ({"before": before} if before else {})
            page = await ask(self.http, "GET", _PATH, params=query)
            for body in page["calls"]:
                record = CallRecord.from_json({"turns": [], **body})
                if record.created_s < since_s:
                    return None
                if (record.to_number, record.campaign_id) == (order.to, order.campaign_id):
                    return record
            before = page["next"] or ""
            if not before:
                return None

    async def _get(self, call_id: str) -> CallRecord:
        return CallRecord.from_json(await ask(self.http, "GET", f"{_PATH}/{call_id}"))

    def _body(self, order: CallOrder) -> dict[str, Any]:
        prospect = {k: v for k, v in attrs.asdict(order.prospect).items() if v}
        body: dict[str, Any] = {
            "to": order.to,
            "from": order.from_number,
            "prospect": prospect,
            "greeting": order.greeting,
            "voicemail": order.voicemail,
            "script": self.script,
            "scriptName": order.script_file.rpartition("/")[2] if self.script else "",
            "timezone": order.timezone,
            "campaignId": order.campaign_id,
            "callback": None if order.promise is None else attrs.asdict(order.promise),
        }
        return {name: value for name, value in body.items() if value}


def _understood(failed: Failed) -> Exception:
    """The error as the server's own campaign would have met it."""
    error, code = failed.error, failed.code
    if code == "refused":
        reasons = tuple(
            Reason(_reason(each["code"]), each["message"], each["retryAt"])
            for each in error["reasons"]
        )
        return CallRefused(Refusal("", reasons))
    if code == "no_line":
        return NoLine(failed.message)
    if code.startswith("carrier_"):
        kind = code.removeprefix("carrier_")
        known: tuple[CarrierErrorKind, ...] = get_args(CarrierErrorKind)
        found: CarrierErrorKind = next((each for each in known if each == kind), "unknown")
        return CarrierError(found, failed.message.removeprefix("twilio: "))
    if code in ("wrong_fields", "wrong_order", "callback_state"):
        return OrderError(failed.message)
    return ConfigError(f"the server refuses: {failed.message}")


def _reason(code: str) -> ReasonCode:
    known: tuple[ReasonCode, ...] = get_args(ReasonCode)
    # A newer server may have more of them.
    return next((each for each in known if each == code), "check_failed")


@asynccontextmanager
async def open_remote(
    url: str, token: str, script: str = "", transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[RemoteDialler]:
    """A dialler through the server at `url`, such as http://127.0.0.1:3001.

    Args:
        url: `ws://…/ws`, as the server prints it, will do as well.
        token: one of its API_TOKENS.
        script: the text of the campaign's script.
        transport: what requests go through instead of the network.

    Raises:
        ConfigError: nobody answers there, or not with that token.
    """
    import httpx2

    base = url.removesuffix("/ws")
    base = f"http{base[2:]}" if base.startswith("ws") else base
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        network = http_client_options(base, transport)
        client = httpx2.AsyncClient(base_url=base, headers=headers, timeout=REQUEST_S, **network)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ConfigError(f"--url {url}: is no address: {error}") from None
    if client.base_url.scheme not in ("http", "https") or not client.base_url.host:
        raise ConfigError(f"--url {url}: is no address such as http://127.0.0.1:3001")
    async with client:
        dialler = RemoteDialler(client, script)
        try:
            await ask(client, "GET", _PATH, params={"limit": "1"})
        except Unanswered as error:
            raise ConfigError(f"{base}: nobody answers: {error}") from None
        except Failed as error:
            why = "that server has no phone, or is none of ours" if error.status == 404 else error
            raise ConfigError(f"{base}: {why}") from None
        yield dialler
