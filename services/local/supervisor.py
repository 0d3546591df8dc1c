"""Starts the processes in order, keeps them alive, shows what they do in one file, and stops them in the reverse order."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from services.local import files, leftovers
from services.local.child import Child
from services.local.paths import Home
from services.local.process import Process
from services.local.rotating import RotatingLog

log = logging.getLogger(__name__)

STOP_SECONDS = 8.0


class Supervisor:
    """`about` is added to the view as it is (database address and the like)."""

    def __init__(self, home: Home, processes: Sequence[Process], about: dict[str, Any]) -> None:
        self.home, self.about = home, about
        self.mark = f"{home.identity}.{uuid4().hex[:8]}"
        self._started_at = time.time()
        self._stop = asyncio.Event()
        self._dirty = asyncio.Event()
        self._guard: subprocess.Popen[str] | None = None
        self._sessions: set[str] = set()
        self._children = {
            process.name: Child(process, RotatingLog(home.log(process.name)), self.mark, self._dirty.set, self._tell_guard) for process in processes
        }

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. The caller holds the platform's lock."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        beside = [asyncio.create_task(self._keep_guard()), asyncio.create_task(self._show())]
        lives = [asyncio.create_task(self._start(child)) for child in self._children.values()]
        await self._stop.wait()
        log.info("stopping")
        for life in lives:
            life.cancel()
        await self._stop_all()
        for task in beside:
            task.cancel()
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
        await asyncio.gather(*beside, return_exceptions=True)
        self.home.view.unlink(missing_ok=True)

    async def _start(self, child: Child) -> None:
        for need in child.process.needs:
            await self._children[need].ready.wait()
        # Shielded: when the stop cancels this task, the child's own task must live to see its process end.
        await asyncio.shield(asyncio.create_task(child.run()))

    async def _stop_all(self) -> None:
        stopped = {name: asyncio.Event() for name in self._children}

        async def stop(name: str) -> None:
            child = self._children[name]
            for other in self._children.values():
                if name in other.process.needs | other.process.after:
                    await stopped[other.process.name].wait()
            await child.stop()
            stopped[name].set()

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(stop(name) for name in self._children))
        await asyncio.to_thread(leftovers.end, self.mark, (), 0.5)

    async def _show(self) -> None:
        """Writes the view after changes, at most every 50 ms."""
        while True:
            services = {name: child.view() for name, child in self._children.items()}
            document = {"pid": os.getpid(), "mark": self.mark, "started_at": self._started_at, **self.about, "services": services}
            files.write_private(self.home.view, document)
            await asyncio.sleep(0.05)
            await self._dirty.wait()
            self._dirty.clear()

    async def _keep_guard(self) -> None:
        while True:
            command = [sys.executable, "-m", "services.local.guard", self.mark]
            self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)  # noqa: ASYNC220 - returns at once
            for session in list(self._sessions):
                self._write_guard(f"+{session}")
            await asyncio.to_thread(self._guard.wait)
            log.warning("the guard ended; starting another")
            await asyncio.sleep(1)

    def _tell_guard(self, line: str) -> None:
        if line[0] == "+":
            self._sessions.add(line[1:])
        else:
            self._sessions.discard(line[1:])
        self._write_guard(line)

    def _write_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._guard.stdin.write(f"{line}\n")
                self._guard.stdin.flush()
