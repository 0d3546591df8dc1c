"""How each of our HTTP processes runs: one uvicorn, no access log, a quiet garbage collector, an end that loses no request."""

import asyncio
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from services.kit.connections import Patience, Protocol
from services.kit.errors import Unavailable
from services.kit.http import problem_response
from services.kit.workers import NOT_STARTED, Worker, listen

log = logging.getLogger(__name__)

READINESS = "/readyz"
LAST_SECONDS = 0.2
"""For the requests of connections that were opened just before the port was closed."""


def freeze_garbage() -> None:
    """Moves all that start-up made out of the collector's sight and lets it run rarely: full collections were most of the tail latency."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def raise_file_limit() -> None:
    """Each idle connection is an open file, and the usual limit of 1024 is meant for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says "unlimited" and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65_536), hard))


class NotReady:
    """Around the app of a process that is stopping."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["path"] == READINESS
        await (problem_response(Unavailable("This process is stopping."), "-") if asked else self._app)(scope, receive, send)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None], *, drain_seconds: float, client_seconds: float, worker: Worker | None) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._drain_seconds = drain_seconds
        self._worker = worker
        self._patience = Patience(self.server_state.connections, client_seconds)
        self._watch: asyncio.Task[None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._watch = asyncio.create_task(self._patience.run())
        if self._worker is not None:
            self._worker.when_orphaned(lambda: self.handle_exit(signal.SIGTERM, None))
        freeze_garbage()

    async def shutdown(self, sockets: Any = None) -> None:
        self._stopping()
        # Whoever asks from now on is answered, and told to ask somebody else the next time; new connections learn also that this process is not ready.
        self.config.loaded_app = NotReady(self.config.loaded_app)
        self.server_state.default_headers = [*self.server_state.default_headers, (b"x-draining", b"1"), (b"connection", b"close")]
        for connection in self.server_state.connections:
            if isinstance(connection, Protocol) and connection.cycle is not None:
                connection.cycle.keep_alive = False
        await asyncio.sleep(self._drain_seconds)
        await self._close(sockets or [])
        await super().shutdown(sockets)
        if self._watch is not None:
            self._watch.cancel()

    async def _close(self, sockets: list[socket.socket]) -> None:
        """Closes the port between two connections: those that the kernel has accepted already would be reset with it."""
        last = [listener.dup() for listener in sockets]
        for server in self.servers:
            server.close()
        for listener in last:
            with suppress(BlockingIOError):
                while True:
                    accepted, _ = listener.accept()
                    await asyncio.get_running_loop().connect_accepted_socket(self._protocol, accepted)
            listener.close()
        await asyncio.sleep(LAST_SECONDS)

    def _protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)


def serve(
    app: Any,
    *,
    host: str,
    port: int,
    grace_seconds: int = 10,
    drain_seconds: float = 0.0,
    client_seconds: float = 30.0,
    stopping: Callable[[], None] = lambda: None,
    worker: Worker | None = None,
) -> None:
    """Blocks until SIGTERM or SIGINT; a `worker` listens where its parent does, and stops when that is gone.

    Then `stopping` is called, for readiness and for requests that would otherwise last long; for `drain_seconds` everybody is still answered, with
    `Connection: close` and `X-Draining: 1`; requests under way after that have `grace_seconds`; the lifespan ends last.
    """
    raise_file_limit()
    listener = worker.listener() if worker else listen(host, port)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=grace_seconds,
        timeout_keep_alive=75,
    )
    server = _Server(config, stopping, drain_seconds=drain_seconds, client_seconds=client_seconds, worker=worker)
    server.run([listener])
    if not server.started:
        raise SystemExit(NOT_STARTED)
