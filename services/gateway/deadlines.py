"""Until when a request may take, and the one task that ends what waits longer: a timer for each request would cost more than the rest of its waiting."""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

from services.kit.errors import BadRequest, Problem

HEADER = b"x-request-timeout"
MOST_SECONDS = 60.0
MOST_TIMES = 12
"""A caller may ask for this many times the model's own timeout, but never for more than MOST_SECONDS."""
EVERY_SECONDS = 0.02
_SECONDS = re.compile(rb"\d{1,9}(\.\d{1,9})?")

Watched = tuple[asyncio.Future[Any], float, Callable[[], Problem]]


def of_request(headers: Iterable[tuple[bytes, bytes]], default: float) -> float:
    """The moment, in the event loop's time, at which the caller gives up; `headers` as in an ASGI scope, `default` in seconds. Raises BadRequest."""
    for name, value in headers:
        if name == HEADER:
            return asyncio.get_running_loop().time() + seconds(value, default)
    return asyncio.get_running_loop().time() + default


def seconds(value: bytes, default: float) -> float:
    """What X-Request-Timeout asks for, at most what the model allows. Raises BadRequest."""
    if not _SECONDS.fullmatch(value) or not (given := float(value)):
        shown = value[:50].decode("latin-1")
        raise BadRequest(
            "X-Request-Timeout must be a number of seconds above 0, such as 0.25.",
            errors=[{"field": "X-Request-Timeout", "rule": "a decimal number of seconds above 0", "value": shown}],
        )
    return min(given, MOST_TIMES * default, MOST_SECONDS)


class Deadlines:
    """Looks every 20 ms at all that waits, so a deadline is kept that exactly and not better; sleeps while nothing waits."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._something = asyncio.Event()

    def watch(self, future: asyncio.Future[Any], deadline: float, problem: Callable[[], Problem]) -> None:
        """Whoever awaits `future` gets `problem()` raised once the loop's time has passed `deadline`, unless it is done before."""
        if not self._watched:
            self._something.set()
        self._watched.append((future, deadline, problem))

    async def run(self) -> None:
        """Without end."""
        loop = asyncio.get_running_loop()
        while True:
            await self._something.wait()
            while self._watched:
                await asyncio.sleep(EVERY_SECONDS)
                self._sweep(loop.time())
            self._something.clear()

    def _sweep(self, now: float) -> None:
        waiting = [watched for watched in self._watched if not watched[0].done()]
        for future, deadline, problem in waiting:
            if deadline <= now:
                future.set_exception(problem())
        self._watched = waiting
