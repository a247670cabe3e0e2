"""What `call` does: a server of its own if there is none, the call, what is said in it."""

from __future__ import annotations

import json
import secrets
import signal
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import trio
import uuid_utils
from attrs import define

from vantum.campaigns.remote import RemoteDialler, open_remote
from vantum.config import Secret, Settings
from vantum.config.load import Loaded
from vantum.config.prompts import read_text
from vantum.core.call_status import Outcome
from vantum.core.events import Prospect
from vantum.core.scripts import parse_script
from vantum.errors import ConfigError
from vantum.models import prepare_models
from vantum.observe.logs import configure_logs
from vantum.providers.registry import open_providers
from vantum.running import open_server
from vantum.screen import one_line
from vantum.signals import ending_at_once
from vantum.telephony.desk import new_label, open_desk
from vantum.telephony.order_fields import WrongFields, read_prospect
from vantum.telephony.orders import CallOrder, NoSuchCall
from vantum.telephony.record import CallRecord, RecordedTurn

Say = Callable[[str], Any]

#: What is new in the call is looked for so often.
_POLL_S: Final = 0.5
#: Hanging up, when we are told to stop.
_FAREWELL_S: Final = 15.0
#: Somebody was talked to, or a message was left.
_REACHED: Final[frozenset[Outcome]] = frozenset(
    {"talked", "voicemail_left", "transferred", "opted_out", "callback"}
)
_WHO: Final = {"user": "them", "assistant": "us", "tool": "tool"}


async def run_call(
    loaded: Loaded,
    *,
    number: str,
    prospect: Path | None,
    script: Path | None,
    greeting: str,
    voicemail: str,
    from_number: str,
    url: str,
    token: str,
    say: Say,
) -> int:
    """Place a call and print what happens until it is over; SIGINT and SIGTERM hang up.

    Returns:
        0 if somebody was talked to or a message was left, else 1; after a signal, 128 plus its
        number.

    Raises:
        ConfigError: something is missing or wrong; says what.
        CallRefused, NoLine, OrderError, CarrierError: the call was not made.
    """
    configure_logs(loaded.settings.log.level, loaded.settings.log.format)
    text = "" if script is None else await trio.to_thread.run_sync(_read_script, script)
    order = CallOrder(
        to=number,
        prospect=await trio.to_thread.run_sync(_read_prospect, prospect),
        script_file="" if script is None else script.name,
        greeting=greeting,
        voicemail=voicemail,
        from_number=from_number,
    )
    async with trio.open_nursery() as nursery:
        stop = _Stop(nursery.cancel_scope)
        await nursery.start(stop.watch)
        async with AsyncExitStack() as stack:
            if not url:
                own = _own_server(loaded.settings, order, say)
                url, token = await stack.enter_async_context(own)
            dialler = await stack.enter_async_context(open_remote(url, token, text))
            record = await _call(dialler, order, stop, say)
        nursery.cancel_scope.cancel()
    if stop.code:
        return stop.code
    return 0 if record is not None and record.outcome in _REACHED else 1


