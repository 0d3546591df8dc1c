"""What the database needs from the gateway: when it starts, and again every few hours."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import psycopg

from services.gateway.auth import repository as accounts
from services.gateway.auth.administration import Administration
from services.gateway.predictions import repository as predictions
from services.gateway.settings import Settings
from services.kit.postgres import Pool
from services.kit.tasks import beside

log = logging.getLogger(__name__)

MONTHS_AHEAD = 2
EVERY_SECONDS = 6 * 3600
AGAIN_SECONDS = 2.0


class Upkeep:
    def __init__(self, pool: Pool, administration: Administration, settings: Settings) -> None:
        self._pool = pool
        self._administration = administration
        self._settings = settings
        self.prepared = asyncio.Event()
        """Partitions, the first administrator and the account of workflows are there."""

    async def run(self) -> None:
        """Without end. While the database is away it says so and tries again."""
        while True:
            try:
                await self._work()
            except psycopg.Error as error:
                log.warning("the database is not ready (is it up, and did `python -m services.migrations` run?): trying again", extra={"error": str(error)})
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.prepared.set()
                await asyncio.sleep(EVERY_SECONDS)

    async def wait(self, seconds: float) -> None:
        """A start waits this long for the database; then the gateway runs, not ready."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.prepared.wait()

    async def _work(self) -> None:
        async with self._pool.connection() as connection:
            await predictions.ensure_partitions(connection, MONTHS_AHEAD)
            await accounts.forget_expired_sessions(connection)
            await predictions.forget_keys(connection)
        password = self._settings.bootstrap_password
        await self._administration.bootstrap(self._settings.bootstrap_username, password.get_secret_value() if password else None)
        if self._settings.pipeline_key is not None:
            await self._administration.pipeline(self._settings.pipeline_key.get_secret_value())


@asynccontextmanager
async def in_background(name: str, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Runs beside the block, and is begun again should it ever fail."""

    async def again() -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("a background task failed and begins again", extra={"task": name})
            await asyncio.sleep(1)

    async with beside(again(), name):
        yield
