"""Keeps what checks found, and lets those react to an alarm who can."""

import logging
from typing import Any, Protocol

from services.control.drift import repository
from services.control.drift.repository import DriftRepository
from services.control.drift.schemas import DriftCheck, PerformanceCheck, Stored
from services.kit.errors import FieldError, Invalid
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

MOST_NAMED = 10
FORGOTTEN_SECONDS = 60.0
"""A decision that takes as long is not under way any more."""


class Retraining(Protocol):
    async def consider(self, model: str, reason: str, detail: dict[str, Any]) -> object:
        """Whether the model is to be trained again, by rules of its own."""
        ...


class Notifications(Protocol):
    async def emit(self, connection: Connection, event: str, *, key: str, model: str, title: str, words: str, fields: dict[str, str], level: str) -> None:
        """Told, or not told, with the transaction of what it is about. The same key is told once."""
        ...


class Nobody:
    """Does nothing about an alarm: it stays in the reports, the metrics and the alerts."""

    async def consider(self, model: str, reason: str, detail: dict[str, Any]) -> None: ...

    async def emit(self, connection: Connection, event: str, *, key: str, model: str, title: str, words: str, fields: dict[str, str], level: str) -> None: ...


class Drift:
    def __init__(self, reports: DriftRepository, retraining: Retraining, notifications: Notifications) -> None:
        self.reports, self._retraining, self._notifications = reports, retraining, notifications

    async def add(self, model: str, check: DriftCheck) -> Stored:
        """What drifted is a reason to train again; where nothing has and answers are worse all the same, that is one too. Raises Invalid: no such version."""
        if not await self.reports.knows(model, check.version):
            error = FieldError(field="version", rule="must be a registered version of the model", value=check.version)
            raise Invalid(f"{model} has no version {check.version}.", errors=[error])
        drifted = check.drifted()
        async with self.reports.pool.connection() as connection:
            stored = await repository.add_drift(connection, model, check)
            if check.alarm:
                fields = {"version": check.version, "rows": str(check.window.rows), "drifted": ", ".join(drifted[:MOST_NAMED]) or "performance alone"}
                title = f"{model}: drift"
                key = f"drift {model} {stored.id}"
                await self._notifications.emit(connection, "drift", key=key, model=model, title=title, words=check.words, fields=fields, level="warning")
        if check.alarm:
            await self._consider(model, stored.id, check)
        return stored

    async def _consider(self, model: str, report: int, check: DriftCheck) -> None:
        drifted = check.drifted()
        detail = {"report": report, "version": check.version, "drifted": drifted, "words": check.words}
        await self._retraining.consider(model, "drift" if drifted else "performance", detail)

    async def remember(self, model: str) -> bool:
        """Has an alarm considered whose control ended between the commit of the report and the decision; whether there was one."""
        forgotten = await self.reports.forgotten(model, FORGOTTEN_SECONDS)
        if forgotten is None:
            return False
        log.warning("an alarm was left without a decision", extra={"model": model, "report": forgotten[0]})
        await self._consider(model, *forgotten)
        return True

    async def add_performance(self, model: str, check: PerformanceCheck) -> Stored:
        """Nobody reacts to it: the drift check of the same run has told the same."""
        async with self.reports.pool.connection() as connection:
            return await repository.add_performance(connection, model, check)
