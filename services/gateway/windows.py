"""Counters of sliding windows in memory that several processes share: how often did somebody do something in the last minute?

The algorithm is the one that the limits library calls "sliding window counter": hits of the window under way, plus those of the one before in proportion to
how much of it is still within reach. The clock is monotonic and the same for all processes of a machine: setting the time has no effect.
"""

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

WAYS = 8
"""Places where one caller's counter may stand."""
SETS = 8192
_ENTRY = struct.Struct("<16sqII")
"""Digest of the caller, window, hits in it, hits in the one before."""
_COUNTS = struct.Struct("<qII")
_SIZE, _COUNTS_AT = _ENTRY.size, 16
LONGEST_WAIT = 0.02
"""Seconds. Whoever holds the lock needs two microseconds; it is late only when it was stopped by a debugger or an overloaded machine."""


class Count(NamedTuple):
    allowed: bool
    hits: int
    """Weighted, after this one."""
    reset: float
    """Seconds until there is room for at least one more, or until the counter's next change."""


class Windows:
    """At most 65 536 callers; beyond that the one with the fewest hits among its neighbours is forgotten, never one that is near its limit.

    Exact also when processes hit at the same moment: each hit happens under a lock of the file, which ends with the process that holds it. Entries are written
    in one piece, so that a process killed meanwhile leaves the old counter or the new one.
    """

    def __init__(self, amount: int, seconds: int, file: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._amount, self._seconds, self._clock = amount, seconds, clock
        self._places: dict[str, tuple[int, bytes]] = {}
        self._file = -1
        if file is not None:
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, SETS * WAYS * _SIZE)
        self._memory = mmap.mmap(self._file, SETS * WAYS * _SIZE)

    def hit(self, caller: str) -> Count:
        """Counts one, unless that would be too many."""
        if self._file < 0:
            return self._hit(caller)
        locked = self._lock()
        try:
            return self._hit(caller)
        finally:
            if locked:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _hit(self, caller: str) -> Count:
        known = self._places.get(caller)
        at, digest = known if known is not None else self._place(caller)
        found, window, hits, before = _ENTRY.unpack_from(self._memory, at)
        if found != digest:  # forgotten meanwhile, perhaps by another process
            at, digest = self._place(caller)
            _, window, hits, before = _ENTRY.unpack_from(self._memory, at)
        seconds = self._seconds
        windows = self._clock() / seconds
        now = int(windows)
        if now > window:
            before = hits if now == window + 1 else 0
            window, hits = now, 0
        left = 1 - (windows - window)  # of the window under way; of the one before, just as much is still within reach
        weighted = hits + int(before * left)
        if weighted < self._amount:
            hits += 1
            place = at + _COUNTS_AT
            self._memory[place : at + _SIZE] = _COUNTS.pack(window, hits, before)
            allowed = True
            weighted += 1
        else:
            allowed = False
        reset = left * seconds
        if before:
            reset = min(reset, reset % (seconds / before))
        return Count(allowed, weighted, reset)

    def _place(self, caller: str) -> tuple[int, bytes]:
        """Where the caller's counter stands; if nowhere yet, in an unused place, or in that of whom it is safest to forget."""
        digest = blake2b(caller.encode(), digest_size=16).digest()
        first = int.from_bytes(digest[:4], "little") % SETS * WAYS * _SIZE
        oldest = int(self._clock() / self._seconds) - 1
        fewest, place = float("inf"), first
        for at in range(first, first + WAYS * _SIZE, _SIZE):
            found, window, hits, before = _ENTRY.unpack_from(self._memory, at)
            if found == digest:
                place = at
                break
            weight = -1 if window < oldest else hits + before
            if weight < fewest:
                fewest, place = weight, at
        else:
            self._memory[place : place + _SIZE] = _ENTRY.pack(digest, 0, 0, 0)
        if len(self._places) >= SETS * WAYS:
            self._places.clear()
        self._places[caller] = place, digest
        return place, digest

    def _lock(self) -> bool:
        """False when it could not be had: then it is better to count wrongly by one than to stop answering."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return True
        give_up = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < give_up:
            os.sched_yield()
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False
