"""One step as a process of this machine that leaves nothing behind."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.control.workflows import tied

TAIL = 1_000_000
"""Bytes of output that are looked at; a result is one line."""
TIED = Path(tied.__file__)
DEATH_LOOKS = 200


@dataclass(frozen=True)
class Ended:
    exit_code: int
    """Negative: the signal that ended it."""
    stopped: bool
    last_line: str
    """Of standard output."""
    last_error: str
    """The last line of standard error."""


async def run(command: Sequence[str], environment: Mapping[str, str], log: Path, stopping: asyncio.Event, grace_seconds: float) -> Ended:
    """Runs the command until it ends by itself, or `stopping` is set: then with SIGTERM, and SIGKILL after the grace.

    It has a process group of its own, and whatever is left of that group afterwards is killed. Standard error is appended to the log.
    """
    with log.open("ab") as errors, tempfile.TemporaryFile() as output:
        begin = errors.tell()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", str(TIED), str(os.getpid())),
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            stopped = await _ended_or_stopped(process, stopping)
            if stopped:
                _signal(process, signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await process.wait()
        finally:
            _signal(process, signal.SIGKILL)
        exit_code = await process.wait()
        await _empty(process)
        output.seek(max(0, output.seek(0, os.SEEK_END) - TAIL))
        return Ended(exit_code, stopped, _last_line(output.read()), _last_line(tail(log, begin)))


def tail(path: Path, begin: int = 0) -> bytes:
    """The file from `begin` on, its last megabyte at most."""
    with path.open("rb") as file:
        file.seek(max(begin, file.seek(0, os.SEEK_END) - TAIL))
        return file.read(TAIL)


def _last_line(text: bytes) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].decode(errors="replace").replace("\0", "").strip() if lines else ""


async def _ended_or_stopped(process: asyncio.subprocess.Process, stopping: asyncio.Event) -> bool:
    ended, stop = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        return not ended.done()
    finally:
        stop.cancel()
        ended.cancel()


async def _empty(process: asyncio.subprocess.Process) -> None:
    """Waits until its group is: the kernel ends a killed process when it comes to it, after its leader perhaps."""
    for _ in range(DEATH_LOOKS):
        if not _signal(process, 0):
            break
        await asyncio.sleep(0.01)


def _signal(process: asyncio.subprocess.Process, number: int) -> bool:
    """To the whole group, which the process leads. Whether there was anybody."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
        return True
    return False
