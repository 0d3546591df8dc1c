"""One supervisor per platform: a lock that the kernel frees however its holder ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import IO

from services.local.paths import Home


class AlreadyRunning(Exception):
    """Another supervisor holds this platform's lock."""


@contextlib.contextmanager
def lock(home: Home) -> Iterator[None]:
    """Held for the supervisor's life; the kernel frees it however that ends. Raises AlreadyRunning."""
    with home.lock.open("a+") as file:
        for attempt in range(5):  # `is_running` holds it for a moment
            if _try_lock(file, fcntl.LOCK_EX):
                break
            if attempt == 4:
                raise AlreadyRunning(str(home.lock))
            time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(home: Home) -> int | None:
    """The supervisor's process; None when there is none, or it has only just begun."""
    if not home.lock.exists():
        return None
    with home.lock.open() as file:
        if _try_lock(file, fcntl.LOCK_SH):
            return None
        text = file.read()
    return int(text) if text.isdigit() else None


def is_running(home: Home) -> bool:
    """Whether a supervisor holds the lock."""
    if not home.lock.exists():
        return False
    with home.lock.open() as file:
        return not _try_lock(file, fcntl.LOCK_SH)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
