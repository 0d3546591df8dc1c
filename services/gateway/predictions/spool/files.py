"""The spool's folder: which files belong to whom, and how they are made and removed so that a power cut cannot undo it.

4f9c01aa.answered           how many rows that process answered; locked while it lives
4f9c01aa-00000003.segment   rows that it made durable while the database was away
4f9c01aa-00000002.corrupt   a segment with damage, kept for whoever looks into it
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MODE = 0o600
NAME = re.compile(r"(?P<node>[0-9a-f]{8})(-(?P<number>[0-9]{8}))?\.(?P<kind>answered|segment|corrupt)")


class SpoolBroken(Exception):
    """The folder does not take what is written to it: nothing of that append counts."""


class SpoolFull(SpoolBroken):
    """The bound on its size is reached, or the disk is full."""


def prepare(folder: Path) -> None:
    """Makes the folder. Raises SpoolBroken with a sentence when nothing durable could be written there."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(create(probe))
        probe.unlink()
        sync(folder)
    except OSError as error:
        raise SpoolBroken(f"the folder of the spool, {folder}, cannot be written ({error.strerror}): set GATEWAY_SPOOL_DIR to one that can") from error


def create(path: Path) -> int:
    """A new file for this account alone. Raises FileExistsError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)


def sync(folder: Path) -> None:
    """Makes durable which files there are."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync(path.parent)


def set_aside(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.rename(path.with_suffix(".corrupt"))
    sync(path.parent)


def answered_file(folder: Path, node: str) -> Path:
    return folder / f"{node}.answered"


def segment_file(folder: Path, node: str, number: int) -> Path:
    return folder / f"{node}-{number:08}.segment"


def of_kind(folder: Path, kind: str) -> Iterator[tuple[str, Path]]:
    """Node and path, in the order in which they were made."""
    for path in sorted(folder.iterdir()):
        if (match := NAME.fullmatch(path.name)) and match["kind"] == kind:
            yield match["node"], path


def total_bytes(folder: Path) -> int:
    """What all processes' segments take."""
    total = 0
    for entry in os.scandir(folder):
        if entry.name.endswith(".segment"):
            try:
                total += entry.stat().st_size
            except FileNotFoundError:  # another process has just removed it
                continue
    return total


def lock(descriptor: int) -> None:
    """Until the descriptor is closed: the kernel does that when the process dies, however it dies. Waits for somebody who just looks whether we live."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_dead(folder: Path, node: str) -> bool:
    with claimed(folder, node) as dead:
        return dead


@contextmanager
def claimed(folder: Path, node: str) -> Iterator[bool]:
    """Whether that process is dead; while the block lasts, nobody else takes over what it left."""
    descriptor = os.open(answered_file(folder, node), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
