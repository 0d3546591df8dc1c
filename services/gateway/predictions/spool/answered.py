"""How many rows this process has answered, in a file that outlives it: the one count that neither the journal nor the database makes."""

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from services.gateway.predictions.spool import files
from services.kit.ids import uuid7_bytes

_FORM = struct.Struct("<8sQQ")
_MAGIC = b"answered"
_COUNT = struct.Struct("<Q")
_PLACE = 16
SIZE = mmap.PAGESIZE


class Answered:
    """A count in shared memory that the kernel writes to the file: it survives the process's death, kill -9 included, and costs no system call.

    Also the sign that the process lives: the file is locked until then.
    """

    def __init__(self, path: Path) -> None:
        """Raises SpoolBroken when the file cannot be made, OSError when its process is running elsewhere."""
        self._descriptor = files.create(path)
        try:
            files.lock(self._descriptor)
            # The time is that of an id, as no id that this process makes later is older, whatever becomes of the clock.
            started = int.from_bytes(uuid7_bytes()[:6])
            # Written in full: a page of a sparse file that finds the disk full would end the process with SIGBUS.
            os.write(self._descriptor, _FORM.pack(_MAGIC, started, 0).ljust(SIZE, b"\0"))
            os.fsync(self._descriptor)
            self._memory = mmap.mmap(self._descriptor, SIZE)
        except OSError:
            os.close(self._descriptor)
            raise
        self._count = 0

    @classmethod
    def open(cls, folder: Path, node: str) -> Self:
        """Raises SpoolBroken."""
        files.prepare(folder)
        try:
            made = cls(files.answered_file(folder, node))
            files.sync(folder)
        except OSError as error:
            raise files.SpoolBroken(f"the count of answered rows cannot be kept in {folder}: {error.strerror}") from error
        return made

    @property
    def count(self) -> int:
        return self._count

    def add(self, rows: int) -> None:
        """When the answer is handed to the server, and at no other time."""
        self._count += rows
        _COUNT.pack_into(self._memory, _PLACE, self._count)

    def close(self) -> None:
        """The file stays: reconciling needs it."""
        self._memory.flush()
        self._memory.close()
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a process left of itself."""

    started: datetime
    """No id of it is older."""
    rows: int


def read(path: Path) -> Tally | None:
    """None when the file says nothing: its process died while it made it, or its rows were found without it."""
    with suppress(struct.error, FileNotFoundError):
        magic, started, rows = _FORM.unpack_from(path.read_bytes())
        if magic == _MAGIC:
            return Tally(datetime.fromtimestamp(started / 1000, UTC), rows)
    return None
