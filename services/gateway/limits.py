"""Rate limits, counted in this process; a restart forgets them."""

import math
import time
from dataclasses import dataclass

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from services.gateway import metrics
from services.kit.errors import TooManyRequests


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left for one caller, as the RateLimit-* headers say it."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {"RateLimit-Limit": str(self.limit), "RateLimit-Remaining": str(self.remaining), "RateLimit-Reset": str(self.reset)}

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """For ASGI."""
        return [(name.lower().encode(), value.encode()) for name, value in self.headers().items()]


class Limit:
    def __init__(self, name: str, rate: str) -> None:
        self.name = name
        self.item = parse(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, caller: str) -> Standing:
        """Counts one request. Raises TooManyRequests, with the seconds to wait."""
        allowed = self._limiter.hit(self.item, caller)
        window = self._limiter.get_window_stats(self.item, caller)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        standing = Standing(self.item.amount, window.remaining if allowed else 0, wait)
        if not allowed:
            metrics.rate_limited.labels(self.name).inc()
            raise TooManyRequests(f"More than {self.item} requests; try again in {wait} s.", headers=standing.headers() | {"Retry-After": str(wait)})
        return standing
