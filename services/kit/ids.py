"""UUIDv7 (RFC 9562 §5.7): ids that sort by creation time, so that the audit's primary key is also its time index."""

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """Strictly rising within the process, also when the clock is set back: then the last millisecond goes on counting."""
    global _last
    fresh = (time.time_ns() // 1_000_000) << 74 | secrets.randbits(74)
    with _lock:
        _last = fresh if fresh > _last else _last + 1
        value = _last
    high, low = value >> 62, value & ((1 << 62) - 1)
    return UUID(int=(high >> 12) << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0b10 << 62 | low)


def timestamp_of(identifier: UUID) -> datetime:
    """The creation time, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=identifier.int >> 80)


def floor_of(moment: datetime) -> UUID:
    """The smallest id of that moment: turns a time filter into a range of ids."""
    return UUID(int=((moment - _EPOCH) // timedelta(milliseconds=1)) << 80)
