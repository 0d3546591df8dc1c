"""Which calls a runner takes: as many at a time as it may, and no large one that could not be answered in time."""

import time
from collections.abc import Iterable
from types import TracebackType

from bentos.serving.metrics import Metrics
from services.kit.durations import Durations
from services.kit.errors import TooManyRequests

LARGE_BYTES = 64 * 1024
"""A smaller call is computed in the turn of the event loop that reads it: it waits for nobody."""
LONGEST_RETRY_AFTER = 60


class Admission:
    """Large calls are computed in threads and share the processor: each takes as many times longer as there are others."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self.most, self.metrics = most, metrics
        self.under_way = self.large = 0
        self.alone = Durations()
        """Seconds of a call of so many bytes that has the processor for itself."""

    def call(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> "Call":
        """To be held while the call lasts; `headers` as in an ASGI scope. Entering it raises TooManyRequests, before the body is read."""
        size, timeout = 0, b""
        for name, value in headers:
            if name == b"content-length":
                size = int(value)
            elif name == b"x-request-timeout":
                timeout = value
        return Call(self, size, timeout)


class Call:
    __slots__ = ("_admission", "_began", "_others", "_size", "_timeout")

    def __init__(self, admission: Admission, size: int, timeout: bytes) -> None:
        self._admission, self._size, self._timeout = admission, size, timeout
        self._began, self._others = 0.0, 0

    def __enter__(self) -> None:
        admission = self._admission
        if admission.under_way >= admission.most:
            admission.metrics.rejected.inc()
            raise TooManyRequests(f"{admission.most} calls are under way already.", headers={"Retry-After": "1"})
        if self._size >= LARGE_BYTES:
            self._enter_large()
        admission.under_way += 1
        admission.metrics.in_flight.inc()

    def _enter_large(self) -> None:
        admission = self._admission
        self._began, self._others = time.perf_counter(), admission.large
        expected = admission.alone.of(self._size) * (1 + admission.large)
        # One at a time is always taken: what has been slow would otherwise never be seen to be faster again.
        if admission.large and expected > _seconds(self._timeout):
            admission.metrics.rejected.inc()
            wait = min(int(expected) + 1, LONGEST_RETRY_AFTER)
            raise TooManyRequests(f"A call of {self._size} bytes would take {expected:.2g} s now, longer than it may.", headers={"Retry-After": str(wait)})
        admission.large += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        admission = self._admission
        admission.under_way -= 1
        admission.metrics.in_flight.dec()
        if self._size >= LARGE_BYTES:
            admission.large -= 1
            if error is None:
                admission.alone.observe(self._size, (time.perf_counter() - self._began) / (1 + self._others))


def _seconds(timeout: bytes) -> float:
    """The gateway always sends a number; whoever sends none, or another thing, waits as long as it takes."""
    try:
        return float(timeout)
    except ValueError:
        return float("inf")
