"""Keeps the rows of `workflow_runs` as Argo's Workflows are.

It asks again and again instead of watching. A watch would have to be begun anew after each disconnection and each 410, from a list, and then be compared
with the table as here; the list of what is unfinished is one small request, the same after a restart, an outage or a missed event, and two seconds of delay
are little beside the seconds that a pod takes to start.
"""

import logging
import time
from datetime import UTC, datetime
from uuid import UUID

from kubernetes.client.exceptions import ApiException
from psycopg import Error as PsycopgError

from services.control import metrics
from services.control.workflows.argo import manifest
from services.control.workflows.argo.adoption import adopted, is_run, run_id
from services.control.workflows.argo.api import Absent, Api, said
from services.control.workflows.argo.logs import Logs
from services.control.workflows.argo.nodes import Found
from services.control.workflows.argo.reading import GONE, read
from services.control.workflows.queue import Queue
from services.control.workflows.schemas import Run, StepRecord
from services.control.workflows.steps import STEPS

log = logging.getLogger(__name__)

BUSY_SECONDS, IDLE_SECONDS, AWAY_SECONDS = 2.0, 5.0, 5.0
"""Between two turns: while something runs, while nothing does, while Argo cannot be had."""
LOG_SECONDS = 20.0
"""So long a run that has ended waits for a log that cannot be read."""
WHOLE_SECONDS = 60.0
"""So often also the ended Workflows are listed: one may have begun and ended between two turns."""
IGNORED_SECONDS = 20.0
"""A controller that works takes a Workflow up within a second."""


class Follower:
    def __init__(self, queue: Queue, api: Api, logs: Logs) -> None:
        self._queue = queue
        self._api = api
        self._logs = logs
        self._known: set[UUID] = set()
        self._listed_all = -WHOLE_SECONDS
        self._away = ""
        self.seen: dict[UUID, Found] = {}
        """At the last look."""

    @property
    def ignored(self) -> str | None:
        """The name of a Workflow that Argo's controller has not taken up."""
        now = datetime.now(UTC)
        waiting = (one for one in self.seen.values() if not one.phase and (now - one.created_at).total_seconds() > IGNORED_SECONDS)
        return next((one.name for one in waiting), None)

    async def turn(self) -> float:
        """Brings the table up to date, and begins what may begin. Returns the seconds after which to look again."""
        try:
            running = await self._follow()
            running = await self._begin() or running
        except Absent as reason:
            self._tell(str(reason))
            self._listed_all = -WHOLE_SECONDS
            return AWAY_SECONDS
        self._tell("")
        return BUSY_SECONDS if running else IDLE_SECONDS

    async def find(self, run: Run) -> Found | None:
        """As it is now."""
        return (await self._list(whole=True)).get(run.id)

    async def look(self, run: Run, found: Found | None) -> None:
        """Stores how a running run stands."""
        before = run.model_copy(deep=True)
        if found is not None:
            complete = await self._logs.keep(run, found)
            read(run, found, lambda attempt: self._logs.last_line(run, attempt))
            if not complete and run.finished_at is not None and (datetime.now(UTC) - run.finished_at).total_seconds() < LOG_SECONDS:
                return
        elif run.steps:
            run.status, run.error, run.finished_at = "failed", GONE, datetime.now(UTC)
        else:
            await self._make(run)
        if run != before and await self._queue.runs.save(run) and run.status != "running":
            self._queue.count(run)
            self._queue.wake()

    async def _follow(self) -> bool:
        """Whether anything runs. The rows come first: then each that has become a Workflow finds it in the list."""
        running = await self._queue.runs.running()
        whole = time.monotonic() - self._listed_all >= WHOLE_SECONDS
        self.seen = await self._list(whole)
        if not whole and any(run.id not in self.seen for run in running):  # it has ended, or is not made yet
            self.seen = await self._list(whole=True)
        running += await self._adopt()
        for run in running:
            try:
                await self.look(run, self.seen.get(run.id))
            except (Absent, PsycopgError):
                raise
            except Exception:
                log.exception("a Workflow is not understood", extra={"run": str(run.id)})
        return any(run.status == "running" for run in running)

    async def _list(self, whole: bool) -> dict[UUID, Found]:
        documents = await (self._api.workflows() if whole else self._api.unfinished())
        if whole:
            self._listed_all = time.monotonic()
        return {run_id(found): found for found in map(Found, documents) if is_run(found)}

    async def _adopt(self) -> list[Run]:
        """The runs that others have begun since."""
        new = set(self.seen) - self._known
        missing = new - await self._queue.runs.known(list(new)) if new else ()
        made = [adopted(self.seen[id]) for id in missing]
        for run in made:
            await self._queue.runs.adopt(run)
            log.info("a Workflow that others made is a run", extra={"run": str(run.id), "workflow": self.seen[run.id].name, "actor": run.actor})
        self._known = set(self.seen)
        return made

    async def _begin(self) -> bool:
        """Whether anything was begun."""
        begun = False
        while True:
            async with self._queue.handing_over:
                run = await self._queue.next()
                if run is None:
                    return begun
                begun = True
                await self.look(run, None)

    async def _make(self, run: Run) -> None:
        """Made once, whenever control was killed: a run without steps is made again, under the name that it has already."""
        try:
            await self._api.create(manifest.workflow(run))
        except ApiException as error:
            run.status, run.finished_at = "failed", datetime.now(UTC)
            run.error = f"the Kubernetes API refuses its Workflow: {said(error)}"
            return
        run.steps = [StepRecord(name=step.verb) for step in STEPS[run.kind]]

    def _tell(self, reason: str) -> None:
        """Once, when it changes."""
        metrics.WORKFLOWS_UP.set(not reason)
        if reason != self._away:
            self._away = reason
            log.warning("workflows cannot be followed", extra={"reason": reason}) if reason else log.info("workflows are followed again")
