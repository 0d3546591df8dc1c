"""Calls one after the other, as fast as the exchange allows, and slower for a while when it says that this was too fast."""

import asyncio

LONGEST_PAUSE = 60.0


class Limited(Exception):
    """The exchange wants fewer calls."""

    def __init__(self, words: str, after: float = 0.0) -> None:
        super().__init__(words)
        self.after = after
        """Seconds that it asks to be left alone."""


class TooLong(Exception):
    """The next call would be later than the caller waits."""


class Pace:
    def __init__(self, spacing: float, first_pause: float) -> None:
        """In seconds; the pauses after calls that were too many double from the first on."""
        self._spacing, self._first_pause = spacing, first_pause
        self._next = 0.0
        self._pause = 0.0

    async def turn(self, deadline: float) -> None:
        """Returns when a call may be made. Raises TooLong when that is after the deadline, in the event loop's time."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        if at > deadline:
            raise TooLong(f"no call is allowed for another {at - now:.0f} s")
        self._next = at + self._spacing
        await asyncio.sleep(at - now)

    def slow_down(self, after: float) -> None:
        self._pause = min(max(2 * self._pause, self._first_pause), LONGEST_PAUSE)
        self._next = max(self._next, asyncio.get_running_loop().time() + max(self._pause, after))

    def well(self) -> None:
        self._pause = 0.0
