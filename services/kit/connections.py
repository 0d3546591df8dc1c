"""What a client may make a connection wait for: its headers, its body, its reading of the answer. Nothing of it costs a request anything."""

import asyncio
import logging
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, NamedTuple, cast
from typing import Protocol as TypingProtocol
from uuid import uuid4

import orjson
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.kit.corked import Corked
from services.kit.errors import Problem, RequestTimeout
from services.kit.http import request_id_of

log = logging.getLogger(__name__)

BYTES_PER_SECOND = 16 * 1024
"""A client that keeps up this rate may take as long as its body or its answer is large."""
DOORKEEPER = "doorkeeper"
"""Under this name in the lifespan's state, an app may have a Doorkeeper."""
LONGEST_PAUSE = 1.0
AT_ONCE = 500
"""Connections looked at before requests have their turn: ten thousand at once would be a pause of milliseconds."""


class Doorkeeper(TypingProtocol):
    """Refuses requests before they are made, which costs a fifth."""

    def turn_away(self, method: bytes, url: bytes) -> Problem | None:
        """Why this request is refused, if it is."""

    def hold(self, connection: "Protocol") -> None:
        """Told when a refusal is written: may pause the reading of the connection's flow, and then has to resume it."""


class Protocol(HttpToolsProtocol):
    """Counts what shows that a client makes progress, and lets a client that has sent all it wants to send still read its answer."""

    received = 0
    """Bytes of bodies since the connection began."""
    drained = 0
    """How often a full buffer of answers was emptied."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Corked(transport)))

    def on_headers_complete(self) -> None:
        doorkeeper: Doorkeeper | None = self.app_state.get(DOORKEEPER)
        idle = self.cycle is None or self.cycle.response_complete
        # A process that is stopping has more to say in its answers.
        if doorkeeper is not None and idle and not self.server_state.default_headers:
            problem = doorkeeper.turn_away(self.parser.get_method(), self.url)
            if problem is not None:
                self._turn_away(problem)
                return
        super().on_headers_complete()

    def _turn_away(self, problem: Problem) -> None:
        """Answers at once; what comes of the body is read and forgotten."""
        self.transport.write(answer(problem, request_id_of(cast(Scope, self.scope))))
        self.cycle = NO_REQUEST
        if not self.parser.should_keep_alive():
            self.transport.close()

    def on_message_complete(self) -> None:
        if self.cycle is NO_REQUEST:
            self.on_response_complete()
            if not self.transport.is_closing():
                cast(Doorkeeper, self.app_state[DOORKEEPER]).hold(self)
        else:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        self.received += len(body)
        super().on_body(body)

    def resume_writing(self) -> None:
        self.drained += 1
        super().resume_writing()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """True keeps our half of the connection open."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return None
        cycle.keep_alive = False
        return True


class NoRequest:
    """Stands where uvicorn has a connection's latest request, when that was answered before it became one."""

    response_complete = True
    more_body = keep_alive = disconnected = False
    message_event = asyncio.Event()


NO_REQUEST = cast(RequestResponseCycle, NoRequest())


def answer(problem: Problem, request_id: str, *headers: str) -> bytes:
    """The whole of it, for when there is no request to answer by way of the app."""
    body = orjson.dumps(problem.body(request_id))
    more = [*headers, *(f"{name}: {value}" for name, value in problem.headers.items()), f"x-request-id: {request_id}"]
    status = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"
    return "\r\n".join([status, "content-type: application/problem+json", f"content-length: {len(body)}", *more, "\r\n"]).encode() + body


class Wait(NamedTuple):
    """What a connection is waiting for; the same one as long as it is equal."""

    what: str
    cycle: object
    progress: int = 0


class Patience:
    """Looks at all connections every now and then, and ends those that have waited too long for their client."""

    def __init__(self, connections: Collection[Any], seconds: float) -> None:
        self._connections = connections
        self._seconds = seconds
        self._waiting: dict[Protocol, tuple[Wait, float, int]] = {}
        """For what, since when, and where it stood then: see _position."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(min(LONGEST_PAUSE, self._seconds / 4))
            waiting: dict[Protocol, tuple[Wait, float, int]] = {}
            for number, connection in enumerate(list(self._connections), 1):
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
                self._look(connection, waiting)
            self._waiting = waiting

    def _look(self, connection: Protocol, waiting: dict[Protocol, tuple[Wait, float, int]]) -> None:
        wait = _wait_of(connection)
        if wait is None:
            return
        now, position = connection.loop.time(), _position(connection, wait)
        known = self._waiting.get(connection)
        if known is None or known[0] != wait:
            waiting[connection] = wait, now, position
        elif now - known[1] <= self._seconds + (position - known[2]) / BYTES_PER_SECOND:
            waiting[connection] = known
        else:
            self._end(connection, wait.what)

    def _end(self, connection: Protocol, what: str) -> None:
        log.info("a client was too slow", extra={"client": connection.client, "waited_for": what})
        if what == "answer":
            connection.transport.abort()
            return
        cycle = connection.cycle if what == "body" else None
        said = connection.headers is not None and not (cycle is not None and cycle.response_started)
        if cycle is not None:
            cycle.scope["state"]["slow"] = True
            cycle.disconnected = True
            cycle.message_event.set()
        if said:
            request_id = cycle.scope["state"].get("request_id") if cycle else None
            connection.transport.write(_too_slow(what, self._seconds, request_id or uuid4().hex))
        connection.transport.close()


def _wait_of(connection: Protocol) -> Wait | None:
    """None while it is our turn, or while an idle connection is under uvicorn's own keep-alive timer."""
    transport, cycle = connection.transport, connection.cycle
    if transport.get_write_buffer_size():
        return Wait("answer", cycle, connection.drained)
    if transport.is_closing():
        return None
    if cycle is None or cycle.response_complete:
        return None if connection.timeout_keep_alive_task is not None else Wait("headers", cycle)
    ours = connection.flow.read_paused or cycle.waiting_for_100_continue or connection.pipeline
    return Wait("body", cycle) if cycle.more_body and not ours else None


def _position(connection: Protocol, wait: Wait) -> int:
    """Rises by each byte that the client has sent of the body, or has taken of the answer."""
    return connection.received if wait.what == "body" else -connection.transport.get_write_buffer_size()


def _too_slow(what: str, seconds: float, request_id: str) -> bytes:
    problem = RequestTimeout(f"The {'request' if what == 'headers' else 'body'} was not there within {seconds:g} s; send it faster, or in smaller parts.")
    return answer(problem, request_id, "connection: close")
