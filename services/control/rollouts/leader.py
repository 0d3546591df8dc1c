"""Looks at every model again and again. Of several controls one does it: the one that has the advisory lock."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import Error

from services.control.leader import lead
from services.control.rollouts.service import Rollouts
from services.kit.errors import Conflict
from services.kit.locks import AdvisoryLock
from services.kit.tasks import beside

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0


@asynccontextmanager
async def led(url: str, rollouts: Rollouts) -> AsyncIterator[None]:
    """While the block lasts."""

    async def work(_: asyncio.Event) -> None:
        while True:
            await _turn(rollouts)
            await asyncio.sleep(EVERY_SECONDS)

    async with beside(lead(url, "control-rollouts", AdvisoryLock.ROLLOUTS, work), "rollouts"):
        yield


async def _turn(rollouts: Rollouts) -> None:
    """One model's trouble is not the others'."""
    for model in rollouts.models:
        try:
            entry = await rollouts.turn(model)
        except Conflict as moved:
            log.info("a rollout is judged anew", extra={"model": model, "reason": moved.detail})
        except Error as error:
            log.warning("a rollout cannot be looked at", extra={"model": model, "error": str(error)})
        except Exception:
            log.exception("a rollout cannot be looked at", extra={"model": model})
        else:
            if entry is not None:
                log.info("a rollout went on", extra={"model": model, "action": entry.action, "version": entry.to_version, "entry": entry.id})
