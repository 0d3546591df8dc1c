"""Who waits for a change of what serves, and what wakes them: the database's notifications."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from psycopg import Error

from services.control import metrics
from services.control.deployments.repository import DeploymentsRepository
from services.kit.postgres import listen
from services.kit.tasks import beside

log = logging.getLogger(__name__)

CHANNEL = "modelyard_serving"
LONGEST_WAIT = 60.0


class Waiters:
    """An event per model that is replaced when it has fired: whoever took it before reading the database cannot miss a change."""

    def __init__(self) -> None:
        self._changes: dict[str, asyncio.Event] = {}
        self._closed = False

    def deadline(self, wait: float) -> float:
        return time.monotonic() + min(wait, LONGEST_WAIT)

    def next_change(self, model: str) -> asyncio.Event:
        return self._changes.setdefault(model, asyncio.Event())

    async def wait(self, change: asyncio.Event, deadline: float) -> bool:
        """True when something may have changed, False when time is up or control stops."""
        remaining = deadline - time.monotonic()
        if self._closed or remaining <= 0:
            return False
        with metrics.WAITERS.track_inprogress(), suppress(TimeoutError):
            async with asyncio.timeout(remaining):
                await change.wait()
                return not self._closed
        return False

    def wake(self, model: str) -> None:
        change = self._changes.pop(model, None)
        if change is not None:
            change.set()

    def wake_all(self) -> None:
        for model in list(self._changes):
            self.wake(model)

    def close(self) -> None:
        """Releases everybody, and lets nobody wait any more."""
        self._closed = True
        self.wake_all()


@asynccontextmanager
async def watching(url: str, repository: DeploymentsRepository, waiters: Waiters, models: Collection[str]) -> AsyncIterator[None]:
    """One connection listens for all waiters."""
    async with beside(_watch(url, repository, waiters, models), "watch the ledger"):
        try:
            yield
        finally:
            waiters.close()


async def _watch(url: str, repository: DeploymentsRepository, waiters: Waiters, models: Collection[str]) -> None:
    shown: dict[str, tuple[str, str, str]] = {}
    try:
        async for notification in listen(url, "control-listen", [CHANNEL]):
            changed = models if notification is None else [notification.payload]
            for model in changed:
                waiters.wake(model)
            for model in changed:
                await _show(model, repository, shown)
    finally:
        for labels in shown.values():
            metrics.SERVING.remove(*labels)


async def _show(model: str, repository: DeploymentsRepository, shown: dict[str, tuple[str, str, str]]) -> None:
    """Brings the metric of what serves up to date."""
    try:
        desired = await repository.desired(model)
    except Error as error:
        log.warning("cannot read what serves", extra={"model": model, "error": str(error)})
        return
    if model in shown:
        metrics.SERVING.remove(*shown.pop(model))
    if desired.champion is not None:
        shown[model] = (model, desired.champion.version, str(desired.policy.version) if desired.policy else "")
        metrics.SERVING.labels(*shown[model]).set(1)
