"""What the model may do on the phone besides talking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Final

import trio

from vantum.core.dtmf import MAX_KEYS, check_keys
from vantum.core.prompts import MAX_NOTE_CHARS
from vantum.core.tools import Line, Tool, ToolContext, ToolError, make_tool
from vantum.errors import StorageError
from vantum.observe.logs import get_log
from vantum.telephony.callbacks import Callbacks
from vantum.telephony.live import LiveCall
from vantum.telephony.opting_out import REASON, OptOuts, other_party
from vantum.telephony.passing import TransferFailed
from vantum.telephony.put_through import TOOL as TRANSFER
from vantum.telephony.transfers import SPOKEN_S, Asked, Decision, Transfers

#: A text of ours waits so long for a pause of the agent's.
_GAP_S: Final = 10.0
#: A text of ours is heard in so long, or nobody listens.
_HEARD_S: Final = 20.0
#: Whoever wants to be called later than that is better asked again.
_MAX_DAYS: Final = 365

_log = get_log("phone")

# ---------------------------------------------------------------- digits


async def _send_digits(
    context: ToolContext,
    digits: Annotated[
        str, f"Up to {MAX_KEYS} of 0-9 * # A-D; w pauses 0.5 s, W 1 s. Such as 2w42#."
    ],
) -> str:
    """Press keys of the telephone, for a menu or a machine that asks for them. They are sent as
    tones behind what you say in the same answer; say nothing if only the keys are needed. Never
    write keys as text instead: nobody would press them."""
    try:
        keys = check_keys(digits)
    except ValueError as error:
        raise ToolError(str(error)) from None
    context.line.press(keys)
    return "The tones are being sent. Wait for what is said next."


SEND_DIGITS: Final = make_tool(
    _send_digits, effect="irreversible", name="send_digits", filler="", needs_reply=False
)

# ---------------------------------------------------------------- do not call


def do_not_call(opt_outs: OptOuts, live: LiveCall) -> Tool:
    """The tool by which the model says that this person asks not to be called."""

    async def tool(context: ToolContext) -> str:
        """Take the person off all lists: they ask not to be called again, in whatever words. An
        apology and a goodbye are said for you, and the call ends."""
        opt_outs.begin(live, "understood by the agent")
        await context.line.say_goodbye(opt_outs.reply, REASON)
        return "They will not be called again. The call ends."

    return make_tool(tool, effect="idempotent", name="do_not_call", filler="", needs_reply=False)


# ---------------------------------------------------------------- callback


def schedule_callback(callbacks: Callbacks, live: LiveCall, now_s: Callable[[], float]) -> Tool:
    """The tool by which the model notes when this person wants to be called."""

    async def tool(
        context: ToolContext,
        when: Annotated[
            datetime, "With the offset from UTC in their timezone: 2026-03-31T14:30:00-05:00."
        ],
        note: Annotated[str, "What it is about, in a few words."] = "",
    ) -> str:
        """Note that they want to be called at another time, on the number of this call. Only when
        they have named a time or agreed to one; repeat it to them."""
        _check_when(when, now_s())
        if len(note) > MAX_NOTE_CHARS:
            raise ToolError(f"note may have {MAX_NOTE_CHARS} characters")
        record, number = live.record, other_party(live.record)
        if not number.startswith("+"):
            raise ToolError("their number is withheld: ask whether they can call us instead")
        try:
            await callbacks.add(
                number,
                when,
                note,
                prospect=context.prospect,
                call_id=record.id,
                campaign_id=record.campaign_id,
                script=record.script,
            )
        except StorageError as error:
            _log.error("a callback could not be noted", call=live.id, error=str(error))
            raise ToolError("it could not be noted: apologise, and say so") from None
        live.note("callback")
        return f"Noted for {when.isoformat(timespec='minutes')}."

    return make_tool(tool, effect="irreversible", name="schedule_callback", filler="")


def _check_when(when: datetime, now_s: float) -> None:
    if when.tzinfo is None:
        raise ToolError("when needs its offset from UTC, as in 2026-03-31T14:30:00-05:00")
    if not 0 < when.timestamp() - now_s <= _MAX_DAYS * 86_400:
        now = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="minutes")
        raise ToolError(f"when must be in the future and within a year; it is {now} now")


# ---------------------------------------------------------------- transfer

_NOT_TAKEN: Final[dict[Decision, str]] = {
    "declined": "did not take the call",
    "busy": "is on another line",
    "no-answer": "does not answer",
}


def transfer(transfers: Transfers, live: LiveCall) -> Tool:
    """The tool by which the model passes the call to one of our own people."""
    settings = transfers.settings
    if settings.mode == "blind":
        return make_tool(
            _blind(transfers, live),
            effect="irreversible",
            name=TRANSFER,
            filler="",
            needs_reply=False,
            timeout_s=60.0,
            after_speech=True,
        )
    waits_s = (settings.ring_timeout_ms + settings.accept_timeout_ms) / 1000
    return make_tool(
        _warm(transfers, live),
        effect="irreversible",
        name=TRANSFER,
        filler=settings.waiting_text,
        timeout_s=waits_s + SPOKEN_S + _HEARD_S + 2 * _GAP_S,
    )


def _checked(transfers: Transfers, live: LiveCall, to: str) -> str:
    known = transfers.settings.destinations
    name = next((n for n in known if n.lower() == to.strip().lower()), None)
    if name is None:
        raise ToolError(f"there is no {to[:40]!r}; there are: {', '.join(known)}")
    if transfers.is_under_way(live):
        raise ToolError("a transfer is under way already")
    return name


def _blind(transfers: Transfers, live: LiveCall) -> Callable[..., object]:
    settings = transfers.settings
    names = f"One of: {', '.join(settings.destinations)}."

    async def tool(context: ToolContext, to: Annotated[str, names]) -> str:
        """Pass the call to a colleague of ours, at once: the person is told for you that they are
        put through, and your part of the call is over. If the colleague is not reached, they come
        back to you."""
        name, line = _checked(transfers, live, to), context.line
        await line.say(settings.connect_text)
        with trio.move_on_after(_HEARD_S):
            await line.heard()
        if line.is_cut or line.is_over:
            raise ToolError("not transferred: they interrupted")
        try:
            await transfers.blind.begin(live, name)
        except TransferFailed as error:
            raise ToolError(str(error)) from None
        return f"They are being connected with {name}."

    return _hinted(tool, to=Annotated[str, names])


def _warm(transfers: Transfers, live: LiveCall) -> Callable[..., object]:
    names = f"One of: {', '.join(transfers.settings.destinations)}."

    async def tool(
        context: ToolContext,
        to: Annotated[str, names],
        summary: Annotated[str, "For the colleague, in two or three sentences: who it is, why."],
    ) -> str:
        """Pass the call to a colleague of ours. They are called first and hear your summary; only
        when they take the call is the person put through, which is said for you. If nobody takes
        it, you are told, and the conversation goes on."""
        name = _checked(transfers, live, to)
        if not summary.strip():
            raise ToolError("summary is empty: the colleague has to know what it is about")
        try:
            asked = await transfers.ask(live, name, summary.strip())
        except TransferFailed as error:
            raise ToolError(f"{name} cannot be called: {error}") from None
        return await _decided(transfers, asked, context.line)

    return _hinted(tool, to=Annotated[str, names])


def _hinted(tool: Callable[..., object], **hints: object) -> Callable[..., object]:
    """The tool with hints that hold names of this function's own, which cannot be looked up."""
    tool.__annotations__ |= hints
    return tool


