"""One call from the line it takes to the record it leaves, as a straight line.

What may go wrong on the way: callbacks come in any order, twice, or never; a REST request fails, or
hangs; the stream does not come, or stays; this process is told to stop. Whatever it is, every wait
here has a limit, so the call ends, its line is free again and its record is final.

The order of ends: whoever ends first (the telephone company, our session, a request to hang up, a
limit) is followed by the other. The telephone company is asked to end a call by REST unless it has
said that it did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Final

import attrs
import trio

from vantum.compliance.permit import PermitRefused
from vantum.core.events import EndCall, Request
from vantum.errors import StorageError, VantumError
from vantum.observe.logs import get_log
from vantum.telephony.carrier import CarrierError, Dial
from vantum.telephony.live import LiveCall
from vantum.telephony.orders import CallRefused

if TYPE_CHECKING:
    from vantum.telephony.calls import Calls

CALLS_PATH: Final = "/twilio/calls"

#: Callbacks are late by so much at most.
_MARGIN_S: Final = 10.0
#: A call may stay so many times longer in the telephone company's queue than it expected.
_QUEUE_MARGIN: Final = 2.0
#: One end of the call and our session follow each other so soon by themselves.
_GRACE_S: Final = 2.0
#: After a request to end it, until the telephone company has confirmed that.
_CONFIRM_S: Final = 5.0
#: A call of which nobody knows whether it was made: its first callback comes at once, if it was.
_DOUBT_S: Final = 15.0
#: Turns are saved as they end: so much later at the most. All calls are looked at together, so that
#: what ends in the same moment is one transaction.
TURNS_S: Final = 0.25
#: What else may have changed is saved so often; it also shows that the process lives.
_SAVE_S: Final = 5.0
_TOUCH_S: Final = 60.0
#: Pauses between attempts to keep the record of a call that is over, and how often the last one is
#: repeated: about an hour, as for opt-outs.
_PAUSES_S: Final = (1.0, 5.0, 15.0, 60.0)
_MAX_RETRIES: Final = 60
#: For ending calls when the process stops.
_FAREWELL_S: Final = 3.0

_HANG_UP: Final = EndCall(Request("hang-up"))

_log = get_log("phone")


async def outbound(calls: Calls, live: LiveCall) -> None:
    """Dial, and follow the call to its end. `live.placed` is set once it is known whether it was
    dialled; if it was not, `live.failure` says why."""

    async def work() -> None:
        await calls.means.records.save(live.record, calls.means.now_s())
        await _dial(calls, live)
        live.placed.set()
        await _follow(calls, live)

    await _on_a_line(calls, live, work)


async def inbound(calls: Calls, live: LiveCall) -> None:
    """Follow a call that came in. `live.placed` is set once there is a place for it, or
    `live.failure` says that there is none."""

    async def work() -> None:
        live.placed.set()
        await save(calls, live)
        await _follow(calls, live)

    await _on_a_line(calls, live, work)


async def _on_a_line(calls: Calls, live: LiveCall, work: Callable[[], Awaitable[None]]) -> None:
    """One call's failure is looked at here and goes no further."""
    try:
        async with calls.line():
            live.place = calls.reserve()
            calls.enter(live)
            try:
                await work()
            except (CallRefused, CarrierError) as error:
                live.failure = error  # known when its record is made final
                raise
            except Exception:
                live.hang_up("internal error")
                raise
            finally:
                with trio.move_on_after(_FAREWELL_S, shield=True):
                    await _conclude(calls, live)
                calls.leave(live)
                live.over.set()
                live.place.release()
    except VantumError as error:
        live.failure = error
    except Exception as error:
        live.failure = error
        _log.exception("a call failed", id=live.id)
    finally:
        live.placed.set()


async def _follow(calls: Calls, live: LiveCall) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_save_changes, calls, live)
        await _until_ending(calls, live)
        await _end(calls, live)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- its record


async def watch_turns(calls: Calls) -> None:
    """Have what was said in the calls of a process saved, until cancelled."""
    while True:
        await calls.until_live()
        await trio.sleep(TURNS_S)
        for live in calls.all_live:
            live.tell_of_turns()


