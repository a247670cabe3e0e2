"""What `campaign run` opens, and in which order: the database, the list, whoever dials."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import trio
import uuid_utils
from attrs import define, frozen

from vantum.campaigns.dialling import Dialler, OwnDialler
from vantum.campaigns.files import Numbers
from vantum.campaigns.lease import Owner
from vantum.campaigns.loading import load_list
from vantum.campaigns.plan import Plan, read_plan
from vantum.campaigns.promised import Promised
from vantum.campaigns.remote import RemoteDialler, open_remote
from vantum.campaigns.remote_wishes import RemoteWishes
from vantum.campaigns.run import CampaignRun
from vantum.campaigns.screen import CampaignScreen, loaded_line, problem_line
from vantum.campaigns.store import CampaignStore
from vantum.campaigns.tables import SCHEMA, Saved
from vantum.compliance.numbers import check_installed, place_of, to_e164
from vantum.config import Settings
from vantum.config.load import Loaded
from vantum.config.prompts import read_text
from vantum.errors import ConfigError, StorageError
from vantum.observe.logs import configure_logs
from vantum.storage.database import Database, open_database
from vantum.telephony import callbacks
from vantum.telephony.callbacks import Callbacks
from vantum.telephony.wishes import OwnWishes, Wishes

Say = Callable[[str], Any]

#: The lease is kept, and everybody counted, so often.
_BEAT_S: Final = 5.0
#: Some ten thousand rows: a second or two.
_LONG_MB: Final = 1.0
_NUMBER_RULE: Final = "must be a number in international form, such as +12125550123"


def _number(text: str) -> str:
    number = to_e164(text)
    if number is None:
        raise ValueError(_NUMBER_RULE)
    return number


def _zones(number: str) -> tuple[str, ...]:
    return tuple(str(zone) for zone in place_of(number).zones)


NUMBERS: Final = Numbers(_number, _zones)


@frozen
class Through:
    """A server that runs already; `url` empty: one of our own."""

    url: str = ""
    token: str = ""


@asynccontextmanager
async def campaigns_database(settings: Settings) -> AsyncIterator[Database]:
    """The database in which campaigns are kept.

    Raises:
        ConfigError: it cannot be opened, or would be gone with the process.
    """
    storage = settings.storage
    if storage.is_in_memory:
        raise ConfigError(
            "storage.path=:memory: (VANTUM_DATABASE): a campaign must be kept; name a file"
        )
    async with open_database(storage.file, (SCHEMA, callbacks.SCHEMA)) as database:
        yield database


async def run_campaign(
    loaded: Loaded,
    *,
    path: Path,
    overrides: Mapping[str, object],
    through: Through,
    say: Say,
    complain: Say,
) -> int:
    """Run a campaign until everybody is done or a signal stops it.

    The first SIGINT or SIGTERM ends the dialling, the second the calls.

    Returns:
        0 when everybody is done, else 128 plus the signal's number.

    Raises:
        PlanError, ListError: what is wrong with the files; nobody was called.
        CampaignBusy: another process runs it.
        CampaignStopped: nobody can be called as things are.
    """
    settings = loaded.settings
    configure_logs(settings.log.level, settings.log.format)
    plan = read_plan(path, overrides)
    check_installed()
    async with campaigns_database(settings) as database:
        store = CampaignStore(database, plan.name, Owner(), plan.rules, time.time, time.time())
        saved = await store.open(str(path))
        try:
            tell = partial(_tell, plan, complain)
            _say_if_long(plan.prospects, say)
            say(loaded_line(await load_list(store, plan, NUMBERS, tell), str(plan.prospects)))
            if saved.wanted == "pause":
                say(f"It is paused; to go on: vantum-actors campaign resume {plan.name}")
            async with AsyncExitStack() as stack:
                beating = await stack.enter_async_context(trio.open_nursery())
                screen = stack.enter_context(CampaignScreen(say))
                beating.start_soon(_beat, store, screen)
                opening = _open_dialler(settings, plan, through, say)
                dialler = await stack.enter_async_context(opening)
                wishes = _wishes(database, dialler, saved)
                promised = Promised(wishes, store, time.time, screen.show)
                run = CampaignRun(plan, store, dialler, time.time, screen.show, promised)
                code = await _until_done(run, screen)
                beating.cancel_scope.cancel()
        finally:
            # If the database fails, the lease ends by itself.
            with trio.move_on_after(_BEAT_S, shield=True), suppress(StorageError):
                await store.close()
    if not code:
        say(f"Everybody is done. See: vantum-actors campaign report {plan.name}")
    else:
        has_options = through.url or any(value is not None for value in overrides.values())
        same = " (with the same options)" if has_options else ""
        say(f"Stopped; to go on: vantum-actors campaign run {path}{same}")
    return code


def _wishes(database: Database, dialler: Dialler, saved: Saved) -> tuple[Wishes, ...]:
    """Where callbacks are promised: in our database, and in calls through a server in its."""
    by = f"campaign {saved.name} of {saved.created_s:.6f}"
    callbacks = Callbacks(database, time.time, new_id=lambda: str(uuid_utils.uuid7()))
    own = OwnWishes(callbacks, by)
    match dialler:
        case RemoteDialler(http):
            return RemoteWishes(http, by), own
        case _:
            return (own,)


def _say_if_long(prospects: Path, say: Say) -> None:
    """Who has a long list sees nothing else for a while."""
    with suppress(OSError):  # which `load_list` says
        size_mb = prospects.stat().st_size / 1e6
        if size_mb >= _LONG_MB:
            say(f"Reading {prospects} ({size_mb:.0f} MB) …")


def _tell(plan: Plan, complain: Say, what: object) -> None:
    complain(problem_line(plan.prospects, what))


async def _beat(store: CampaignStore, screen: CampaignScreen) -> None:
    """Say that we are alive, also while models are loaded, and how far it has come."""
    while True:
        with suppress(StorageError):  # the run says so
            await store.keep()
            screen.counted(**await store.counts())
        await trio.sleep(_BEAT_S)


async def _until_done(run: CampaignRun, screen: CampaignScreen) -> int:
    """Run it under signals; the process's exit code."""
    stop = _Stop(run, screen)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop.watch)
        finished = await run.run()
        nursery.cancel_scope.cancel()
    return 0 if finished else stop.code


