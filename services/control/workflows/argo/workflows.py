import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from services.control.workflows.argo.api import Absent, Api
from services.control.workflows.argo.follower import Follower
from services.control.workflows.argo.logs import Logs
from services.control.workflows.argo.nodes import ENDED, Found
from services.control.workflows.queue import Queue
from services.control.workflows.schemas import Run, Submission
from services.kit.errors import Conflict, FieldError, Invalid, Unavailable

log = logging.getLogger(__name__)

STOP_SECONDS = 60.0
"""Kubernetes gives a container 30 s after it was asked to end."""
PAUSE_SECONDS = 0.5
RETRY_SECONDS = 30
TAG = "{{"


class ArgoWorkflows:
    """Workflows that Argo carries out as pods. They go on without control, which follows them again when it is back."""

    keeps_schedules = True

    def __init__(self, queue: Queue, api: Api, logs: Logs) -> None:
        self._queue = queue
        self._api = api
        self._logs = logs
        self._follower = Follower(queue, api, logs)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._queue.served(self._follower.turn):
            yield

    async def ready(self, asked: Submission) -> None:
        """Looks for Argo: what could not begin is better refused than queued."""
        self._queue.check(asked)
        _check_texts(asked)
        try:
            await self._api.unfinished()
        except Absent as reason:
            raise _unavailable(reason) from None
        if (waiting := self._follower.ignored) is not None:
            raise _unavailable(f"Argo's controller has not taken up the Workflow {waiting}")

    def wake(self) -> None:
        self._queue.wake()

    async def submit(self, asked: Submission) -> Run:
        await self.ready(asked)
        return await self._queue.add(asked)

    async def stop(self, run_id: UUID) -> Run:
        withdrawn = await self._queue.withdraw(run_id)
        if withdrawn is not None:
            return withdrawn
        run = await self._queue.existing(run_id)
        if run.status == "running":
            try:
                await self._terminate(run)
            except Absent as reason:
                raise _unavailable(reason) from None
            run = await self._queue.existing(run_id)
            if run.status == "stopped":
                return run
        raise Conflict(f"The run has ended already: {run.status}.")

    async def _terminate(self, run: Run) -> None:
        """Returns when no pod works any more."""
        end = time.monotonic() + STOP_SECONDS
        found = await self._follower.find(run)
        asked = False
        while time.monotonic() < end:
            if found is None and run.steps:
                return await self._follower.look(run, None)
            if found is None:  # it is about to be made
                await asyncio.sleep(PAUSE_SECONDS)
                found = await self._follower.find(run)
                continue
            asked = asked or await self._api.terminate(found.name)
            if found.phase in ENDED and not {"Pending", "Running"} & set((await self._api.pods(found.name)).values()):
                return await self._follower.look(run, found)
            await asyncio.sleep(PAUSE_SECONDS)
            document = await self._api.workflow(found.name)
            found = Found(document) if document else None
        raise Unavailable(f"Argo was told to end it {STOP_SECONDS:.0f} s ago, and it still works; ask again.", retry_after=5)

    async def log(self, run_id: UUID) -> str:
        run = await self._queue.existing(run_id)
        found = self._follower.seen.get(run.id)
        # Not seen yet, or kept by another control where this one cannot look.
        if found is None and run.status != "queued" and (run.status == "running" or not self._logs.has(run)):
            with suppress(Absent):
                found = await self._follower.find(run)
        if found is not None:
            await self._logs.keep(run, found)
        return await self._logs.read(run, found)

    def ended(self, workflow: str) -> None:
        log.info("a workflow says that it has ended", extra={"workflow": workflow})
        self._queue.wake()


def _unavailable(reason: object) -> Unavailable:
    return Unavailable(f"Workflows cannot be carried out now: {reason}. What was submitted before is kept.", retry_after=RETRY_SECONDS)


def _check_texts(asked: Submission) -> None:
    """Argo evaluates what stands in double braces, also in what people wrote."""
    given = {f"parameters.{name}": value for name, value in asked.parameters.model_dump().items() if isinstance(value, str)}
    texts = {"reason": asked.reason, "actor": asked.actor, **given}
    errors = [FieldError(field=name, rule=f"must not contain {TAG}", value=text) for name, text in texts.items() if TAG in text]
    if errors:
        raise Invalid(f"A text must not contain {TAG}: Argo would evaluate it.", errors=errors)
