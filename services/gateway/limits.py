"""Rate limits, counted for all workers of a gateway together; a restart of the gateway forgets them."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from limits import parse

from services.gateway import metrics
from services.gateway.windows import Windows
from services.kit.errors import TooManyRequests


class Standing(NamedTuple):
    """What is left for one caller, as the RateLimit-* headers say it."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {"RateLimit-Limit": str(self.limit), "RateLimit-Remaining": str(self.remaining), "RateLimit-Reset": str(self.reset)}

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """For ASGI."""
        return [(b"ratelimit-limit", b"%d" % self.limit), (b"ratelimit-remaining", b"%d" % self.remaining), (b"ratelimit-reset", b"%d" % self.reset)]


class Limit:
    """`shared` is a folder that all processes that count together can write to; without one this process counts alone."""

    def __init__(self, name: str, rate: str, shared: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.item = parse(rate)
        self._windows = Windows(self.item.amount, self.item.get_expiry(), shared / f"limit-{name}" if shared else None, clock)

    def hit(self, caller: str) -> Standing:
        """Counts one request. Raises TooManyRequests, with the seconds to wait."""
        amount = self.item.amount
        allowed, hits, reset = self._windows.hit(caller)
        wait = math.ceil(reset) or 1
        if allowed:
            return Standing(amount, amount - hits, wait)
        metrics.rate_limited.labels(self.name).inc()
        standing = Standing(amount, 0, wait)
        raise TooManyRequests(f"More than {self.item} requests; try again in {wait} s.", headers=standing.headers() | {"Retry-After": str(wait)})