@define
class _Stop:
    """The first signal ends the dialling, the second the calls, the third waits for nothing."""

    run: CampaignRun
    screen: CampaignScreen
    code: int = 1

    async def watch(self) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            self.code = 128 + await anext(aiter(signals))
            active = self.run.active
            calls = "1 call may end by itself"
            if active > 1:
                calls = f"{active} calls may end by themselves"
            again = f"; {calls} (again to hang up)" if active else ""
            self.screen.say_line(f"Stopping: nobody is called any more{again} …")
            self.run.stop()
            await anext(aiter(signals))
            self.screen.say_line(f"Hanging up on {self.run.active} …")
            self.run.hang_up()
            await anext(aiter(signals))
            raise KeyboardInterrupt


@asynccontextmanager
async def _open_dialler(
    settings: Settings, plan: Plan, through: Through, say: Say
) -> AsyncIterator[Dialler]:
    if through.url:
        script = read_text(Path(plan.script_file)) if plan.script_file else ""
        async with open_remote(through.url, through.token, script) as remote:
            yield remote
        return
    from vantum.models import prepare_models
    from vantum.providers.registry import open_providers
    from vantum.running import open_server
    from vantum.telephony.desk import new_label, open_desk
    from vantum.telephony.phone import has_phone

    if not has_phone(settings):
        raise ConfigError(
            "a campaign needs a phone: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, "
            "TWILIO_PUBLIC_URL and TWILIO_FROM_NUMBER, or give --url of a server that has one"
        )
    await prepare_models(settings, say)
    async with (
        open_providers(settings) as providers,
        open_desk(settings, label=new_label()) as desk,
        open_server(settings, providers, desk=desk) as url,
    ):
        assert desk.calls is not None
        say(f"Listening on {url}")
        yield OwnDialler(desk.calls)


def echo_error(text: str) -> None:
    """A line on standard error."""
    with suppress(OSError):  # which is no reason to end a campaign
        click.echo(text, err=True)
