"""Runs wait in the database until they may begin; what carries them out takes them from here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

from psycopg import Error as PsycopgError

from bentos.catalogue import Catalogue
from services.control import metrics
from services.control.workflows.repository import RunsRepository
from services.control.workflows.schemas import Parameters, Run, Submission
from services.kit.errors import FieldError, Invalid, NotFound
from services.kit.tasks import beside

log = logging.getLogger(__name__)

WITHDRAWN = "stopped before it began"
OTHERS = "other"
"""Stands in metrics for models that are not in the catalogue: what people type must not become time series."""


class Queue:
    def __init__(self, runs: RunsRepository, catalogue: Catalogue, at_once: int) -> None:
        self.runs = runs
        self.handing_over = asyncio.Lock()
        """Held from the moment a run leaves the queue until whoever carries it out knows it."""
        self._entries = catalogue.models
        self._at_once = at_once
        self._changed = asyncio.Event()

    async def add(self, asked: Submission) -> Run:
        run = await self.runs.create(asked)
        self.wake()
        return run

    def wake(self) -> None:
        self._changed.set()

    async def next(self) -> Run | None:
        """A run that may begin, now said to be running."""
        return await self.runs.claim(self._at_once)

    async def withdraw(self, run_id: UUID) -> Run | None:
        """The run, stopped, when it was still waiting."""
        async with self.handing_over:
            run = await self.runs.withdraw(run_id, WITHDRAWN)
        if run is not None:
            self.count(run)
        return run

    async def existing(self, run_id: UUID) -> Run:
        run = await self.runs.get(run_id)
        if run is None:
            raise NotFound(f"There is no workflow run {run_id}.")
        return run

    def count(self, run: Run) -> None:
        """Once for each run that ended."""
        model = run.model if run.model in self._entries else OTHERS
        metrics.RUNS.labels(model, run.kind, run.status).inc()
        if run.started_at is not None and run.finished_at is not None:
            metrics.SECONDS.labels(model, run.kind).observe((run.finished_at - run.started_at).total_seconds())
        log.info("a workflow run ended", extra={"run": str(run.id), "model": run.model, "kind": run.kind, "status": run.status, "error": run.error})

    def check(self, asked: Submission, exists: Callable[[Path], bool] = lambda _: True) -> None:
        """What the catalogue can tell about the parameters, and `exists` about the place of the data. Raises Invalid."""
        given = asked.parameters
        if asked.kind == "forecast" and self._entries[asked.model].feed is None:
            rule = "must have a `feed` in the catalogue: what is forecast are its series"
            raise Invalid(f"model {rule}.", errors=[FieldError(field="model", rule=rule, value=asked.model)])
        if not isinstance(given, Parameters):
            return
        source = given.source or self._entries[asked.model].training.source
        folder = given.data_dir
        if source == "live" and self._entries[asked.model].feed is None:
            rule = "live is for models with a `feed` in the catalogue"
            raise Invalid(f"source {rule}.", errors=[FieldError(field="parameters.source", rule=rule, value=source)])
        if source == "recent" and (asked.kind != "train" or self._entries[asked.model].feed is not None):
            rule = "recent is for trainings of models whose answered rows are examples; of a model with a `feed`, live is what is new"
            raise Invalid(f"source {rule}.", errors=[FieldError(field="parameters.source", rule=rule, value=source)])
        if source == "files" and folder is None:
            rule = "is needed with source files: the folder, or the file, that holds the data"
        elif folder is not None and source != "files":
            rule = "belongs to source files"
        elif folder is not None and not exists(Path(folder)):
            rule = "must exist where control runs"
        else:
            return
        raise Invalid(f"data_dir {rule}.", errors=[FieldError(field="parameters.data_dir", rule=rule, value=folder)])

    @asynccontextmanager
    async def served(self, turn: Callable[[], Awaitable[float | None]]) -> AsyncIterator[None]:
        """Calls `turn` whenever something has changed, and after as many seconds as it returned. Goes on trying while the database is away."""
        async with beside(self._serve(turn), "workflow runs"):
            yield

    async def _serve(self, turn: Callable[[], Awaitable[float | None]]) -> None:
        while True:
            self._changed.clear()
            try:
                pause = await turn()
            except PsycopgError as error:
                log.warning("cannot read the queue of workflow runs", extra={"error": str(error)})
                await asyncio.sleep(1)
                continue
            except Exception:
                log.exception("workflow runs were not looked after")
                await asyncio.sleep(5)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