async def _decided(transfers: Transfers, asked: Asked, line: Line) -> str:
    """What came of asking a colleague, for the model. He is let go if there is nobody to connect
    him with any more."""
    try:
        await _until_decided(asked, line)
        if asked.decision == "accepted" and not line.is_over:
            await _announce_connection(transfers, line)
        if line.is_over:
            return "They have hung up."
        if asked.decision == "accepted":
            await transfers.connect(asked)
            return f"They are being connected with {asked.name}."
        problem = f"{asked.name} {_NOT_TAKEN.get(asked.decision or 'failed', 'cannot be reached')}"
    except TransferFailed as error:
        problem = str(error)
    finally:
        if not asked.live.handed_over:
            transfers.drop(asked)
    if not line.is_cut:
        return f"{problem}. Tell them so, and go on with the conversation."
    # The conversation went on meanwhile: the model would say it with its next answer only.
    with trio.move_on_after(_GAP_S):
        await line.heard()
    await line.say(transfers.settings.unavailable_text)
    return f"{problem}. They have been told."


async def _until_decided(asked: Asked, line: Line) -> None:
    async with trio.open_nursery() as nursery:

        async def unless_they_hang_up() -> None:
            await line.over()
            asked.decide("gone")

        nursery.start_soon(unless_they_hang_up)
        await asked.decided.wait()
        nursery.cancel_scope.cancel()


async def _announce_connection(transfers: Transfers, line: Line) -> None:
    with trio.move_on_after(_GAP_S):
        await line.heard()
    await line.say(transfers.settings.connect_text)
    with trio.move_on_after(_HEARD_S):
        await line.heard()
