"""The server: listen, admit, supervise, drain.

Each connection runs in a task of its own whose failure is looked at here and goes no further.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import h11
import trio
import uuid_utils
from attrs import Factory, define, field
from starlette.routing import BaseRoute
from structlog.contextvars import bound_contextvars

from vantum.actors.call import Call
from vantum.actors.conductor import Conductor
from vantum.actors.writer import ClientTooSlow
from vantum.admission import Place, is_admitted, most_frames_per_s
from vantum.config import Settings
from vantum.core.decisions import CloseRequested
from vantum.core.events import Busy, ErrorReply, Prospect, Request, ServerMessage
from vantum.core.tools import Tool
from vantum.descriptors import LastingListener
from vantum.errors import first_error
from vantum.http import (
    Neighbours,
    ReplayStream,
    build_app,
    header,
    http_config,
    peek_request,
    request_address,
    serve_http,
    wants_websocket,
)
from vantum.observe.logs import get_log
from vantum.providers.registry import Providers
from vantum.session import run_session
from vantum.websocket import BadHandshake, WebSocket, accept, keep_alive, refuse
from vantum.wire.codec import ClientCodec, NativeCodec
from vantum.wire.native import Vocabulary, choose_vocabulary, encode
from vantum.wire.registry import VOICECHAT_SUBPROTOCOL

_log = get_log("server")

#: From a connection's query (each name with its last value) to who is on the line.
ProspectOf: TypeAlias = Callable[[Mapping[str, str]], Prospect]
#: Serves a WebSocket's connection at an address of its own: shakes hands, sees who it is, and lets
#: the server `hold` the session.
Door: TypeAlias = Callable[["Server", ReplayStream], Awaitable[None]]
_NOBODY: Final = Prospect()


def new_uuid7() -> str:
    """A time-ordered id (RFC 9562, version 7)."""
    return str(uuid_utils.uuid7())


def wall_ms() -> int:
    """The time of day, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@define(eq=False)
