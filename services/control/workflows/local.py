import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from services.control import metrics
from services.control.workflows import process
from services.control.workflows.execution import Execution, Launcher
from services.control.workflows.queue import Queue
from services.control.workflows.schemas import Run, Submission
from services.control.workflows.steps import STEPS
from services.kit.errors import Conflict

RESTARTED = "control was restarted"


class LocalWorkflows:
    """Workflows whose steps are processes of this machine."""

    keeps_schedules = False

    def __init__(self, queue: Queue, launcher: Launcher) -> None:
        self._queue = queue
        self._launcher = launcher
        self._active: dict[UUID, tuple[Execution, asyncio.Task[None]]] = {}
        self._recovered = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs that a previous control left as running have failed with it; those it left queued are begun. At the end every step is ended."""
        self._launcher.log_dir.mkdir(parents=True, exist_ok=True)
        metrics.WORKFLOWS_UP.set(1)
        try:
            async with self._queue.served(self._turn):
                yield
        finally:
            await self._end_all()

    async def ready(self, asked: Submission) -> None:
        self._queue.check(asked, Path.exists)
        there = self._launcher.evidently
        if any(step.apart for step in STEPS[asked.kind]) and (there is None or not there.exists()):
            raise Conflict("Evidently is not installed beside this control: `make evidently` does it.")

    def wake(self) -> None:
        self._queue.wake()

    async def submit(self, asked: Submission) -> Run:
        await self.ready(asked)
        return await self._queue.add(asked)

    async def stop(self, run_id: UUID) -> Run:
        withdrawn = await self._queue.withdraw(run_id)
        if withdrawn is not None:
            return withdrawn
        active = self._active.get(run_id)
        if active is not None:
            execution, task = active
            execution.stopping.set()
            await asyncio.wait([task])
        run = await self._queue.existing(run_id)
        if active is None or run.status != "stopped":
            raise Conflict(f"The run has ended already: {run.status}.")
        return run

    async def log(self, run_id: UUID) -> str:
        file = self._launcher.log_file(await self._queue.existing(run_id))
        if not file.exists():
            return ""
        return (await asyncio.to_thread(process.tail, file)).decode(errors="replace")

    def ended(self, workflow: str) -> None:
        """Nobody but this control carries these runs out."""

    async def _turn(self) -> None:
        """Begins what may begin."""
        if not self._recovered:
            for run in await self._queue.runs.fail_running(RESTARTED):
                self._queue.count(run)
            self._recovered = True
        while True:
            async with self._queue.handing_over:
                claimed = await self._queue.next()
                if claimed is None:
                    return
                execution = Execution(claimed, self._queue.runs, self._launcher)
                self._active[claimed.id] = execution, asyncio.create_task(self._carry_out(execution), name=f"run {claimed.id}")

    async def _carry_out(self, execution: Execution) -> None:
        run = execution.run
        try:
            await execution.carry_out()
            self._queue.count(run)
        finally:
            del self._active[run.id]
            self._queue.wake()

    async def _end_all(self) -> None:
        tasks = [task for _, task in self._active.values()]
        for execution, _ in self._active.values():
            execution.verdict = "failed", RESTARTED
            execution.stopping.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._launcher.grace_seconds + 3)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
