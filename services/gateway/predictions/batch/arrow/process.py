"""The gateway's side: starts the process, reads its lines, and knows what its end says of the file."""

import subprocess
import weakref
from collections.abc import Iterable
from pathlib import Path
from signal import SIGXCPU
from threading import BoundedSemaphore
from typing import IO, cast

from services.gateway.confined import start
from services.gateway.predictions.batch.arrow import protocol
from services.kit.errors import BadRequest, TooLarge, Unavailable

MEMORY = 160 * 1024 * 1024
"""Address space of a process. Its libraries take 50 MB; the rest is for one page of each column, and a frame of rows."""
AT_ONCE = 2
"""So that the memory of a container, which all its processes share, has room for as many hostile files. The kernel may end all of them, where it ends one."""
PATIENCE = 5.0
"""Seconds."""
SECONDS = 60
"""Of computing: as long as a batch may take at most."""
FRAME_ROWS = 1024
PROGRAM = Path(__file__).with_name("__main__.py")
_places = BoundedSemaphore(AT_ONCE)


class Process:
    def __init__(self, file: IO[bytes], integers: Iterable[str], optional: Iterable[str]) -> None:
        """`integers`: columns in which 2.0 is 2; `optional`: those that are left out of a row where they are null. Raises Unavailable."""
        if not _places.acquire(timeout=PATIENCE):
            raise Unavailable("Too many Parquet files are being read; try again.", retry_after=5)
        try:
            self._process = _started(file, ",".join(integers), ",".join(optional))
        except BaseException:
            _places.release()
            raise
        self._lines = cast(IO[bytes], self._process.stdout)
        # Also when nobody closes it: the request may have ended while it was being started.
        self.close = weakref.finalize(self, _end, self._process, self._lines)

    def line(self, longest: int) -> bytes:
        """Empty after the last one; without its end when it is longer. Raises BadRequest or TooLarge for what is wrong with the file."""
        line = self._lines.readline(longest + 1)
        if not line.startswith(b"{") or (len(line) <= longest and not line.endswith(b"\n")):
            self._ended(line)
        return line

    def _ended(self, line: bytes) -> None:
        code = self._process.wait()
        words = line[1:].decode(errors="replace").strip()
        if line.startswith(protocol.UNREADABLE):
            raise BadRequest(f"The body is not Parquet: {words}.")
        if code == -SIGXCPU:
            raise TooLarge(f"To read the file takes more than {SECONDS} s; send its rows in several files.")
        if code < 0 or code == protocol.EXHAUSTED:
            raise TooLarge(f"To read the file takes more than {MEMORY >> 20} MiB of memory; write it with smaller row groups, pages and texts.")
        if code or line:
            raise RuntimeError(f"The process that reads Parquet files ended with exit code {code}: {words or 'without a word'}")


def _started(file: IO[bytes], integers: str, optional: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        start.command(PROGRAM, MEMORY, SECONDS, str(FRAME_ROWS), integers, optional),
        env=start.environment(),
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: "subprocess.Popen[bytes]", lines: IO[bytes]) -> None:
    process.kill()
    process.wait()
    lines.close()
    _places.release()
