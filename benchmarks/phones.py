"""The phones: a load client that is Twilio for many calls at once, a process of its own.

It signs and rings, opens the media streams, sends the caller's frames every 20 ms, plays what it is
sent, returns marks and obeys `clear`. `vantum.testing.twilio` does all that too, and more; but a
hundred calls of it need more than the core that there is for them. One loop here serves all
microphones; the messages are Twilio's (a test compares them).
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import os
import random
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import trio
from attrs import define, field
from twilio.request_validator import RequestValidator

from benchmarks.arrivals import now_s
from benchmarks.line import frame, take_frames, upgrade
from benchmarks.told import obey
from vantum.core.audio import mulaw_encode, read_wav
from vantum.core.resampling import Resampler

ACCOUNT: Final = "AC" + "b" * 32
TOKEN: Final = "the-auth-token-of-the-benchmark"
FRAME_S: Final = 0.02
_FRAME_BYTES: Final = 160
_VOICE: Final = Path(__file__).parent.parent / "tests/recordings/kennedy.wav"
#: Of the recording: a phrase, without a pause as long as the wait.
_SPEECH_S: Final = 2.0
#: Behind the beginning of an answer, a caller who cuts in does so.
_CUTS_IN_S: Final = 1.0
#: An answer is over when nothing of it has been heard for so long.
_OVER_S: Final = 0.5
#: No turn takes so long; what does is a failure.
_TURN_S: Final = 30.0
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


@define
class Playout:
    """What one call's earpiece does, on the machine's clock.

    The server sends chunks at most `lead_s` ahead. A chunk is *late* by as much as it is less ahead
    than the one that came in time; it *starves* the ear if the last one has been played before.
    """

    steady_s: float
    end_s: float = 0.0
    utterance: str = ""
    late_ms: list[float] = field(factory=list)
    starved: int = 0
    frames: int = 0

    def chunk(self, at_s: float, utterance: str, frames: int) -> None:
        """So many frames of an utterance have come, with the mark behind them."""
        self.frames += frames
        if utterance == self.utterance:
            ahead_s = self.end_s - at_s
            self.late_ms.append(1000 * max(0.0, self.steady_s - ahead_s))
            # To the frame: what would have been played before it came was silence.
            if ahead_s < 0:
                self.starved += max(1, round(-ahead_s / FRAME_S))
        self.utterance = utterance
        self.end_s = max(self.end_s, at_s) + frames * FRAME_S

    def clear(self, at_s: float) -> None:
        """What has not been played is forgotten."""
        self.end_s = min(self.end_s, at_s)
        self.utterance = ""


@define(eq=False)
class Phone:
    """One call."""

    stream: trio.SocketStream
    stream_sid: str
    call_sid: str
    playout: Playout
    numbers: Any = field(factory=lambda: itertools.count(2))  # the start was the first
    chunk: int = 0
    #: Frames of speech still to be said; None: none, and none was just now.
    speaking: int | None = None
    spoken: trio.Event = field(factory=trio.Event)
    spoken_s: float = 0.0
    answered: trio.Event = field(factory=trio.Event)
    answered_s: float = 0.0
    cleared_s: float = 0.0
    waiting: int = 0
    marks: list[tuple[float, bytes]] = field(factory=list)
    gone: bool = False

    def media(self, payload: bytes) -> bytes:
        """The next frame of audio, as a WebSocket frame."""
        self.chunk += 1
        return media_frame(self.stream_sid, next(self.numbers), self.chunk, payload)

    def put(self, data: bytes) -> None:
        """Send at once. What the socket does not take is a failure of the load."""
        if not self.gone:
            try:
                if os.write(self.stream.socket.fileno(), data) != len(data):
                    raise RuntimeError("the server does not read what the caller says")
            except (BrokenPipeError, ConnectionResetError):
                self.gone = True

    def give_back(self, name: bytes) -> None:
        """A mark was reached."""
        self.put(mark_frame(self.stream_sid, next(self.numbers), name))


def media_frame(stream_sid: str, sequence: int, chunk: int, payload: bytes) -> bytes:
    """A frame of the caller's audio (base64), as a WebSocket frame."""
    return frame(
        b'{"event":"media","sequenceNumber":"%d","streamSid":"%s","media":{"track":"inbound",'
        b'"chunk":"%d","timestamp":"%d","payload":"%s"}}'
        % (sequence, stream_sid.encode(), chunk, 20 * chunk, payload),
        _TEXT,
    )


def mark_frame(stream_sid: str, sequence: int, name: bytes) -> bytes:
    """A mark that was reached, as a WebSocket frame."""
    return frame(
        b'{"event":"mark","sequenceNumber":"%d","streamSid":"%s","mark":{"name":"%s"}}'
        % (sequence, stream_sid.encode(), name),
        _TEXT,
    )