async def _save_changes(calls: Calls, live: LiveCall) -> None:
    saved, saved_s = live.record, trio.current_time()
    while True:
        with trio.move_on_after(_SAVE_S):
            await live.news()
        record, now_s = live.observe(), trio.current_time()
        if record != saved or now_s > saved_s + _TOUCH_S:
            await save(calls, live)
            saved, saved_s = record, now_s


async def save(calls: Calls, live: LiveCall) -> bool:
    """Keep the record. What cannot be kept is logged: the call goes on."""
    try:
        await calls.means.records.save(calls.record_of(live), calls.means.now_s())
    except StorageError as error:
        _log.error("a call's record cannot be kept", id=live.id, error=str(error))
        return False
    return True


async def _save_later(calls: Calls, live: LiveCall) -> None:
    """The record of a call that is over, once its database is well again: till then it seems to go
    on to whoever reads of it in there."""
    for pause_s in (*_PAUSES_S, *repeat(_PAUSES_S[-1], _MAX_RETRIES)):
        await trio.sleep(pause_s)
        if await save(calls, live):
            break
    calls.unsaved.pop(live.id, None)


async def _conclude(calls: Calls, live: LiveCall) -> None:
    if live.handed_over and not live.progress.is_over:
        # Cancelled: who has the call goes on with it, and nobody here hears what becomes of it.
        live.told("completed")
    elif not live.progress.is_over:
        # Cancelled: the process stops, or the task that held it failed.
        live.hang_up("server stopped")
        await _ask_to_end(calls, live)
        live.assumed_over()
    settings = calls.means.settings
    record = live.conclude(settings.prices.prices, asks_machine=calls.asks_machine)
    if isinstance(live.failure, CallRefused):
        live.record = record = attrs.evolve(record, outcome="refused")
    if not await save(calls, live):
        calls.unsaved[record.id] = record
        calls.nursery.start_soon(_save_later, calls, live)
    _log.info(
        "call over",
        id=record.id,
        call=record.sid,
        direction=record.direction,
        outcome=record.outcome,
        because=record.ended_because,
        seconds=record.duration_s,
    )


# ---------------------------------------------------------------- dialling


async def _dial(calls: Calls, live: LiveCall) -> None:
    """Raises `CallRefused` or `CarrierError`; the record then says so too."""
    assert live.permit is not None
    try:
        try:
            placed = await calls.dial(live.permit, _dial_of(calls, live))
            live.queue_s = placed.queue_s
            live.named(placed.sid)
        except PermitRefused as error:
            raise CallRefused(error.refusal) from error
        except CarrierError as error:
            if error.kind != "unknown":
                raise
            await _made_after_all(live, error)
    except (CallRefused, CarrierError) as error:
        failed = isinstance(error, CarrierError)
        live.told("failed" if failed else "canceled", because=str(error))
        raise
    _log.info("call placed", id=live.id, call=live.record.sid)


async def _made_after_all(live: LiveCall, error: CarrierError) -> None:
    """The request was sent and its answer lost. Dialling again could ring twice; but if there is a
    call, it calls us: its callbacks have our id."""
    with trio.move_on_after(_DOUBT_S):
        await live.until(lambda: bool(live.record.sid))
        return
    # Should it ring after all, what answers it is told to hang up: the call is not live any more.
    raise error


def _dial_of(calls: Calls, live: LiveCall) -> Dial:
    twilio = calls.means.settings.twilio
    base = twilio.public_url.rstrip("/")
    base = "http" + base[2:] if base.startswith("ws") else base
    about = f"{base}{CALLS_PATH}/{live.id}"
    asked = twilio.machine_detection
    return Dial(
        from_number=live.record.from_number,
        url=f"{about}/voice",
        status_url=f"{about}/status",
        machine_detection="off" if not asked else "message_end" if live.voicemail else "start",
        amd_url=f"{about}/amd" if asked else "",
        ring_timeout_s=twilio.ring_timeout_ms // 1000,
        time_limit_s=twilio.max_call_ms // 1000,
    )


# ---------------------------------------------------------------- while it goes on