@define
class _Stop:
    """A signal cancels the scope, which is whatever may be stopped now; the second one ends the
    process."""

    scope: trio.CancelScope
    code: int = 0

    async def watch(self, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            self.code = 128 + await anext(aiter(signals))
        self.scope.cancel()


async def _call(
    dialler: RemoteDialler, order: CallOrder, stop: _Stop, say: Say
) -> CallRecord | None:
    """The call, hung up if we are told to stop. Its record, if it can still be had."""
    say(f"Calling {one_line(order.to)} (Ctrl-C hangs up) …")
    # From here on the call is ended before the server is, which may be ours.
    stop.scope = trio.CancelScope()
    call_id = await dialler.place(order, "", str(uuid_utils.uuid7()))
    record: CallRecord | None = None
    with stop.scope:
        record = await _watch(dialler, call_id, order, say)
    if record is None or not record.is_over:
        say("Hanging up …")
        with trio.move_on_after(_FAREWELL_S):
            await dialler.hang_up(call_id)
            record = await dialler.look_up(call_id, order, 0.0)
    if record is not None:
        say(_summary(record))
    return record


@asynccontextmanager
async def _own_server(
    settings: Settings, order: CallOrder, say: Say
) -> AsyncIterator[tuple[str, str]]:
    """Its address and a token for it. Twilio reaches it at the settings' port."""
    twilio = settings.twilio
    needed = {
        "TWILIO_ACCOUNT_SID": twilio.account_sid,
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "TWILIO_PUBLIC_URL": twilio.public_url,
        "TWILIO_FROM_NUMBER (or --from)": order.from_number or twilio.from_number,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise ConfigError(
            f"to call from here, {', '.join(missing)} must be set "
            "(or call through a running server: --url)"
        )
    token = secrets.token_urlsafe(24)
    server = attrs.evolve(settings.server, api_tokens=Secret(token))
    settings = attrs.evolve(settings, server=server)
    async with open_desk(settings, label=new_label()) as desk:
        await prepare_models(settings, say)
        async with (
            ending_at_once(open_providers(settings)) as providers,
            open_server(settings, providers, desk=desk) as url,
        ):
            say(f"Listening on {url} for Twilio, which is told {twilio.public_url}")
            yield url, token


@define
class _Screen:
    """What of the call was shown already."""

    say: Say
    status: str = ""
    answered_by: str = ""
    turns: int = 0

    def show(self, record: CallRecord) -> None:
        if record.is_over:  # what was said was said before that
            self._turns(record)
        if record.status != self.status:
            self.status = record.status
            self.say(f"  {record.status}")
        if record.answered_by != self.answered_by:
            self.answered_by = record.answered_by
            self.say(f"  answered by: {record.answered_by}")
        self._turns(record)

    def _turns(self, record: CallRecord) -> None:
        for turn in record.turns[self.turns :]:
            self.say(_line(turn))
        self.turns = len(record.turns)


def _line(turn: RecordedTurn) -> str:
    heard = ""
    if turn.interrupted:
        heard = f"  (heard: {one_line(turn.heard)})" if turn.heard else "  (not heard)"
    return f"  {_WHO[turn.role]}: {one_line(turn.said)}{heard}"


async def _watch(dialler: RemoteDialler, call_id: str, order: CallOrder, say: Say) -> CallRecord:
    screen = _Screen(say)
    while True:
        record = await dialler.look_up(call_id, order, 0.0)
        if record is None:
            raise NoSuchCall(f"the server does not know the call {call_id} any more")
        screen.show(record)
        if record.is_over:
            return record
        await trio.sleep(_POLL_S)


def _summary(record: CallRecord) -> str:
    outcome = (record.outcome or "not over").replace("_", " ")
    because = f" ({one_line(record.ended_because)})" if record.ended_because else ""
    length = "" if record.duration_s is None else f", {record.duration_s:.0f} s"
    cost = record.cost
    return f"{outcome}{because}{length}, about {cost.total:.4f} {cost.currency}: {record.id}"


# ---------------------------------------------------------------- files


def _read_script(path: Path) -> str:
    """Its text, once it was found to be a script."""
    text = read_text(path)
    parse_script(text, str(path))
    return text


def _read_prospect(path: Path | None) -> Prospect:
    if path is None:
        return Prospect()
    text = read_text(path)
    # Also from a pipe, which has no name; TOML begins with no brace.
    is_json = path.suffix.lower() == ".json" or text.lstrip().startswith("{")
    try:
        values = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if is_json else "TOML"
        raise ConfigError(f"{path}: is not {kind}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be an object with fields such as name")
    try:
        return read_prospect(values)
    except WrongFields as error:
        raise ConfigError(f"{path}: {error}") from None
