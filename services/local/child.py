"""One process under supervision: start, output, readiness, restart, end."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from services.local import leftovers, readiness
from services.local.postgres import run_as
from services.local.process import Phase, Process
from services.local.rotating import RotatingLog

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.5, 30.0, 60.0


class Child:
    """`changed` is called after every change of what `view` returns; `tell_guard` with `+pid` and `-pid`."""

    def __init__(self, process: Process, output: RotatingLog, mark: str, changed: Callable[[], None], tell_guard: Callable[[str], None]) -> None:
        self.process = process
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self._output, self._changed, self._tell_guard = output, changed, tell_guard
        self._mark = f"{mark}.{process.name}"
        self._running: asyncio.subprocess.Process | None = None
        self._phase: Phase = "waiting"
        self._stopping = False
        self._restarts = 0
        self._exit_code: int | None = None
        self._since = time.time()

    def view(self) -> dict[str, Any]:
        return {
            "phase": self._phase,
            "pid": self._running.pid if self._running else None,
            "restarts": self._restarts,
            "exit_code": self._exit_code,
            "since": self._since,
            "once": self.process.once,
            "url": self.process.url,
            "probe": self.process.probe,
            "log": str(self._output.path),
            "message": self._output.last_line if self.process.once else "",
        }

    async def run(self) -> None:
        """Until the process is done (`once`) or `stop` is called: a process that ends is started again after a growing delay."""
        delay = FIRST_DELAY
        while not self._stopping:
            started = time.monotonic()
            await self._live()
            self.ready.clear()
            if self._stopping or (self.process.once and self._exit_code == 0):
                break
            if time.monotonic() - started >= HEALTHY_AFTER:
                delay = FIRST_DELAY
            self._restarts += 1
            self._enter("failed" if self.process.once else "restarting")
            log.warning("%s ended with exit code %s; again in %.1f s", self.process.name, self._exit_code, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
        if self._stopping:
            self._enter("stopped")
        else:
            self.ready.set()
            self._enter("done")

    async def stop(self) -> None:
        """Asks, waits for the grace, then insists; what the process left behind in its session goes with it."""
        self._stopping = True
        running = self._running
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                running.send_signal(self.process.stop_signal)
            try:
                async with asyncio.timeout(self.process.grace):
                    await self.ended.wait()
            except TimeoutError:
                log.warning("%s did not stop within %.0f s: killed", self.process.name, self.process.grace)
                _kill_group(running.pid)
                await self.ended.wait()
        self._enter("stopped")

    async def _live(self) -> None:
        self._enter("starting")
        self.ended.clear()
        if not await self._start():
            return
        assert self._running is not None  # noqa: S101 - for the type checker
        pid = self._running.pid
        self._tell_guard(f"+{pid}")
        watch = asyncio.create_task(self._watch()) if self.process.probe else None
        self._changed()
        self._exit_code = await self._running.wait()
        if watch is not None:
            watch.cancel()
        _kill_group(pid)
        if not (self.process.once and self._exit_code == 0):
            await asyncio.to_thread(leftovers.end, self._mark, (), 1.0)
        self._tell_guard(f"-{pid}")
        self._running = None
        self.ended.set()

    async def _start(self) -> bool:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.process.environment}
        environment |= {leftovers.MARK: self._mark, leftovers.STOP: self.process.stop_signal.name}
        reading, writing = os.pipe()
        try:
            self._running = await asyncio.create_subprocess_exec(
                *self.process.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=environment,
                cwd=self.process.folder,
                start_new_session=True,
                **run_as(self.process.account),
            )
        except OSError as error:
            os.close(reading)
            self._output.write(f"could not be started: {error}\n".encode())
            self._exit_code = 127
            self.ended.set()
            return False
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        asyncio.get_running_loop().add_reader(reading, self._pump, reading)
        return True

    def _pump(self, reading: int) -> None:
        try:
            data = os.read(reading, 65536)
        except BlockingIOError:
            return
        if data:
            self._output.write(data)
            if self.process.once:
                self._changed()
        else:
            asyncio.get_running_loop().remove_reader(reading)
            os.close(reading)

    async def _watch(self) -> None:
        """Until it is ready for the first time: afterwards only its end is of interest, a busy process is not restarted."""
        pause = 0.05
        while not await readiness.probe(self.process.probe or ""):
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, 0.5)
        self.ready.set()
        self._enter("ready")

    def _enter(self, phase: Phase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, time.time()
            log.info("%s: %s", self.process.name, phase)
        self._changed()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
