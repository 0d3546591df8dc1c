"""A runner from start to stop, as a list of what it consists of."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bentos import catalogue
from bentos.serving.cache import Cache
from bentos.serving.explaining import Explaining
from bentos.serving.library import Library
from bentos.serving.metrics import Metrics
from bentos.serving.predictor import Predictor
from bentos.serving.settings import RunnerSettings
from bentos.serving.shadowing import Shadowing
from bentos.serving.slots import Runner
from bentos.serving.upstream import Upstream
from bentos.serving.watcher import Watcher
from services.kit.metrics import describe

log = logging.getLogger(__name__)


@asynccontextmanager
async def running(settings: RunnerSettings) -> AsyncIterator[Predictor]:
    entry = catalogue.load().models[settings.model]
    runner = Runner(settings.model, settings.replica, decides=entry.task == "classification")
    metrics = Metrics(settings.model)
    describe(metrics.registry, cache=settings.cache_dir)
    if (pin := settings.pin or entry.pin) is not None:
        metrics.pinned(pin)
    cache = Cache(settings.cache_dir)
    async with Upstream(settings) as upstream:
        library = Library(settings.model, cache, settings.baked_dir, upstream)
        watcher = Watcher(runner, upstream, library, cache, metrics, pin)
        await watcher.restore()
        watching = asyncio.create_task(watcher.run())
        watching.add_done_callback(_ended)
        shadowing = asyncio.create_task(Shadowing(runner, settings).run())
        explaining = Explaining(runner, metrics, settings.max_explanations, library.registered)
        try:
            yield Predictor(runner, metrics, settings.max_concurrency, watching, explaining)
        finally:
            explaining.close()
            for task in (shadowing, watching):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task


def _ended(watching: asyncio.Task[None]) -> None:
    if not watching.cancelled() and watching.exception() is not None:
        log.critical("the watcher died; liveness fails from now on", exc_info=watching.exception())
