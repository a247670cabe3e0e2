"""Twilio's end of a media stream: sends what is said, plays what comes, gives marks back.

Source: "Media Streams - WebSocket Messages",
https://www.twilio.com/docs/voice/media-streams/websocket-messages; errors 31931 (at most ten
minutes are buffered, what is more is discarded), 31950 (binary frames are not understood) and 31951
(a field is missing or too many) of https://www.twilio.com/docs/api/errors.

A call drives it by `run`. A test may also hold it in its own hands: `listen` and `give_marks_back`
in tasks, and then `connected`, `start`, `media`, `press`, `stop` or anything at all by `raw`.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import trio
from attrs import define, field

from vantum.testing.twilio.earpiece import EPSILON_S, Earpiece
from vantum.testing.twilio.leg import Leg
from vantum.testing.twilio.script import Line
from vantum.testing.twilio.sound import FRAME_S, RATE_HZ, ROOM
from vantum.websocket import WebSocket

#: More is discarded (31931).
MAX_BUFFER_S: Final = 600.0
#: For the goodbye of a stream whose call is over.
_FAREWELL_S: Final = 2.0
#: What each message of the server holds: nothing may be missing, and nothing else be in it.
_FIELDS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "media": {"media": frozenset({"payload"})},
    "mark": {"mark": frozenset({"name"})},
    "clear": {},
}


@define(eq=False)
class MediaStream:
    """One stream.

    Attributes:
        got: every message of the server, with its time of arrival.
        earpiece: where its audio is heard.
        discarded: bytes of audio that came when ten minutes were waiting.
        problems: messages of the server that are none: Twilio's number for it, and a text. It
            warns once a stream of each; here all are kept.
        over: the connection is closed.
    """

    socket: WebSocket
    call_sid: str
    account_sid: str
    stream_sid: str
    parameters: Mapping[str, str] = field(factory=dict)
    earpiece: Earpiece = field(factory=Earpiece)
    got: list[tuple[float, dict[str, Any]]] = field(factory=list)
    keeps: bool = True
    discarded: int = 0
    problems: list[tuple[int, str]] = field(factory=list)
    over: trio.Event = field(factory=trio.Event)
    _sequence: Iterator[int] = field(factory=lambda: itertools.count(1))
    _chunk: int = 0
    _marks: list[tuple[float, str]] = field(factory=list)
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _sender: _Sender | None = None  # the line to the server, if anything happens on it

    # ------------------------------------------------------------ to the server

    def message(self, event: str, **body: Any) -> str:
        """The next message of its kind, with its number."""
        numbered: dict[str, str] = {}
        if event != "connected":
            numbered = {
                "sequenceNumber": str(next(self._sequence)),
                "streamSid": self.stream_sid,
            }
        return json.dumps({"event": event, **numbered, **body})

    async def send(self, event: str, **body: Any) -> None:
        """Send one message; it is lost if the connection is gone."""
        await self.raw(self.message(event, **body))

    async def raw(self, *messages: str | bytes) -> None:
        """Send anything, in one write; it is lost if the connection is gone."""
        try:
            await self.socket.send(*messages)
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()

    async def connected(self) -> None:
        """The first message."""
        await self.send("connected", protocol="Call", version="1.0.0")

    async def start(self, **changes: Any) -> None:
        """The second one. `changes`: other values in its `start`."""
        about = {
            "streamSid": self.stream_sid,
            "accountSid": self.account_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1},
            "customParameters": dict(self.parameters),
        }
        await self.send("start", start=about | changes)

    def media_message(self, mulaw: bytes, chunk: int | None = None) -> str:
        """The next frame of audio, or one with a number of its own."""
        self._chunk = self._chunk + 1 if chunk is None else chunk
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(20 * self._chunk),
            "payload": base64.b64encode(mulaw).decode(),
        }
        return self.message("media", media=media)

    @property
    def frames(self) -> int:
        """How many frames of audio it has had, lost ones included."""
        return self._chunk

    async def media(self, mulaw: bytes, chunk: int | None = None) -> None:
        """Send one frame of audio."""
        await self.raw(self.media_message(mulaw, chunk))

    def skip(self) -> None:
        """A frame is lost, and its numbers with it."""
        self._chunk += 1
        next(self._sequence)

    async def speak(self, seconds: float, frame: bytes = ROOM) -> None:
        """Send the same frame every 20 ms for so long."""
        began_s = trio.current_time()
        for number in range(round(seconds / FRAME_S)):
            await trio.sleep_until(began_s + number * FRAME_S)
            await self.media(frame)
        await trio.sleep_until(began_s + seconds)

    def key_message(self, digit: str) -> str:
        """A key was pressed."""
        return self.message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def press(self, digit: str) -> None:
        """Send a key."""
        await self.raw(self.key_message(digit))

    async def stop(self) -> None:
        """The stream is over."""
        await self.send("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})

    # ------------------------------------------------------------ from the server

    async def listen(self, line: Line | None = None, rng: random.Random | None = None) -> None:
        """Take what comes until the connection is closed. `line`: what delays it."""
        if line is None or rng is None or line.network.is_ideal:
            while (data := await self.socket.receive()) is not None:
                await self._take_any(data)
        else:
            # No more of them than the server has sent: it waits for nobody.
            late_tx, late_rx = trio.open_memory_channel[tuple[float, str | bytes]](float("inf"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._delay, line, rng, late_tx)
                async for at_s, data in late_rx:
                    await trio.sleep_until(at_s)
                    await self._take_any(data)
        self.over.set()

    async def _delay(
        self,
        line: Line,
        rng: random.Random,
        late_tx: trio.MemorySendChannel[tuple[float, str | bytes]],
    ) -> None:
        """Say of each message as it comes when it has come through the line."""
        began_s, last_s = trio.current_time(), 0.0
        with late_tx:
            while (data := await self.socket.receive()) is not None:
                at_s = line.network.arrival_s(trio.current_time() - began_s, rng)
                last_s = max(last_s, at_s)
                late_tx.send_nowait((began_s + last_s, data))

    async def _take_any(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.problems.append((31950, f"Malformed message: a binary frame {data[:100]!r}"))
            return
        try:
            await self._take(data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Twilio warns, and the stream goes on.
            self.problems.append((31951, f"Invalid message: {error!r} in {data[:100]!r}"))

    async def _take(self, data: str) -> None:
        body = json.loads(data)
        _check_fields(body)
        if body["streamSid"] != self.stream_sid:
            raise ValueError(f"streamSid is {body['streamSid']!r}, not {self.stream_sid!r}")
        match body["event"]:
            case "media":
                mulaw = base64.b64decode(body["media"]["payload"], validate=True)
                if self.earpiece.end_s - trio.current_time() > MAX_BUFFER_S:
                    self.discarded += len(mulaw)
                else:
                    self.earpiece.play(mulaw)
            case "mark":
                due_s = max(trio.current_time(), self.earpiece.end_s)
                self._marks.append((due_s, body["mark"]["name"]))
            case "clear":
                self.earpiece.clear()
                names = [name for _, name in self._marks]
                self._marks.clear()
                await self._give_back(names)
        self.got.append((trio.current_time(), body))
        if not self.keeps:
            del self.got[:-1000]
        self._news.unpark_all()

    async def give_marks_back(self) -> None:
        """Send marks when all before them has been heard, for ever."""
        while True:
            now_s = trio.current_time() + EPSILON_S
            if due := [name for at_s, name in self._marks if at_s <= now_s]:
                del self._marks[: len(due)]
                await self._give_back(due)
                continue
            next_s = self._marks[0][0] if self._marks else float("inf")
            with trio.move_on_at(next_s):
                await self._news.park()

    async def _give_back(self, names: list[str]) -> None:
        messages = [self.message("mark", mark={"name": name}) for name in names]
        if self._sender is not None:
            self._sender.marks(messages)
        elif messages:
            await self.raw(*messages)

    def hold_up(self, seconds: float) -> None:
        """The line runs behind: what waits to be heard, and its marks, come so much later."""
        from_s = self.earpiece.hold_up(seconds)
        self._marks = [
            (at_s + seconds if at_s > from_s + EPSILON_S else at_s, name)
            for at_s, name in self._marks
        ]
        self._news.unpark_all()

    # ------------------------------------------------------------ what was got

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The server's messages of a kind."""
        return [body for _, body in self.got if body["event"] == kind]

    def when(self, kind: str) -> list[float]:
        """When they came."""
        return [at_s for at_s, body in self.got if body["event"] == kind]

    @property
    def played(self) -> list[tuple[float, bytes]]:
        """What came out of the earpiece: (when, mu-law), as it came, whatever was cleared cut."""
        return [(piece.began_s, piece.mulaw) for piece in self.earpiece.pieces]

    @property
    def played_s(self) -> float:
        """How much of it, in seconds."""
        return self.earpiece.heard_s

    async def until_event(self, kind: str, count: int = 1) -> None:
        """Wait for the server's nth message of a kind. `trio.TooSlowError` after a minute."""
        with trio.fail_after(60):
            while len(self.events(kind)) < count:
                await self._news.park()

    # ------------------------------------------------------------ driven by a call

    async def run(self, leg: Leg, line: Line, rng: random.Random) -> None:
        """Carry a call's audio and keys until the server closes the stream.

        When cancelled (the call is over, or goes on elsewhere), says stop and goodbye.
        """
        sender = _Sender(self, line, rng)
        self._sender = None if line.network.is_ideal else sender
        await self.connected()
        await self.start()
        leg.sinks.append(sender.frame)
        leg.key_sinks.append(sender.key)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.give_marks_back)
                nursery.start_soon(sender.run)
                await self.listen(line, rng)
                nursery.cancel_scope.cancel()
        finally:
            leg.sinks.remove(sender.frame)
            leg.key_sinks.remove(sender.key)
            self.earpiece.clear()
            with trio.move_on_after(_FAREWELL_S, shield=True):
                await self.stop()
                await self.socket.close()
            self.over.set()


