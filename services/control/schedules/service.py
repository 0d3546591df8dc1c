"""Starts what the catalogue schedules, where nothing else does: on one machine. In a cluster the chart makes CronWorkflows of the same lines."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from bentos.catalogue import Catalogue
from services.control.leader import lead
from services.control.retraining.service import Retrainings
from services.control.schedules.moments import last_due, next_due
from services.control.schedules.repository import trained_since
from services.control.workflows.protocol import Workflows
from services.control.workflows.repository import RunsRepository
from services.control.workflows.schemas import PARAMETERS, Submission
from services.control.workflows.steps import STEPS
from services.kit.errors import Problem
from services.kit.ids import floor_of
from services.kit.locks import AdvisoryLock
from services.kit.postgres import Pool
from services.kit.tasks import beside

log = logging.getLogger(__name__)

MADE_UP_FOR = timedelta(minutes=10)
"""A moment that nobody was there for is made up for so long; the CronWorkflows have the same."""
LONGEST_WAIT = 30.0
ACTOR = "schedule"


@asynccontextmanager
async def keeping(url: str, pool: Pool, workflows: Workflows, retrainings: Retrainings, runs: RunsRepository, catalogue: Catalogue) -> AsyncIterator[None]:
    """While the block lasts, unless whatever carries runs out keeps schedules by itself."""
    if workflows.keeps_schedules:
        yield
        return
    schedules = Schedules(pool, workflows, retrainings, runs, catalogue)
    async with beside(lead(url, "control-schedules", AdvisoryLock.SCHEDULES, schedules.run), "keep schedules"):
        yield


class Schedules:
    def __init__(self, pool: Pool, workflows: Workflows, retrainings: Retrainings, runs: RunsRepository, catalogue: Catalogue) -> None:
        self._pool, self._workflows, self._retrainings, self._runs = pool, workflows, retrainings, runs
        # A kind that this version does not know waits in the catalogue for one that does.
        self._kept = {(model, kind): when for model, entry in catalogue.models.items() for kind, when in entry.schedules.items() if kind in STEPS}
        self._done: dict[tuple[str, str], datetime] = {}

    async def run(self, _: asyncio.Event) -> None:
        """Without end. Raises psycopg.Error."""
        while True:
            now = datetime.now(UTC)
            await self.look(now)
            soonest = min((next_due(when, now) for when in self._kept.values()), default=now + MADE_UP_FOR)
            await asyncio.sleep(min((soonest - datetime.now(UTC)).total_seconds() + 0.05, LONGEST_WAIT))

    async def look(self, now: datetime) -> None:
        """Starts what is due. A run has an id that follows from its moment, so that it is made once whoever looks, and however often.

        A moment before the model's first version was nobody's to miss.
        """
        moments = {of: last_due(when, now, MADE_UP_FOR) for of, when in self._kept.items()}
        since = await trained_since(self._pool, {model for model, _ in self._kept})
        for (model, kind), when in self._kept.items():
            due = moments[model, kind]
            if due is None or self._done.get((model, kind)) == due or due < since.get(model, now):
                continue
            run_id = id_of(model, kind, due)
            if await self._runs.get(run_id) is None:
                await self._start(model, kind, when, run_id)
            self._done[model, kind] = due

    async def _start(self, model: str, kind: str, when: str, run_id: UUID) -> None:
        words = f"schedule {when}"
        try:
            if kind == "train":
                await self._retrainings.consider(model, "schedule", {"schedule": when}, words=when, actor=ACTOR, run_id=run_id)
                return
            asked = Submission(kind=kind, model=model, parameters=PARAMETERS[kind](), reason=words, actor=ACTOR)  # type: ignore[arg-type]
            await self._workflows.ready(asked)
            await self._runs.create(asked, run_id)
            self._workflows.wake()
        except Problem as problem:
            log.warning("what is due cannot be started", extra={"model": model, "kind": kind, "error": problem.detail})


def id_of(model: str, kind: str, due: datetime) -> UUID:
    """A UUIDv7 of that moment."""
    chance = hashlib.sha256(f"{model}\n{kind}\n{due.isoformat()}".encode()).digest()
    low = int.from_bytes(chance[:10], "big") & ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=floor_of(due).int | low | 0x7 << 76 | 0x2 << 62)