def start_frames(stream_sid: str, call_sid: str, parameters: dict[str, str]) -> bytes:
    """What a stream begins with."""

    connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    about = {
        "streamSid": stream_sid,
        "accountSid": ACCOUNT,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    start = {"event": "start", "sequenceNumber": "1", "streamSid": stream_sid, "start": about}
    return b"".join(frame(json.dumps(each).encode(), _TEXT) for each in (connected, start))


def voice_payloads() -> tuple[list[bytes], bytes]:
    """A recorded phrase in frames of 20 ms, and a frame of a quiet room; base64 of mu-law."""
    wav = read_wav(_VOICE.read_bytes())
    resampler = Resampler(wav.sample_rate_hz, 8000)
    mulaw = mulaw_encode(resampler.feed(wav.pcm) + resampler.finish())
    count = round(_SPEECH_S / FRAME_S)
    frames = [mulaw[n * _FRAME_BYTES : (n + 1) * _FRAME_BYTES] for n in range(count)]
    samples = random.Random(0).choices(range(-40, 40), k=_FRAME_BYTES)
    quiet = b"".join(value.to_bytes(2, "little", signed=True) for value in samples)
    return [base64.b64encode(each) for each in frames], base64.b64encode(mulaw_encode(quiet))


@define(eq=False)
class Phones:
    """The calls of this process."""

    host: str
    port: int
    nursery: trio.Nursery
    phones: list[Phone] = field(factory=list)
    steady_s: float = 0.1
    ticks_late_ms: list[float] = field(factory=list)
    failures: list[str] = field(factory=list)
    _voice: list[bytes] = field(init=False)
    _room: bytes = field(init=False)
    _due: list[tuple[float, int, Phone]] = field(factory=list)
    _numbers: Any = field(factory=lambda: itertools.count(1))
    _rng: random.Random = field(factory=lambda: random.Random(1))

    def __attrs_post_init__(self) -> None:
        self._voice, self._room = voice_payloads()

    # ------------------------------------------------------------ commands

    async def connect(self, calls: int) -> int:
        """Ring until there are so many calls."""
        while len(self.phones) < calls:
            phone = await self._ring(next(self._numbers))
            self.phones.append(phone)
            self.nursery.start_soon(self._listen, phone)
            heapq.heappush(self._due, (now_s() + self._rng.uniform(0, FRAME_S), id(phone), phone))
            if len(self.phones) == 1:
                self.nursery.start_soon(self._microphones)
        return len(self.phones)

    async def talk(self, seconds: float, converse: bool = True) -> dict[str, Any]:
        """All hold conversations for so long, or only listen; what was heard of the server."""
        turns: list[dict[str, Any]] = []
        self.ticks_late_ms.clear()
        for phone in self.phones:
            phone.playout.late_ms.clear()
            phone.playout.starved = phone.playout.frames = 0
        began_s = now_s()
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                for phone in self.phones if converse else ():
                    rng = random.Random(self._rng.random())
                    nursery.start_soon(self._converse, phone, turns, rng)
        took_s = now_s() - began_s
        playouts = [phone.playout for phone in self.phones]
        return {
            "seconds": took_s,
            "turns": turns,
            "late_ms": [round(ms, 2) for playout in playouts for ms in playout.late_ms],
            "starved": sum(playout.starved for playout in playouts),
            "frames": sum(playout.frames for playout in playouts),
            "ticks_late_ms": sorted(self.ticks_late_ms)[-len(self.ticks_late_ms) // 100 :],
            "failures": self.failures[:5],
            "gone": sum(phone.gone for phone in self.phones),
        }

    async def hang_up(self) -> int:
        """All at once."""
        count = len(self.phones)
        for phone in self.phones:
            stop = b'{"event":"stop","sequenceNumber":"%d","streamSid":"%s","stop":{}}'
            sid = phone.stream_sid.encode()
            phone.put(frame(stop % (next(phone.numbers), sid), _TEXT))
            phone.gone = True
            await phone.stream.aclose()
        self.phones.clear()
        self._due.clear()
        return count

    # ------------------------------------------------------------ a call

    async def _ring(self, number: int) -> Phone:
        call_sid, stream_sid = f"CA{number:032x}", f"MZ{number:032x}"
        url, parameters = await self.twiml(call_sid)
        stream = await upgrade(self.host, self.port, urlsplit(url).path)
        await stream.send_all(start_frames(stream_sid, call_sid, parameters))
        return Phone(stream, stream_sid, call_sid, Playout(self.steady_s))

    async def twiml(self, call_sid: str) -> tuple[str, dict[str, str]]:
        """Ring: where the stream goes, and with which parameters."""
        form = {
            "CallSid": call_sid,
            "AccountSid": ACCOUNT,
            "From": "+12025550100",
            "To": "+12025550199",
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        url = f"http://{self.host}:{self.port}/twilio/voice"
        signature = RequestValidator(TOKEN).compute_signature(url, form)
        body = urlencode(form)
        request = (
            f"POST /twilio/voice HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}"
        )
        async with await trio.open_tcp_stream(self.host, self.port) as web:
            await web.send_all(request.encode())
            answer = b"".join([part async for part in web])
        head, _, twiml = answer.partition(b"\r\n\r\n")
        found = ET.fromstring(twiml).find("Connect/Stream") if b" 200 " in head[:20] else None
        if found is None:
            raise RuntimeError(f"the call was not taken: {answer[-300:]!r}")
        return found.attrib["url"], {p.attrib["name"]: p.attrib["value"] for p in found}

    async def _converse(
        self, phone: Phone, turns: list[dict[str, Any]], rng: random.Random
    ) -> None:
        """Turn after turn; each third answer is cut short by the caller."""
        await trio.sleep(rng.uniform(0, _SPEECH_S))
        cuts_in_s = 0.0
        for number in itertools.count(1):
            phone.spoken, phone.answered = trio.Event(), trio.Event()
            phone.speaking = len(self._voice)
            await phone.spoken.wait()
            cut_ms = 1000 * (phone.cleared_s - cuts_in_s)
            if cuts_in_s and cut_ms < 0:
                self.failures.append(f"{phone.call_sid}: cut in, and the agent went on")
            with trio.move_on_after(_TURN_S) as patience:
                await phone.answered.wait()
            if patience.cancelled_caught or phone.gone:
                self.failures.append(f"{phone.call_sid}: no answer in turn {number}")
                return
            turn = {
                "call": phone.call_sid,
                "gap_ms": 1000 * (phone.answered_s - phone.spoken_s),
                # On the clock that the server's log is written by.
                "answered_unix_s": time.time() - (now_s() - phone.answered_s),
            }
            turns.append({**turn, "cut_ms": cut_ms} if cuts_in_s else turn)
            cuts_in_s = 0.0
            if number % 3 == 0:
                await trio.sleep(_CUTS_IN_S)
                cuts_in_s = now_s()
                continue
            while (left_s := phone.playout.end_s + _OVER_S - now_s()) > 0:  # noqa: ASYNC110
                await trio.sleep(left_s)
            await trio.sleep(rng.uniform(0, 0.5))

    async def _listen(self, phone: Phone) -> None:
        buffer = bytearray()
        try:
            while data := await phone.stream.receive_some(65_536):
                at_s = now_s()
                buffer += data
                for opcode, payload in take_frames(buffer):
                    if opcode == _TEXT:
                        self._take(phone, at_s, payload)
                    elif opcode == _PING:
                        phone.put(frame(payload, _PONG))
                    elif opcode == _CLOSE:
                        phone.gone = True
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        phone.gone = True

    def _take(self, phone: Phone, at_s: float, text: bytes) -> None:
        if text.startswith(b'{"event":"media"'):
            began = text.index(b'"payload":"') + 11
            encoded = text.index(b'"', began) - began
            phone.waiting += encoded * 3 // 4 // _FRAME_BYTES
            # While the caller speaks, what comes belongs to the answer before.
            if phone.speaking is None and not phone.answered.is_set():
                phone.answered_s = at_s
                phone.answered.set()
        elif b'"mark"' in text[:20]:
            name = text[text.index(b'"name"') :].split(b'"')[3]
            phone.playout.chunk(at_s, name.partition(b":")[0].decode(), phone.waiting)
            phone.waiting = 0
            heapq.heappush(phone.marks, (phone.playout.end_s, name))
        elif b'"clear"' in text[:20]:
            phone.playout.clear(at_s)
            phone.cleared_s, phone.waiting = at_s, 0
            names, phone.marks = [name for _, name in sorted(phone.marks)], []
            for name in names:
                phone.give_back(name)

    async def _microphones(self) -> None:
        """All of them: each frame on its absolute deadline, and the marks that are due with it."""
        for turn in itertools.count():
            if not self._due:
                return
            due_s, _, phone = self._due[0]
            at_s = now_s()
            if due_s > at_s:
                await trio.sleep(due_s - at_s)
                continue
            if turn % 16 == 0:  # whoever listens must not starve when this falls behind
                await trio.lowlevel.checkpoint()
            heapq.heapreplace(self._due, (due_s + FRAME_S, id(phone), phone))
            self.ticks_late_ms.append(1000 * (at_s - due_s))
            while phone.marks and phone.marks[0][0] <= at_s:
                phone.give_back(heapq.heappop(phone.marks)[1])
            self._frame(phone)

    def _frame(self, phone: Phone) -> None:
        left = phone.speaking
        if left is None:
            phone.put(phone.media(self._room))
            return
        phone.put(phone.media(self._voice[len(self._voice) - left]))
        phone.speaking = left - 1
        if left == 1:
            phone.speaking, phone.spoken_s = None, now_s()
            phone.spoken.set()


async def main(host: str, port: int) -> None:
    """Do what standard input says until it ends."""
    async with trio.open_nursery() as nursery:
        await obey(Phones(host, port, nursery))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
