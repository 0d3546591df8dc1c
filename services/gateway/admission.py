"""Refusing early: a prediction that would wait too long costs nothing if it is refused before its body is read."""

import asyncio
import math
import time
from collections import deque

from services.gateway import metrics
from services.gateway.predictions.hop import Runner, Runners
from services.kit.connections import Protocol
from services.kit.errors import Unavailable

ROUTE = "/predict/{model}"

FEWEST = 96
"""Never refused for the gateway's own sake are so many requests at a time: below it the rate says more about the callers than about us."""
TICK_SECONDS = 0.02
BUSY_SECONDS = 0.003
"""The event loop was busy without a pause if it comes to a timer so late."""
SMOOTHING = 0.1
"""Weight of the latest tick in the rate."""
HOLD_SECONDS = 1.0
"""The shortest Retry-After. Who comes back before is heard when there is time, at the latest then."""
MOST_RELEASED = 200
"""Connections heard again in one tick."""


class Admission:
    """One per process. There are two queues: rows that wait for a runner (the hop knows them), and requests that wait for this process.

    The second one is what is under way, divided by the rate at which requests end (Little's law). The rate counts only while the event loop is busy: at
    all other times it is the callers' and not ours, and nothing waits for us.
    """

    def __init__(self, max_wait: float, runners: Runners) -> None:
        """`max_wait` in seconds."""
        self._max_wait = max_wait
        self._routes = {ROUTE.format(model=name).encode(): runner for name, runner in runners.items()}
        self._under_way = 0
        self._ended = 0
        self._rate = 0.0
        self._busy = False
        self._held: deque[tuple[Protocol, float]] = deque()

    def enter(self, runner: Runner, deadline: float) -> None:
        """Before anything else is done for a prediction. Raises Unavailable; otherwise `leave` has to follow, whatever becomes of it."""
        self._check(runner, deadline)
        self._under_way += 1

    def turn_away(self, method: bytes, url: bytes) -> Unavailable | None:
        """What `enter` would raise for a call of the hot route, asked by the server before it makes a request of what it reads.

        A refusal then costs a fifth: three times the load that the process can bear has to leave it time for what it accepts.
        """
        runner = self._routes.get(url) if method == b"POST" else None
        if runner is None:
            return None
        try:
            self._check(runner, math.inf)
        except Unavailable as problem:
            metrics.answered(ROUTE, "POST", problem.status, 0.0)
            return problem
        return None

    def hold(self, connection: Protocol) -> None:
        """Callers who ask again at once, instead of after Retry-After, would otherwise have their refusals use up what there is for answers."""
        if self._busy:
            connection.flow.pause_reading()
            self._held.append((connection, asyncio.get_running_loop().time() + HOLD_SECONDS))

    def _release(self, now: float) -> None:
        for _ in range(min(MOST_RELEASED, len(self._held))):
            connection, until = self._held[0]
            if self._busy and until > now:
                break
            self._held.popleft()
            if not connection.transport.is_closing():
                connection.flow.resume_reading()

    def _check(self, runner: Runner, deadline: float) -> None:
        if self._under_way >= FEWEST and self._busy:
            expected = self.expected()
            if expected > self._max_wait or expected > deadline - asyncio.get_running_loop().time():
                metrics.admission_refused.labels("gateway").inc()
                raise Unavailable(f"The gateway is overloaded: an answer would take {expected:.2g} s; try again.", retry_after=math.ceil(expected))
        runner.check(deadline)

    def leave(self) -> None:
        self._under_way -= 1
        self._ended += 1

    def expected(self) -> float:
        """Seconds until a request that came now would be answered, as far as that is up to this process."""
        return self._under_way / self._rate if self._busy and self._rate else 0.0

    async def run(self) -> None:
        """Measures, without end."""
        then, ended = time.perf_counter(), self._ended
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.perf_counter()
            self._busy = now - then - TICK_SECONDS > BUSY_SECONDS
            if self._busy:
                rate = (self._ended - ended) / (now - then)
                self._rate += (rate - self._rate) * (SMOOTHING if self._rate else 1)
            then, ended = now, self._ended
            if self._held:
                self._release(asyncio.get_running_loop().time())