class Server:
    """One listening server and its sessions.

    `tools`: what the model is offered besides the built-in ones. `prospect`: finds out from the
    query of a client's URL (without its token) who is on the line; what it does not say, the client
    may. It must be quick; if it fails, nobody is known. `doors`: who serves WebSockets at other
    paths than `/ws`. `neighbours`: the other processes of this server.
    """

    settings: Settings
    providers: Providers
    routes: Sequence[BaseRoute] = ()
    tools: Sequence[Tool] = ()
    prospect: ProspectOf | None = None
    doors: Mapping[str, Door] = field(factory=dict, kw_only=True)
    neighbours: Neighbours | None = field(default=None, kw_only=True)
    new_id: Callable[[], str] = new_uuid7
    wall_ms: Callable[[], int] = wall_ms
    sessions: dict[str, Conductor | None] = Factory(dict)
    held_back: set[Place] = Factory(set)
    draining: bool = False
    started_s: float = Factory(trio.current_time)
    _tool_threads: trio.CapacityLimiter = field(init=False)
    _changed: trio.Event = Factory(trio.Event)

    @_tool_threads.default
    def _new_threads(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(self.settings.tools.max_threads)

    async def serve(
        self,
        listeners: Sequence[trio.abc.Listener[trio.SocketStream | ReplayStream]],
        *,
        task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, which hangs up on everybody.

        A listener that gives a `ReplayStream` has it from a neighbour, who has seen what it is.
        Cancelling the scope given to `task_status.started` only closes the listeners.
        """
        accepting = trio.CancelScope()
        app = build_app(self, self.routes)
        config = http_config()

        async def handle(stream: trio.SocketStream | ReplayStream) -> None:
            # `serve_listeners` closes the stream, whatever happens here.
            try:
                await self._connection(stream, app, config)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as group:
                _log.info("connection lost", error=repr(first_error(group)))
            except* Exception:
                _log.exception("a connection failed")

        async with trio.open_nursery() as connections:
            with accepting:
                task_status.started(accepting)
                self._count()
                lasting = [LastingListener(listener) for listener in listeners]
                await trio.serve_listeners(handle, lasting, handler_nursery=connections)

    async def drain(self) -> None:
        """Ask every session to end politely and wait until they have, or their time is up."""
        self.draining = True
        self._count()
        server = self.settings.server
        with trio.move_on_after((server.grace_ms + server.send_timeout_ms) / 1000 + 1):
            async with trio.open_nursery() as nursery:
                for conductor in self.sessions.values():
                    if conductor is not None:
                        nursery.start_soon(_ask_to_close, conductor)
                while self.sessions:
                    self._changed = trio.Event()
                    await self._changed.wait()
                nursery.cancel_scope.cancel()

    def health(self) -> tuple[dict[str, Any], bool]:
        """The body of `/health` and whether all is well."""
        states = Counter(
            c.state if c is not None else "INITIALIZING" for c in self.sessions.values()
        )
        providers = self.providers.health()
        well = not self.draining and all(health.ok for _, health in providers.values())
        status = "draining" if self.draining else "ok" if well else "degraded"
        return {
            "status": status,
            "uptimeSeconds": round(trio.current_time() - self.started_s, 1),
            "sessions": {
                "active": len(self.sessions),
                "max": self.settings.server.max_sessions,
                "byState": dict(states),
            },
            "providers": {
                role: {"name": name, "ok": health.ok, "detail": health.detail}
                for role, (name, health) in providers.items()
            },
        }, well

    def _count(self) -> None:
        if self.neighbours is not None:
            taken = len(self.sessions) + len(self.held_back)
            self.neighbours.count(None if self.draining else taken)

    async def _connection(
        self, stream: trio.SocketStream | ReplayStream, app: Any, config: Any
    ) -> None:
        timeout_s = self.settings.server.handshake_timeout_ms / 1000
        # Once handed over is enough: it stays, or two could play catch with it.
        neighbours = None if isinstance(stream, ReplayStream) else self.neighbours
        with trio.move_on_after(timeout_s) as handshake:
            request, replay = await peek_request(stream)
        if handshake.cancelled_caught:
            _log.info("no request in time")
            return
        if neighbours and request is not None and await neighbours.pass_on(request, replay):
            return
        if request is not None and wants_websocket(request):
            await self._upgrade(request, replay)
            await replay.leave()
            return
        await serve_http(app, config, replay, timeout_s)

    async def _upgrade(self, request: h11.Request, stream: ReplayStream) -> None:
        path, query = request_address(request)
        try:
            if path == "/ws":
                await self._websocket(request, query, stream)
            elif (door := self.doors.get(path)) is not None:
                await door(self, stream)
            else:
                await refuse(stream, HTTPStatus.NOT_FOUND, "There is no WebSocket here.\n")
        except BadHandshake as error:
            _log.info("bad WebSocket peer", error=repr(error))

    async def _websocket(
        self, request: h11.Request, query: dict[str, list[str]], stream: ReplayStream
    ) -> None:
        offered = [p.strip() for p in header(request, b"sec-websocket-protocol").split(",")]
        subprotocol = VOICECHAT_SUBPROTOCOL if VOICECHAT_SUBPROTOCOL in offered else None
        vocabulary = choose_vocabulary(query.get("events", [None])[-1], offered)
        server = self.settings.server
        is_known = is_admitted(server.auth_tokens, header(request, b"authorization"), query)
        with trio.move_on_after(server.handshake_timeout_ms / 1000) as handshake:
            socket = await accept(
                stream,
                subprotocol=subprotocol,
                max_message_bytes=server.max_message_bytes,
                frames_per_s=most_frames_per_s(server.messages_per_s),
                answer_timeout_s=server.send_timeout_ms / 1000,
            )
        if not handshake.cancelled_caught:
            about = {name: values[-1] for name, values in query.items() if name != "token"}
            await self._admit(socket, vocabulary, is_known, about)

    async def _admit(
        self, socket: WebSocket, vocabulary: Vocabulary, is_known: bool, about: Mapping[str, str]
    ) -> None:
        session_id = self.new_id()
        if not is_known:
            message = "not authenticated: bring a token as `Authorization: Bearer …` or `?token=…`"
            reply = ErrorReply(Request(), "auth_failed", message)
            await self._turn_away(socket, vocabulary, session_id, reply, 4401)
            return

        def new_call() -> Call:
            return self.new_call(vocabulary, session_id, self.known_of(about))

        if not await self.hold(socket, session_id, new_call):
            busy = Busy(len(self.sessions), self.settings.server.max_sessions)
            await self._turn_away(socket, vocabulary, session_id, busy, 1013)

    @property
    def is_full(self) -> bool:
        """Whether one session more would be refused: there is no place, or the server goes down."""
        taken = len(self.sessions) + len(self.held_back)
        return self.draining or taken >= self.settings.server.max_sessions

    def reserve(self) -> Place | None:
        """Hold a place back for a session that is on its way; None: there is none."""
        if self.is_full:
            return None
        place = Place(self.held_back, self._count)
        self.held_back.add(place)
        self._count()
        return place

    async def hold(
        self,
        socket: WebSocket,
        session_id: str,
        new_call: Callable[[], Call],
        *,
        place: Place | None = None,
        began: Callable[[Conductor], None] | None = None,
    ) -> bool:
        """Hold a session with whoever is at the other end until it is over; False: no place.

        Who that is has been seen to. `new_call`: see `Server.new_call`. `place`: one that was
        reserved for it. `began` is called with the session's conductor.
        """
        if place in self.held_back and not self.draining:
            self.held_back.discard(place)
        elif self.is_full:
            return False
        # The place is taken before the first await: two at once must not both get the last one.
        self.sessions[session_id] = None
        self._count()
        try:
            await self._session(socket, session_id, new_call, began)
        finally:
            socket.let_go()
            del self.sessions[session_id]
            self._count()
            self._changed.set()
        return True

    async def _session(
        self,
        socket: WebSocket,
        session_id: str,
        new_call: Callable[[], Call],
        began: Callable[[Conductor], None] | None,
    ) -> None:
        server = self.settings.server
        with bound_contextvars(session=session_id):
            reason, record = "internal error", {}

            def begins(conductor: Conductor) -> None:
                self.sessions[session_id] = conductor
                nursery = conductor.nursery
                if server.ping_interval_ms:
                    nursery.start_soon(self._until_silent, socket, conductor)
                if began is not None:
                    began(conductor)
                if self.draining:  # it began too late to be asked with the others
                    nursery.start_soon(_ask_to_close, conductor)

            try:
                call = new_call()
                _log.info("session opened", client=call.codec.name, active=len(self.sessions))
                await run_session(call, socket, began=begins)
                if (conductor := self.sessions[session_id]) is not None:
                    reason, record = conductor.ended_because, conductor.labels
            except* ClientTooSlow as group:
                reason = str(first_error(group))
            except* Exception:
                _log.exception("session failed")
                with trio.move_on_after(server.send_timeout_ms / 1000):
                    await socket.close(1011, "internal error")
            _log.info("session closed", reason=reason, goodbye=socket.goodbye, **record)

    def known_of(self, about: Mapping[str, str]) -> Prospect:
        """Who that is, if somebody can tell."""
        if self.prospect is None:
            return _NOBODY
        try:
            return self.prospect(about)
        except Exception:
            # It is not ours, and a call with a stranger is better than none.
            _log.exception("the prospect could not be looked up")
            return _NOBODY

    def new_call(
        self,
        client: Vocabulary | ClientCodec,
        session_id: str,
        prospect: Prospect = _NOBODY,
        settings: Settings | None = None,
    ) -> Call:
        """What a session of this server is given.

        Args:
            client: how the client speaks.
            prospect: as far as we know ourselves.
            settings: for this session, if not the server's.
        """
        codec = NativeCodec(client, session_id, self.new_id) if isinstance(client, str) else client
        activity = self.providers.activity
        return Call(
            session_id=session_id,
            codec=codec,
            settings=settings or self.settings,
            provider_names=self.providers.names,
            recognisers=self.providers.stt,
            model=self.providers.llm.for_session(),
            synthesiser=self.providers.tts.for_session(),
            activity=None if activity is None else activity.for_session(),
            detector=self.providers.detector,
            new_id=self.new_id,
            wall_ms=self.wall_ms,
            log=get_log("session"),
            prospect=prospect,
            count_tokens=self.providers.count_tokens,
            tools=tuple(self.tools),
            tool_threads=self._tool_threads,
        )

    async def _until_silent(self, socket: WebSocket, conductor: Conductor) -> None:
        interval_s = self.settings.server.ping_interval_ms / 1000
        timeout_s = self.settings.server.ping_timeout_ms / 1000
        await keep_alive(socket, interval_s=interval_s, timeout_s=timeout_s)
        if not socket.over.is_set():
            conductor.ended_because = f"a ping was not answered within {timeout_s:g} s"
        conductor.nursery.cancel_scope.cancel()

    async def _turn_away(
        self,
        socket: WebSocket,
        vocabulary: Vocabulary,
        session_id: str,
        message: ServerMessage,
        code: int,
    ) -> None:
        _log.info("turned away", code=code)
        data = encode(message, vocabulary=vocabulary, session_id=session_id, new_id=self.new_id)
        assert data is not None
        with trio.move_on_after(self.settings.server.send_timeout_ms / 1000):
            await socket.send(data)
            await socket.close(code)


async def _ask_to_close(conductor: Conductor) -> None:
    request = CloseRequested(1001, "the server is going down for maintenance", maintenance=True)
    await conductor.inbox_tx.send(request)
