"""A PostgreSQL that may be killed, and a count of what callers sent, what they were answered, and what is stored."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import psycopg

from bentos import catalogue
from bentos.schemas import schema
from services.gateway.predictions.spool.files import of_kind
from services.gateway.reconcile import is_sound, reconcile, shown
from services.kit import postgres
from tests.conftest import APPLICATION, ROOT, Cluster, find_free_port
from tests.fakes import RunnerServer
from tests.gateway_process import GatewayProcess, gateway_process, until

SPOOLS = next(name for name, entry in catalogue.load().models.items() if entry.audit.on_outage == "spool")
REFUSES = next(name for name, entry in catalogue.load().models.items() if entry.audit.on_outage == "refuse")


class Server(Cluster):
    """With the durability of a real one: fsync and synchronous_commit are on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = find_free_port()
        self.url = f"postgresql://modelyard@127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """The data folder, and a database `gateway` with the migrations applied."""
        self._run("initdb", "-U", "modelyard", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.run()
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE gateway")
        role = {"MIGRATIONS_APPLICATION_ROLE": APPLICATION, "MIGRATIONS_APPLICATION_PASSWORD": "of tests"}
        environment = os.environ | {"DATABASE_URL": f"{self.url}/gateway"} | role
        subprocess.run([sys.executable, "-m", "services.migrations"], check=True, cwd=ROOT, env=environment, capture_output=True)

    def run(self) -> None:
        """Returns when it answers; after a kill it has recovered by then."""
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "shared_buffers=64MB"]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options]
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self.user)
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(f"{self.url}/postgres", connect_timeout=2).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "postgres.log").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return

    def end(self, number: signal.Signals) -> None:
        """SIGKILL: every process of it at once. SIGINT: a stop in good order."""
        assert self._process is not None
        if number == signal.SIGKILL:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        self._process.wait(20)


@contextmanager
def server() -> Iterator[Server]:
    folder = Path("/tmp") / f"modelyard-fault-{uuid4().hex[:8]}"  # noqa: S108 - pytest's folders are closed to the account that PostgreSQL runs as
    folder.mkdir(mode=0o755)
    made = Server(folder)
    made.make()
    try:
        yield made
    finally:
        made.end(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Count:
    """Callers of both kinds of models, until the block ends; then `settled` compares. A sent request is never sent again."""

    gateway: GatewayProcess
    sent: int = 0
    answered: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {SPOOLS: Counter(), REFUSES: Counter()})
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Model, and in which words it refused."""
    unanswered: int = 0
    """Sent, and the connection broke."""
    slowest: float = 0.0
    unsuitable: list[str] = field(default_factory=list)
    """Refusals that do not say what a refusal must say."""
    _going: bool = True

    async def _call(self, model: str) -> None:
        example = schema(model).EXAMPLE
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1), headers=self.gateway.headers) as session:
            while self._going:
                began = time.monotonic()
                try:
                    async with session.post(f"{self.gateway.url}/predict/{model}", json=example) as answer:
                        document = await answer.json(content_type=None)
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.02)
                    continue
                except (aiohttp.ClientError, OSError):
                    self.sent += 1
                    self.unanswered += 1
                    continue
                self.sent += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.statuses[model][answer.status] += 1
                if answer.status == 200:
                    self.answered.append(document["prediction_id"])
                else:
                    self.said[model, document["detail"]] += 1
                    says_when = answer.status == 504 or "Retry-After" in answer.headers
                    suitable = says_when and answer.content_type == "application/problem+json" and document["status"] == answer.status
                    if not suitable:
                        self.unsuitable.append(json.dumps(document))
                    await asyncio.sleep(0.02)

    @asynccontextmanager
    async def running(self, callers: int = 8, models: tuple[str, ...] = (SPOOLS, REFUSES)) -> AsyncIterator["Count"]:
        self._going = True
        tasks = [asyncio.create_task(self._call(models[number % len(models)])) for number in range(callers)]
        try:
            yield self
        finally:
            self._going = False
            await asyncio.gather(*tasks)

    async def settled(self, url: str, spool: Path) -> set[str]:
        """When the spool is empty: every answered row is in the table, once. Returns those that are there besides."""
        assert self.unsuitable == []
        assert self.sent == len(self.answered) + self.unanswered + sum(sum(one.values()) - one[200] for one in self.statuses.values())
        assert len(set(self.answered)) == len(self.answered)
        await until(lambda: not [*of_kind(spool, "segment")], 30)
        assert [*of_kind(spool, "corrupt")] == []
        async with await postgres.connect(url, "cli", autocommit=True) as connection:
            stored = {str(row[0]) for row in await (await connection.execute("SELECT id FROM predictions")).fetchall()}
            balances = await reconcile(connection, spool)
        assert set(self.answered) - stored == set()
        assert is_sound(balances), shown(balances)
        assert sum(one.answered for one in balances) >= len(self.answered)
        assert sum(one.stored for one in balances) == len(stored)
        return stored - set(self.answered)


@asynccontextmanager
async def counted(url: str, folder: Path, **settings: Any) -> AsyncIterator[tuple[Count, Path]]:
    """A gateway process whose two models have stand-in runners. It refuses nobody because the machine is busy with other tests."""
    spool = Path(settings.setdefault("spool_dir", folder / "spool"))
    async with RunnerServer(model=SPOOLS) as one, RunnerServer(model=REFUSES) as other:
        runners = json.dumps({SPOOLS: one.url, REFUSES: other.url})
        async with gateway_process(url, folder, runners=runners, **{"workers": 1, "max_wait_ms": 10_000} | settings) as gateway:
            yield Count(gateway), spool
