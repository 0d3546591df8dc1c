"""The process that scores in the shadow: there while a challenger is."""

import asyncio
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import NamedTuple

from bentos.serving.settings import RunnerSettings
from bentos.serving.shadow.orders import Orders, Place
from bentos.serving.slots import Runner, Slots

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Wanted(NamedTuple):
    """What a process was started for: another of it needs another process."""

    challenger: str
    champion: str
    policy: int | None
    champion_policy: int | None


class Shadowing:
    def __init__(self, runner: Runner, settings: RunnerSettings) -> None:
        self._runner, self._settings = runner, settings
        self._process: Process | None = None
        self._for: Wanted | None = None
        self._pause, self._not_before = FIRST_PAUSE, 0.0

    async def run(self) -> None:
        """Until cancelled. Whatever becomes of that process, the runner goes on."""
        try:
            while True:
                try:
                    await self._look()
                except OSError as error:
                    log.warning("nothing scores in the shadow", extra={"model": self._runner.model, "error": str(error)})
                    self._later()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._end()

    async def _look(self) -> None:
        wanted = _wanted(self._runner.slots)
        if self._process is not None and self._process.returncode is not None:
            log.warning("the shadow's process ended", extra={"model": self._runner.model, "code": self._process.returncode})
            self._process, self._for = None, None
            self._later()
        if wanted != self._for:
            await self._end()
        if wanted is not None and self._process is None and time.monotonic() >= self._not_before:
            await self._start(wanted)

    async def _start(self, wanted: Wanted) -> None:
        slots = self._runner.slots
        if slots.challenger is None or slots.champion is None:
            return
        orders = Orders(
            model=self._runner.model,
            replica=self._runner.replica,
            control_url=self._settings.control_url,
            token=self._settings.control_token,
            challenger=Place.of(slots.challenger),
            champion=Place.of(slots.champion),
            policy=slots.challenger_policy,
            costs=slots.policy and slots.policy["costs"],
        )
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bentos.serving.shadow", stdin=PIPE, stdout=asyncio.subprocess.DEVNULL, env=os.environ | ONE_THREAD
        )
        self._for = wanted
        assert self._process.stdin is not None  # noqa: S101 - asked for
        with suppress(ConnectionError):
            self._process.stdin.write(orders.model_dump_json().encode() + b"\n")
            await self._process.stdin.drain()

    async def _end(self) -> None:
        process, self._process, self._for = self._process, None, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._pause, self._not_before = FIRST_PAUSE, 0.0

    def _later(self) -> None:
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def _wanted(slots: Slots) -> Wanted | None:
    if slots.champion is None or slots.challenger is None or not slots.shadow_percent:
        return None
    policy, champion_policy = (one["version"] if one else None for one in (slots.challenger_policy, slots.policy))
    return Wanted(slots.challenger.version, slots.champion.version, policy, champion_policy)