def _check_fields(body: dict[str, Any]) -> None:
    fields = _FIELDS.get(body["event"])
    if fields is None:
        raise ValueError(f"event is {body['event']!r}; there are {', '.join(_FIELDS)}")
    found = {"": set(body), **{name: set(body[name]) for name in fields if name in body}}
    wanted = {"": {"event", "streamSid", *fields}, **fields}
    if found != wanted:
        raise ValueError(f"the fields are {found}, not {wanted}")


@define(eq=False)
class _Sender:
    """What the call says, on its way to the server through a line."""

    stream: MediaStream
    line: Line
    rng: random.Random
    began_s: float = field(factory=trio.current_time)
    _due: list[tuple[float, int, str]] = field(factory=list)
    _count: Iterator[int] = field(factory=itertools.count)
    _last_s: float = 0.0
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def frame(self, mulaw: bytes) -> None:
        """20 ms of audio."""
        if self.line.lost and self.rng.random() < self.line.lost:
            self.stream.skip()
            return
        self._put(self.stream.media_message(mulaw))

    def key(self, digit: str) -> None:
        """A key."""
        self._put(self.stream.key_message(digit))

    def marks(self, messages: Sequence[str]) -> None:
        """Marks that come back."""
        for message in messages:
            self._put(message)

    def _put(self, message: str) -> None:
        at_s = trio.current_time()
        if not self.line.network.is_ideal:
            at_s = self.began_s + self.line.network.arrival_s(at_s - self.began_s, self.rng)
            if not self.line.overtaking:
                at_s = self._last_s = max(self._last_s, at_s)
        heapq.heappush(self._due, (at_s, next(self._count), message))
        self._news.unpark_all()

    async def run(self) -> None:
        """Send each message when it is due, those that are due together in one write."""
        while True:
            now_s, ready = trio.current_time() + EPSILON_S, []
            while self._due and self._due[0][0] <= now_s:
                ready.append(heapq.heappop(self._due)[2])
            if ready:
                await self.stream.raw(*ready)
                continue
            with trio.move_on_at(self._due[0][0] if self._due else float("inf")):
                await self._news.park()
