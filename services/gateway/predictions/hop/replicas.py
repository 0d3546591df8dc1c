"""All replicas of one model's runner: who is there, whose turn it is, and what may be asked of another.

A call is made again, elsewhere, only if it never reached a model: it was not sent (connection.py says when that is known), or the runner itself refused it
with 503, or with 429 while it is draining. Everything else is the caller's to repeat. Why: docs/decisions/0009-retries-ejection-admission.md.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from services.gateway import metrics
from services.gateway.deadlines import Deadlines
from services.gateway.predictions.hop.connection import KEEP_SECONDS, Answer, Broken, Unreached
from services.gateway.predictions.hop.replica import Call, Replica
from services.kit.errors import BadGateway, GatewayTimeout, Problem, Unavailable

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
RESOLVE_SECONDS = 1.0
T = TypeVar("T")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Origin:
    """One configured URL and the replicas behind its name."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.secure else 80)
        self.named = not _is_address(self.host)
        self.replicas: dict[str, Replica] = {}
        self.known = True
        """The last look-up of the name found something."""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Replicas:
    def __init__(self, model: str, urls: Sequence[str], deadlines: Deadlines, resolve: Resolve = resolve) -> None:
        self._model = model
        self._deadlines = deadlines
        self._resolve = resolve
        self._origins = [Origin(url) for url in urls]
        self._all: list[Replica] = []
        self._looking_up = asyncio.Lock()
        self._lookups = 0
        self._resolve_now = False
        self._probes: set[asyncio.Task[None]] = set()
        for origin in self._origins:
            if not origin.named:
                self._set(origin, [origin.host])

    @property
    def available(self) -> int:
        return sum(replica.available for replica in self._all)

    @property
    def all(self) -> Sequence[Replica]:
        """Those that the names stand for, well or not."""
        return self._all

    async def ask(self, call: Call, read: Callable[[Answer], T]) -> T:
        """What `read` makes of the first answer that is not a request to ask elsewhere; a BadGateway from it puts the replica out.

        Raises also Unavailable or BadGateway when there is no answer, and what the call says when it is late.
        """
        tried: list[Replica] = []
        refused: Answer | None = None
        while (replica := await self._next(tried)) is not None:
            if tried:
                metrics.hop_retries.labels(self._model).inc()
            tried.append(replica)
            outcome = "late"
            try:
                answer = await replica.ask(call)
                outcome = "refused"
                if answer.draining:
                    replica.drain()
                if answer.status == 503 or (answer.status == 429 and answer.draining):
                    refused = answer
                    if not answer.draining:
                        replica.eject("it is not ready")
                    continue
                result = read(answer)
                outcome = "answered"
            except Unreached as error:
                outcome = "unreached"
                replica.eject(error)
                self._resolve_now = True
            except Broken as error:
                outcome = "garbage" if error.garbage else "broken"
                replica.eject(error)
                self._resolve_now = True
                raise self._broken(error) from None
            except BadGateway as error:
                outcome = "garbage"
                replica.eject(error)
                raise
            except GatewayTimeout:
                # Stuck, or only slow? A probe finds out: no caller's short deadline can put a replica out.
                replica.suspect()
                raise
            else:
                replica.well()
                return result
            finally:
                metrics.hop_call(self._model, outcome)
        if refused is not None:
            return read(refused)
        raise Unavailable(f"The runner of {self._model} cannot be reached; try again.")

    def _broken(self, error: Broken) -> Problem:
        if error.garbage:
            return BadGateway(f"The runner of {self._model} gave an answer that is not understood.")
        return Unavailable(f"The connection to the runner of {self._model} broke before its answer was whole; try again.")

    async def _next(self, tried: list[Replica]) -> Replica | None:
        """Fewest calls under way among the well ones; without any, one that drains; else any, since there is nothing to lose."""
        best = self._best(tried)
        if best is None and any(origin.named for origin in self._origins) and (not tried or self._resolve_now):
            await self._look_up()
            best = self._best(tried)
        return best

    def _best(self, tried: list[Replica]) -> Replica | None:
        if len(self._all) == 1:
            return None if tried and self._all[0] in tried else self._all[0]
        left = [replica for replica in self._all if replica not in tried]
        return min(left, key=_rank, default=None)

    async def _look_up(self) -> None:
        """Makes the replicas those that the names stand for now; a name that cannot be looked up keeps its own."""
        began = self._lookups
        async with self._looking_up:
            if self._lookups != began:
                return  # somebody else did while this waited
            self._resolve_now = False
            for origin in self._origins:
                if origin.named:
                    try:
                        async with asyncio.timeout(RESOLVE_SECONDS):
                            self._set(origin, await self._resolve(origin.host, origin.port))
                        origin.known = True
                    except (OSError, TimeoutError) as error:
                        if origin.known:  # told once, not every second
                            log.warning("a runner's name cannot be looked up", extra={"model": self._model, "host": origin.host, "error": str(error)})
                        origin.known = False
            self._lookups += 1

    def _set(self, origin: Origin, addresses: Sequence[str]) -> None:
        for address in dict.fromkeys(addresses):
            if address not in origin.replicas:
                origin.replicas[address] = Replica(origin.host, address, origin.port, origin.secure, self._deadlines)
        for address in set(origin.replicas) - set(addresses):
            gone = origin.replicas.pop(address)
            gone.close()
            metrics.hop_replica(self._model, gone.name, 0, False)
        self._all = [replica for origin in self._origins for replica in origin.replicas.values()]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks names up, probes and measures while it is open."""
        task = asyncio.create_task(self._watch(), name=f"watching the runners of {self._model}")
        try:
            yield
        finally:
            for running in (task, *self._probes):
                running.cancel()
            await asyncio.gather(task, *self._probes, return_exceptions=True)
            for replica in self._all:
                replica.close()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        named = any(origin.named for origin in self._origins)
        look_up_at = 0.0
        while True:
            now = loop.time()
            if named and (now >= look_up_at or self._resolve_now):
                await self._look_up()
                look_up_at = now + RESOLVE_SECONDS
            for replica in self._all:
                replica.close_idle(now - KEEP_SECONDS)
                metrics.hop_replica(self._model, replica.name, replica.under_way, replica.ejected)
                if replica.probe_due(now):
                    probe = asyncio.create_task(replica.probe())
                    self._probes.add(probe)
                    probe.add_done_callback(self._probes.discard)
            await asyncio.sleep(TICK_SECONDS)


def _rank(replica: Replica) -> tuple[bool, bool, int]:
    return replica.ejected, replica.draining, replica.under_way
