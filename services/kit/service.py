"""How each of our HTTP processes runs: one uvicorn, no access log, a quiet garbage collector."""

import gc
from collections.abc import Callable
from typing import Any

import uvicorn


def freeze_garbage() -> None:
    """Moves all that start-up made out of the collector's sight and lets it run rarely: full collections were most of the tail latency."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        freeze_garbage()

    async def shutdown(self, sockets: Any = None) -> None:
        self._stopping()
        await super().shutdown(sockets)


def serve(app: Any, *, host: str, port: int, grace_seconds: int = 10, stopping: Callable[[], None] = lambda: None) -> None:
    """Blocks until SIGTERM or SIGINT; requests under way are answered first, for at most `grace_seconds`.

    `stopping` is called before that wait, for requests that would otherwise last long: the lifespan ends only after it.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=grace_seconds,
        timeout_keep_alive=75,
        backlog=2048,
    )
    server = _Server(config, stopping)
    server.run()
    if not server.started:
        raise SystemExit(3)