async def _until_ending(calls: Calls, live: LiveCall) -> None:
    twilio = calls.means.settings.twilio
    began_s, answered_s = trio.current_time(), None
    comeback, back_s = live.comeback, began_s
    # Until it is told that the call was dialled, by when it should have been.
    is_queued, dialled_s = True, began_s + _QUEUE_MARGIN * live.queue_s
    while not live.is_ending:
        if is_queued and live.progress.status != "queued":
            is_queued, dialled_s = False, trio.current_time()
        if live.progress.was_answered and answered_s is None:
            answered_s = trio.current_time()
        if live.comeback != comeback:
            comeback, back_s = live.comeback, trio.current_time()
        if answered_s is None and live.record.direction == "outbound":
            limit_s = dialled_s + twilio.ring_timeout_ms / 1000 + _MARGIN_S
        elif not live.had_session:
            limit_s = (answered_s or began_s) + twilio.token_lifetime_ms / 1000
        elif comeback is not None:
            # Whoever is still there is asked for at once; his stream then has its own time.
            is_invited = comeback.is_invited
            limit_s = back_s + (twilio.token_lifetime_ms / 1000 if is_invited else _MARGIN_S)
        else:
            limit_s = (answered_s or began_s) + twilio.max_call_ms / 1000 + _MARGIN_S
        if not await _heed_verdict(calls, live):
            with trio.move_on_at(limit_s):
                await live.news()
                continue
            _over_the_limit(live)


def _over_the_limit(live: LiveCall) -> None:
    if live.comeback is not None:
        live.hang_up("they did not come back to the agent")
    elif live.had_session:
        live.hang_up("the longest time for a call is over")
    elif live.progress.was_answered or live.record.direction == "inbound":
        live.hang_up("its media stream did not begin")
    else:
        # Nothing was heard of it: it rang out, or was never put through.
        live.told("no-answer", because="nobody answered, and nothing was heard of it")
        live.hang_up("nobody answered")


async def _heed_verdict(calls: Calls, live: LiveCall) -> bool:
    """What machine detection found is acted upon, once; False: there is nothing to do."""
    twilio = calls.means.settings.twilio
    match live.progress.answered_by:
        case _ if live.is_a_persons or live.noted == "opted_out":
            return False  # who asks not to be called hears that he was understood
        case "machine" if live.voicemail:
            if live.message_begun or live.conductor is None:
                return False
            live.message_begun = True
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # it has just ended
                await live.conductor.say(live.voicemail, then_hang_up=True, reason="message left")
        case "machine":
            live.hang_up("an answering machine answered")
        case "fax":
            live.hang_up("a fax machine answered")
        case "unknown" if twilio.unknown_answer == "hang_up":
            live.hang_up("it could not be told what answered")
        case _:
            return False
    return True


# ---------------------------------------------------------------- its end


async def _end(calls: Calls, live: LiveCall) -> None:
    """Bring both ends down: the telephone company's and our session."""
    if live.session_is_over and not live.hang_up_because:
        # The stream is over: the rest of its TwiML is nothing, so the call ends by itself. An
        # inbound call's end is told only if its number is set up so.
        with trio.move_on_after(_GRACE_S):
            await live.until(lambda: live.progress.is_over)
        if not live.progress.is_over and live.record.direction == "inbound":
            live.assumed_over()
    if not live.progress.is_over or live.hang_up_because:
        await _ask_to_end(calls, live)
        with trio.move_on_after(_CONFIRM_S):
            await live.until(lambda: live.progress.is_over)
    if live.conductor is not None:
        with trio.move_on_after(_GRACE_S):
            await live.until(lambda: live.conductor is None)
    if live.conductor is not None:
        with trio.move_on_after(_CONFIRM_S):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await live.conductor.inbox_tx.send(_HANG_UP)
            await live.until(lambda: live.conductor is None)
    # Nobody said so in time, but both ends have been seen to.
    live.assumed_over()


async def _ask_to_end(calls: Calls, live: LiveCall) -> None:
    carrier = calls.means.carrier
    if carrier is None or not live.record.sid:
        return
    try:
        await carrier.end_call(live.record.sid)
    except CarrierError as error:
        _log.warning("a call could not be ended by request", id=live.id, error=str(error))
