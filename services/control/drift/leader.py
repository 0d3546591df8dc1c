"""Alarms that nobody has decided about are looked for again and again, by one control for all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from psycopg import Error

from services.control.drift.service import Drift
from services.control.leader import lead
from services.kit.locks import AdvisoryLock
from services.kit.tasks import beside

log = logging.getLogger(__name__)

EVERY_SECONDS = 20.0


@asynccontextmanager
async def remembering(url: str, drift: Drift, models: Iterable[str]) -> AsyncIterator[None]:
    """While the block lasts."""
    names = list(models)

    async def work(_: asyncio.Event) -> None:
        while True:
            for model in names:
                await _look(drift, model)
            await asyncio.sleep(EVERY_SECONDS)

    async with beside(lead(url, "control-alarms", AdvisoryLock.ALARMS, work), "remember alarms"):
        yield


async def _look(drift: Drift, model: str) -> None:
    """One model's trouble is not the others'."""
    try:
        await drift.remember(model)
    except Error as error:
        log.warning("alarms cannot be looked at", extra={"model": model, "error": str(error)})
    except Exception:
        log.exception("alarms cannot be looked at", extra={"model": model})
