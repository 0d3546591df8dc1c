"""The gateway as it really runs: processes of their own on a port, with a stand-in runner in the test's process."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bentos import catalogue
from bentos.schemas import schema
from tests.conftest import ROOT, application, find_free_port
from tests.fakes import RunnerServer

MODEL = catalogue.names()[0]
EXAMPLE = schema(MODEL).EXAMPLE
PASSWORD = "correct horse battery"


@dataclass
class GatewayProcess:
    port: int
    metrics_port: int
    process: asyncio.subprocess.Process
    runner: RunnerServer
    client: aiohttp.ClientSession
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    async def log_in(self, username: str = "admin", password: str = PASSWORD) -> dict[str, str]:
        async with self.client.post(f"{self.url}/auth/login", json={"username": username, "password": password}) as answer:
            assert answer.status == 200, await answer.text()
            return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """On a connection of its own, so that every worker has its turn."""
        options.setdefault("headers", self.headers)
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path, **options) as answer:
            text = await answer.text()
            return answer.status, await answer.json(content_type=None) if text else None

    async def metrics(self) -> dict[str, float]:
        """Samples by name and labels, as the text of /metrics has them."""
        async with self.client.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    async def total(self, name: str, *labels: str) -> float:
        found = await self.metrics()
        return sum(value for key, value in found.items() if key.partition("{")[0] == name and all(label in key for label in labels))

    def logged(self, words: str) -> int:
        return len(re.findall(re.escape(words), self.log.read_text()))


async def until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(psutil.Error, aiohttp.ClientError, OSError):
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def gateway_process(database_url: str, folder: Path, **settings: Any) -> AsyncIterator[GatewayProcess]:
    """Ready, with the first administrator logged in. `settings` in lower case, without the prefix."""
    port, metrics_port = find_free_port(), find_free_port()
    log = folder / "gateway.log"
    given = {
        "workers": 2,
        "rate_limit": "10000000/minute",
        "drain_seconds": 0.3,
        "max_wait_ms": 10_000,  # the machine of a test may be busy with others
        "bootstrap_password": PASSWORD,
        "host": "127.0.0.1",
        "spool_dir": folder / "spool",
    } | settings
    async with RunnerServer(model=MODEL) as runner, aiohttp.ClientSession() as client:
        given |= {"port": port, "metrics_port": metrics_port, "database_url": application(database_url), "runner_url": runner.url, "control_url": runner.url}
        environment = os.environ | {"GATEWAY_ENVIRONMENT": "local"} | {f"GATEWAY_{name.upper()}": str(value) for name, value in given.items()}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.gateway", cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        started = GatewayProcess(port, metrics_port, process, runner, client, log)
        try:

            async def is_up() -> bool:
                assert process.returncode is None, log.read_text()[-3000:]
                async with client.get(f"{started.url}/livez") as answer:
                    return answer.status == 200

            await until(is_up, 30)
            await until(lambda: started.logged("Application startup complete") == given["workers"], 30)
            started.headers = await started.log_in()
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@dataclass
class Load:
    """Predictions from several connections until `stop`; every answer is counted, and every request that got none."""

    gateway: GatewayProcess
    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    refused: int = 0
    going: bool = True

    async def caller(self) -> None:
        connector = aiohttp.TCPConnector(limit=1)
        # A request that was sent is never sent again, not even on a connection that the server has just closed.
        async with aiohttp.ClientSession(connector=connector, headers=self.gateway.headers | {"X-Request-Timeout": "12"}) as session:
            while self.going:
                try:
                    async with session.post(f"{self.gateway.url}/predict/{MODEL}", json=EXAMPLE) as answer:
                        await answer.read()
                        self.statuses[answer.status] += 1
                except aiohttp.ClientConnectorError:
                    self.refused += 1
                    await asyncio.sleep(0.02)
                except (aiohttp.ClientError, OSError) as error:
                    self.broken.append(repr(error))

    @asynccontextmanager
    async def running(self, callers: int) -> AsyncIterator["Load"]:
        tasks = [asyncio.create_task(self.caller()) for _ in range(callers)]
        try:
            yield self
        finally:
            self.going = False
            await asyncio.gather(*tasks)
