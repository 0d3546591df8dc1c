import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

from psycopg import Error as PsycopgError

from bentos.catalogue import Catalogue
from services.control import metrics
from services.control.workflows import process
from services.control.workflows.execution import Execution, Launcher
from services.control.workflows.repository import RunsRepository
from services.control.workflows.schemas import Run, Submission
from services.kit.errors import Conflict, FieldError, Invalid, NotFound

log = logging.getLogger(__name__)

AT_ONCE = 2
RESTARTED = "control was restarted"


class LocalWorkflows:
    """Workflows whose steps are processes of this machine: two runs at once, one of a model, the others wait in the database."""

    def __init__(self, runs: RunsRepository, launcher: Launcher, catalogue: Catalogue) -> None:
        self._runs = runs
        self._launcher = launcher
        self._entries = catalogue.models
        self._active: dict[UUID, tuple[Execution, asyncio.Task[None]]] = {}
        self._changed = asyncio.Event()
        self._handing_over = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs that a previous control left as running have failed with it; those it left queued are begun. At the end every step is ended."""
        self._launcher.log_dir.mkdir(parents=True, exist_ok=True)
        dispatcher = asyncio.create_task(self._dispatch(), name="start workflow runs")
        try:
            yield
        finally:
            dispatcher.cancel()
            with suppress(asyncio.CancelledError):
                await dispatcher
            await self._end_all()

    async def submit(self, asked: Submission) -> Run:
        self._check(asked)
        run = await self._runs.create(asked)
        self._changed.set()
        return run

    async def stop(self, run_id: UUID) -> Run:
        async with self._handing_over:
            withdrawn = await self._runs.withdraw(run_id, "stopped before it began")
            active = self._active.get(run_id)
        if withdrawn is not None:
            _count(withdrawn)
            return withdrawn
        if active is not None:
            execution, task = active
            execution.stopping.set()
            await asyncio.wait([task])
        run = await self._existing(run_id)
        if active is None or run.status != "stopped":
            raise Conflict(f"The run has ended already: {run.status}.")
        return run

    async def log(self, run_id: UUID) -> str:
        file = self._launcher.log_file(await self._existing(run_id))
        if not file.exists():
            return ""
        return (await asyncio.to_thread(process.tail, file)).decode(errors="replace")

    async def _existing(self, run_id: UUID) -> Run:
        run = await self._runs.get(run_id)
        if run is None:
            raise NotFound(f"There is no workflow run {run_id}.")
        return run

    def _check(self, asked: Submission) -> None:
        """What only this machine, or the catalogue, can tell about the parameters."""
        given = asked.parameters
        source = given.source or self._entries[asked.model].training.source
        folder = given.data_dir
        if source == "files" and folder is None:
            rule = "is needed with source files: the folder, or the file, that holds the data"
        elif folder is not None and source != "files":
            rule = "belongs to source files"
        elif folder is not None and not Path(folder).exists():
            rule = "must exist where control runs"
        else:
            return
        raise Invalid(f"data_dir {rule}.", errors=[FieldError(field="parameters.data_dir", rule=rule, value=folder)])

    async def _dispatch(self) -> None:
        """Begins what may begin, whenever a run was added or has ended. Goes on trying while the database is away."""
        recovered = False
        while True:
            self._changed.clear()
            try:
                if not recovered:
                    for run in await self._runs.fail_running(RESTARTED):
                        _count(run)
                    recovered = True
                await self._begin_queued()
            except PsycopgError as error:
                log.warning("cannot read the queue of workflow runs", extra={"error": str(error)})
                await asyncio.sleep(1)
            else:
                await self._changed.wait()

    async def _begin_queued(self) -> None:
        for waiting in await self._runs.queued():
            if len(self._active) >= AT_ONCE:
                return
            if any(execution.run.model == waiting.model for execution, _ in self._active.values()):
                continue
            async with self._handing_over:
                run = await self._runs.claim(waiting.id)
                if run is not None:
                    execution = Execution(run, self._runs, self._launcher)
                    self._active[run.id] = execution, asyncio.create_task(self._carry_out(execution), name=f"run {run.id}")

    async def _carry_out(self, execution: Execution) -> None:
        run = execution.run
        try:
            with metrics.SECONDS.labels(run.model, run.kind).time():
                await execution.carry_out()
            _count(run)
        finally:
            del self._active[run.id]
            self._changed.set()

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


def _count(run: Run) -> None:
    metrics.RUNS.labels(run.model, run.kind, run.status).inc()
    log.info("a workflow run ended", extra={"run": str(run.id), "model": run.model, "kind": run.kind, "status": run.status, "error": run.error})
