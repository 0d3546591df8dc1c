"""One address of a runner: its connections, and what is known of its state."""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from services.gateway.deadlines import Deadlines
from services.gateway.predictions.hop.connection import Answer, Broken, Connection, Unreached
from services.kit.errors import GatewayTimeout, Problem

log = logging.getLogger(__name__)

CONNECT_SECONDS = 1.0
PROBE_SECONDS = 1.0
FIRST_PROBE_SECONDS = 0.1
LAST_PROBE_SECONDS = 2.0
WATCH_SECONDS = 0.5
"""With open connections and no call for so long, a replica is asked how it is: one that drains is known before it closes them."""
MOST_ANSWER_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be asked, and of whom it may be asked again."""

    request: bytes
    """Method and path."""
    kind: bytes
    """The content type."""
    body: bytes
    deadline: float
    too_slow: Callable[[], Problem]
    """What the caller is told when the deadline passes."""


class Slots(msgspec.Struct):
    """The part of GET /slots that a probe looks at."""

    champion: object = None


_slots = msgspec.json.Decoder(Slots)


class Replica:
    """`ejected`: gets calls only when there is nobody else. `draining`: is about to stop, but answers. Both end with a probe that finds neither."""

    def __init__(self, host: str, address: str, port: int, secure: bool, deadlines: Deadlines) -> None:
        """`host` is the name that the address came from."""
        self.name = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._address, self._port = address, port
        self._host = host
        self._secure = secure
        self._deadlines = deadlines
        self._header = b" HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: " % (host.encode(), port)
        self._idle: list[Connection] = []
        self._back_off = FIRST_PROBE_SECONDS
        self.under_way = 0
        self.ejected = self.draining = False
        self._probe_at = 0.0
        self._last_heard = 0.0
        self._probing = self._suspected = False

    async def ask(self, call: Call) -> Answer:
        """Raises Unreached or Broken, or what the call says when its deadline passes."""
        loop = asyncio.get_running_loop()
        self.under_way += 1
        try:
            connection = self._reusable() or await self._connect(call)
            left = call.deadline - (now := loop.time())
            if left <= 0:
                self._idle.append(connection)
                raise call.too_slow()
            connection.last_used = now
            head = b"%s%s%s\r\nX-Request-Timeout: %.3f\r\nContent-Length: %d\r\n\r\n" % (
                call.request,
                self._header,
                call.kind,
                max(left, 0.001),
                len(call.body),
            )
            return await self._answer(connection, head, call)
        finally:
            self.under_way -= 1

    async def _answer(self, connection: Connection, head: bytes, call: Call) -> Answer:
        future = connection.ask(head, call.body)
        self._deadlines.watch(future, call.deadline, call.too_slow)
        try:
            answer = await future
        except BaseException:
            connection.close()
            raise
        self._last_heard = connection.last_used
        if connection.open:
            self._idle.append(connection)
        return answer

    def _reusable(self) -> Connection | None:
        while self._idle:
            if (connection := self._idle.pop()).usable:
                return connection
            connection.close()
        return None

    async def _connect(self, call: Call) -> Connection:
        loop = asyncio.get_running_loop()
        ends = min(call.deadline, loop.time() + CONNECT_SECONDS)
        tls = self._host if self._secure else None
        try:
            async with asyncio.timeout_at(ends):
                _, connection = await loop.create_connection(
                    lambda: Connection(MOST_ANSWER_BYTES), self._address, self._port, ssl=self._secure or None, server_hostname=tls
                )
        except TimeoutError:
            if ends == call.deadline:
                raise call.too_slow() from None
            raise Unreached(f"no connection within {CONNECT_SECONDS:g} s") from None
        except OSError as error:
            raise Unreached(str(error)) from None
        return connection

    @property
    def available(self) -> bool:
        return not self.ejected and not self.draining

    def well(self) -> None:
        """It gave an answer that makes sense."""
        self._back_off = FIRST_PROBE_SECONDS

    def eject(self, reason: object) -> None:
        """Until a probe succeeds. The first one comes soon, the next ones ever later, until calls are answered again."""
        if not self.ejected:
            log.warning("a runner is ejected", extra={"replica": self.name, "reason": str(reason)})
        self.ejected = True
        self._probe_later()
        self.close()

    def drain(self) -> None:
        if not self.draining:
            log.info("a runner is stopping", extra={"replica": self.name})
            self.draining = True
            self._probe_later()

    def _probe_later(self) -> None:
        self._probe_at = asyncio.get_running_loop().time() + self._back_off
        self._back_off = min(2 * self._back_off, LAST_PROBE_SECONDS)

    def suspect(self) -> None:
        """It is probed at the next occasion, and gets calls until then."""
        self._suspected = True

    def probe_due(self, now: float) -> bool:
        if self._probing:
            return False
        if not self.available:
            return now >= self._probe_at
        return self._suspected or (bool(self._idle) and now - self._last_heard >= WATCH_SECONDS)

    async def probe(self) -> None:
        """Asks /slots: brings the replica back, or puts it out."""
        loop = asyncio.get_running_loop()
        self._probing, self._suspected = True, False
        try:
            answer = await self.ask(Call(b"GET /slots", b"application/json", b"", loop.time() + PROBE_SECONDS, _no_answer))
            well = answer.status == HTTPStatus.OK and bool(_slots.decode(answer.body).champion)
        except (Unreached, Broken, Problem, msgspec.MsgspecError) as error:
            self.eject(error)
            return
        finally:
            self._probing = False
        if not well:
            self.eject("it has no version to serve")
            return
        if self.ejected:
            log.info("a runner is back", extra={"replica": self.name})
        self.ejected, self.draining = False, False
        if answer.draining:
            self.drain()

    def close_idle(self, before: float) -> None:
        """Connections that were last used before then."""
        for connection in self._idle:
            if connection.last_used < before:
                connection.close()
        self._idle = [connection for connection in self._idle if connection.last_used >= before]

    def close(self) -> None:
        """All idle connections; calls under way go on."""
        self.close_idle(math.inf)


def _no_answer() -> Problem:
    return GatewayTimeout(f"no answer within {PROBE_SECONDS:g} s")
