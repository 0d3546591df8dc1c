"""A folder that the processes of one service share for as long as they run: counters and limits, never anything that must last."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - the folder inside gets a name of its own and is closed to others
"""Where Linux keeps files in memory: on a disk, the kernel's write-back would now and then stop whoever writes to a mapped page."""
YOUNG_SECONDS = 60
"""A folder may be there a moment before it is locked."""


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """Removes it at the end; what a process that was killed left behind goes at the next start."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    prefix = f"modelyard-{name}-"
    for old in place.glob(f"{prefix}*"):
        _remove_if_left(old)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    descriptor = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(descriptor)


def _remove_if_left(old: Path) -> None:
    try:
        if time.time() - old.stat().st_mtime < YOUNG_SECONDS:
            return
        descriptor = os.open(old, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # somebody else's, or gone meanwhile
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(old, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)
