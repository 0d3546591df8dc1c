"""UUIDv7 (RFC 9562 §5.7): ids that sort by creation time, so that the audit's primary key is also its time index.

    48 bits: milliseconds │ version │ 12 + 30 bits: counter, from a random start in each millisecond │ 32 bits: node

The node is drawn at random by each process. It stands last, so that `right(id::text, 8)` tells in SQL which process made a row.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from struct import Struct
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = Struct("!QII")
_COUNTER_BITS = 42


class Clock:
    """Gives strictly rising ids, also when the clock is set back: then the last millisecond goes on counting."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._last = 0
        self.renew()

    def renew(self) -> None:
        """A new node, for a process that was forked and would otherwise make its parent's ids."""
        self._lock = threading.Lock()  # the parent's may have been held at that moment
        self.node = secrets.randbelow(2**32)
        self._random = Random(secrets.randbits(128))  # noqa: S311 - ids are unique, they are no secrets

    def take(self, count: int = 1) -> range:
        """That many values of time and counter, one after the other."""
        fresh = (self._now() // 1_000_000) << _COUNTER_BITS | self._random.getrandbits(_COUNTER_BITS)
        with self._lock:
            first = fresh if fresh > self._last else self._last + 1
            self._last = first + count - 1
        return range(first, first + count)

    def encode(self, value: int) -> bytes:
        high = value >> 30
        return _LAYOUT.pack((high >> 12) << 16 | 0x7000 | high & 0xFFF, 0x8000_0000 | value & 0x3FFF_FFFF, self.node)


_clock = Clock()
os.register_at_fork(after_in_child=_clock.renew)


def uuid7_bytes() -> bytes:
    return _clock.encode(_clock.take().start)


def uuid7_block(count: int) -> list[bytes]:
    """Rising, and taken at once: no id of another thread lies between them."""
    return [*map(_clock.encode, _clock.take(count))]


def uuid7() -> UUID:
    return UUID(bytes=uuid7_bytes())


def node() -> str:
    """The last eight digits of every id that this process makes."""
    return f"{_clock.node:08x}"


def text_of(identifier: bytes) -> str:
    """As `str(UUID(bytes=identifier))`, in a tenth of the time."""
    digits = identifier.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def node_of(identifier: bytes) -> str:
    """Which process made it."""
    return identifier[-4:].hex()


def timestamp_of(identifier: UUID) -> datetime:
    """The creation time, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=identifier.int >> 80)


def floor_of(moment: datetime) -> UUID:
    """The smallest id of that moment: turns a time filter into a range of ids."""
    return UUID(int=((moment - _EPOCH) // timedelta(milliseconds=1)) << 80)
