"""Several processes that answer on one port: a small parent that starts them, replaces those that die, and stops them.

The parent holds the listening socket, so connections that nobody has accepted yet survive the death of a worker. It does nothing else but wait (and serve
/metrics), needs none of the application's modules, and starts each worker as a new program: no state is inherited by accident, as it is by fork().
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

log = logging.getLogger(__name__)

NOT_STARTED = 3
"""Exit code of a process that never answered, as uvicorn has it."""
SETTINGS_WRONG = 2
PLACE = "MODELYARD_WORKER"
FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.1, 10.0, 10.0


def listen(host: str, port: int) -> socket.socket:
    """What a process, or several, will accept from. Ends the process when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        log.error("cannot listen", extra={"host": host, "port": port, "error": str(error)})  # noqa: TRY400 - where it was raised says nothing more
        raise SystemExit(NOT_STARTED) from None
    listener.setblocking(False)
    log.info("listening", extra={"address": listener.getsockname()})
    return listener


@dataclass(frozen=True)
class Worker:
    """A worker's place, as its parent told it."""

    number: int
    """From 1; whoever replaces a dead worker has its number."""
    shared: Path
    """A folder in memory that all workers of this parent, and nobody else, use."""
    _listener: int
    _parent: int
    """The reading end of a pipe whose other end only the parent has."""

    @classmethod
    def of_environment(cls) -> Self | None:
        """None in a process that is not a worker. Takes the variable away: what this process starts is none either."""
        number, listener, parent, shared = (os.environ.pop(PLACE, None) or ",,,").split(",", 3)
        return cls(int(number), Path(shared), int(listener), int(parent)) if number else None

    def environment(self) -> dict[str, str]:
        return {PLACE: f"{self.number},{self._listener},{self._parent},{self.shared}"}

    def listener(self) -> socket.socket:
        return socket.socket(fileno=self._listener)

    def when_orphaned(self, stop: Callable[[], object]) -> None:
        """Calls `stop` once when the parent is gone: nobody else would ever stop this worker."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self._parent)
            log.warning("the parent process is gone: stopping")
            stop()

        loop.add_reader(self._parent, gone)


def supervise(
    command: list[str],
    listener: socket.socket,
    shared: Path,
    *,
    workers: int,
    grace_seconds: float,
    environment: Callable[[int], Mapping[str, str]] = lambda _number: {},
    buried: Callable[[int], None] = lambda _number: None,
) -> None:
    """Runs that many of the command, until a signal or until none can start; then ends this process as a single one would end.

    `environment` is what a worker gets besides our own; `buried` hears the number of each worker that has ended.
    """
    parent = _Parent(command, listener, shared, environment, buried)
    code = asyncio.run(parent.run(workers, grace_seconds))
    if code:
        raise SystemExit(code)
    signal.signal(parent.ended_by, signal.SIG_DFL)
    signal.raise_signal(parent.ended_by)


class _Parent:
    def __init__(
        self, command: list[str], listener: socket.socket, shared: Path, environment: Callable[[int], Mapping[str, str]], buried: Callable[[int], None]
    ) -> None:
        self._command, self._listener, self._shared = command, listener, shared
        self._environment, self._buried = environment, buried
        self._alive, self._kept = os.pipe()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._failed: set[int] = set()
        self._stop = asyncio.Event()
        self.ended_by = signal.SIGTERM
        self._code = 0

    async def run(self, workers: int, grace_seconds: float) -> int:
        """Returns the exit code; 0 means that a signal ended it in good order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        lives = [asyncio.create_task(self._keep(number, workers)) for number in range(1, workers + 1)]
        await self._stop.wait()
        # Before the workers close theirs: as long as one process holds the port, the kernel accepts connections that nobody would answer.
        self._listener.close()
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.terminate()
        _, late = await asyncio.wait(lives, timeout=grace_seconds)
        if late:
            self._code = 1
            for worker, process in self._running.items():
                log.error("a worker did not stop in time: killed", extra={"worker": worker, "pid": process.pid})
                process.kill()
            await asyncio.wait(late)
        return self._code

    def _asked_to_stop(self, number: signal.Signals) -> None:
        self.ended_by = number
        self._stop.set()

    async def _keep(self, number: int, workers: int) -> None:
        delay = FIRST_DELAY
        while not self._stop.is_set():
            started = time.monotonic()
            code = await self._live(number)
            if self._stop.is_set():
                return
            lived = time.monotonic() - started
            if code in (NOT_STARTED, SETTINGS_WRONG):
                self._failed.add(number)
                if len(self._failed) == workers:
                    log.error("no worker can start: stopping")
                    self._code = code
                    self._stop.set()
                    return
            delay = FIRST_DELAY if lived > HEALTHY_AFTER else min(delay * 2, LONGEST_DELAY)
            log.error("a worker ended; another takes its place", extra={"worker": number, "exit_code": code, "seconds": round(lived, 1)})
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if lived > HEALTHY_AFTER else delay):
                    await self._stop.wait()

    async def _live(self, number: int) -> int:
        """One life of a worker. Returns its exit code; a signal is its negative number."""
        worker = Worker(number, self._shared, self._listener.fileno(), self._alive)
        environment = os.environ | self._environment(number) | worker.environment()
        process = await asyncio.create_subprocess_exec(*self._command, env=environment, pass_fds=(self._listener.fileno(), self._alive))
        self._running[number] = process
        if self._stop.is_set():
            process.terminate()
        forget = asyncio.get_running_loop().call_later(HEALTHY_AFTER, self._failed.discard, number)
        try:
            return await process.wait()
        finally:
            forget.cancel()
            del self._running[number]
            self._buried(number)
