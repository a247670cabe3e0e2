"""Carrying TwiML out on a live call, verb by verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import trio

from vantum.testing.calls.voice import speech
from vantum.testing.twilio import bridge
from vantum.testing.twilio import twiml as t
from vantum.testing.twilio.call import PhoneCall, Source
from vantum.testing.twilio.sound import key_tones, phone_audio, recorded
from vantum.testing.twilio.stream import MediaStream
from vantum.testing.twilio.webhooks import WebhookFailed, compute_signature
from vantum.websocket import BadHandshake, connect

if TYPE_CHECKING:
    from vantum.testing.twilio.exchange import Exchange

#: Of the server, to be opened and to answer.
_STREAM_TIMEOUT_S: Final = 15.0
_MAX_MESSAGE_BYTES: Final = 2**20


class HungUp(Exception):
    """The TwiML ends the call; says how."""


async def carry_out(
    exchange: Exchange, call: PhoneCall, verbs: tuple[t.Verb, ...], base_url: str
) -> Source | None:
    """Do what a document says; gives the next one, if it names one.

    `base_url`: what relative addresses in it are relative to.

    Raises:
        HungUp: it ends the call.
        BadTwiml, WebhookFailed: something in it cannot be done.
    """
    for verb in verbs:
        match verb:
            case t.Say() | t.PlayUrl() | t.Pause():
                await _sound(exchange, call, verb, base_url)
            case t.PlayDigits(digits):
                await _played_out(call, key_tones(digits))
            case t.Hangup():
                raise HungUp("the TwiML hangs up")
            case t.Reject():
                raise HungUp("the TwiML rejects it")  # whatever comes after is not reached
            case t.Redirect(url, method):
                return Source(urljoin(base_url, url), method)
            case t.Gather():
                if (after := await _gather(exchange, call, verb, base_url)) is not None:
                    return after
            case t.Stream():
                await _stream(exchange, call, verb, base_url)
                if verb.action is not None:
                    return Source(urljoin(base_url, verb.action), verb.method)
            case t.Dial():
                if (after := await bridge.dial(exchange, call, verb, base_url)) is not None:
                    return after
    return None


# ---------------------------------------------------------------- sound


async def _played_out(call: PhoneCall, mulaw: bytes) -> None:
    """Let it be heard to its end; what is cut short is not heard."""
    try:
        await trio.sleep_until(call.leg.earpiece.play(mulaw))
    except trio.Cancelled:
        call.leg.earpiece.clear()
        raise


async def _sound(
    exchange: Exchange, call: PhoneCall, verb: t.Say | t.PlayUrl | t.Pause, base_url: str
) -> None:
    match verb:
        case t.Pause(seconds):
            await trio.sleep(seconds)
            return
        case t.Say(text, loop):
            audio = phone_audio(speech(text)) if text else b""
        case t.PlayUrl(url, loop):
            audio = await _fetch_audio(exchange, call, urljoin(base_url, url))
    rounds = 0
    while audio and (rounds < loop or loop == 0):
        await _played_out(call, audio)
        rounds += 1


async def _fetch_audio(exchange: Exchange, call: PhoneCall, url: str) -> bytes:
    answer = await exchange.webhooks.ask(exchange.account_of(call), url, "GET", {})
    if answer.status >= 400:
        raise WebhookFailed(11200, f"HTTP retrieval failure: {url} gave status {answer.status}")
    try:
        return recorded(answer.body)
    except ValueError as error:
        raise WebhookFailed(12300, f"Invalid Content-Type: {url}: {error}") from None


# ---------------------------------------------------------------- keys


async def _gather(
    exchange: Exchange, call: PhoneCall, gather: t.Gather, base_url: str
) -> Source | None:
    pressed, news = [], trio.lowlevel.ParkingLot()
    finished = trio.Event()

    def key(digit: str) -> None:
        if finished.is_set():
            return
        if digit == gather.finish_on_key:
            finished.set()
        else:
            pressed.append(digit)
            if gather.digits and len(pressed) >= gather.digits:
                finished.set()
        news.unpark_all()

    async def prompt(scope: trio.CancelScope) -> None:
        with scope:
            for verb in gather.prompts:
                assert isinstance(verb, t.Say | t.PlayUrl | t.Pause)
                await _sound(exchange, call, verb, base_url)
        news.unpark_all()

    call.leg.key_sinks.append(key)
    try:
        async with trio.open_nursery() as nursery:
            prompting = trio.CancelScope()
            nursery.start_soon(prompt, prompting)
            # The clock starts with the prompt's end, or with a key, which cuts the prompt short.
            await news.park()
            prompting.cancel()
            while not finished.is_set():
                count = len(pressed)
                with trio.move_on_after(gather.timeout_s) as waiting:
                    while len(pressed) == count and not finished.is_set():
                        await news.park()
                if waiting.cancelled_caught:
                    break
    finally:
        call.leg.key_sinks.remove(key)
    if not pressed and not finished.is_set() and not gather.action_on_empty:
        return None
    url = base_url if gather.action is None else urljoin(base_url, gather.action)
    ended_by = gather.finish_on_key if finished.is_set() else ""
    fields = (("Digits", "".join(pressed)), ("msg", "Gather End"), ("FinishedOnKey", ended_by))
    return Source(url, gather.method, fields=fields)


# ---------------------------------------------------------------- media streams


async def _stream(exchange: Exchange, call: PhoneCall, verb: t.Stream, base_url: str) -> None:
    """Hold a stream until the server closes it."""
    stream_sid = exchange.new_sid("MZ")
    where = urlsplit(verb.url)
    tls = where.scheme == "wss"

    def tell(event: str, **more: str) -> None:
        fields = {
            "CallSid": call.sid,
            "AccountSid": call.account_sid,
            "StreamSid": stream_sid,
            "StreamName": verb.name or stream_sid,
            "StreamEvent": event,
            "Timestamp": exchange.iso_time(),
            **more,
        }
        url = verb.status_url and urljoin(base_url, verb.status_url)
        account = exchange.account_of(call)
        exchange.webhooks.tell(account, call, url, verb.status_method, fields)

    try:
        assert where.hostname is not None
        with trio.fail_after(_STREAM_TIMEOUT_S):
            port = where.port or (443 if tls else 80)
            connection = await exchange.webhooks.open_stream(where.hostname, port, tls)
            token = exchange.account_of(call).auth_token
            signature = compute_signature(token, verb.url, {}).encode()
            socket = await connect(
                connection,
                where.netloc,
                where.path or "/",
                headers=[(b"X-Twilio-Signature", signature)],
                max_message_bytes=_MAX_MESSAGE_BYTES,
            )
    except (OSError, trio.BrokenResourceError, trio.TooSlowError, BadHandshake) as error:
        message = f"Stream - WebSocket - Handshake Error: {verb.url}: {error}"
        call.problem(31920, message)
        tell("stream-error", StreamError=message)
        return
    stream = MediaStream(
        socket,
        call.sid,
        call.account_sid,
        stream_sid,
        verb.parameters,
        call.leg.earpiece,
        keeps=exchange.script.keeps_audio,
    )
    call.streams.append(stream)
    call.changed()
    tell("stream-started")
    try:
        async with connection:
            await stream.run(call.leg, exchange.script.line, exchange.rng)
    finally:
        tell("stream-stopped")
        for code, text in stream.problems:
            call.problem(code, f"Stream - Protocol - {text}")
        if stream.discarded:
            call.problem(31931, f"Stream - Media - Media Discarded: {stream.discarded} bytes")
