"""What becomes of a load that is too large: goodput and the tail of what is accepted, at one and at three times the load that saturates.

`python -m tests.bench.overload` starts PostgreSQL, a gateway and a runner that is slow on purpose: 3 ms for a call and 2 ms for each row, one call at a time.
Then two cores are enough for a generator that really is open: requests come when they are due (a Poisson process), whatever became of those before, and
their time counts from the moment they were due. `--fast` takes a real runner instead.
"""

import argparse
import asyncio
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import uvloop

from bentos import catalogue
from bentos.schemas import schema
from services.gateway.predictions.hop.connection import Broken, Connection, Unreached
from services.kit.service import raise_file_limit
from tests.bench import machine
from tests.bench.peers.targets import free_port
from tests.bench.processes import Servers, ask, wait
from tests.conftest import ROOT, Cluster
from tests.runners import Upstream, process

MODEL = catalogue.names()[0]
PASSWORD = "overload is a word of eight letters"
CALL_SECONDS, ROW_SECONDS = 0.003, 0.002
MOST_CONNECTIONS = 1000


@dataclass(frozen=True)
class Window:
    load: str
    offered: float
    """Requests a second, as is all that follows but the latencies, which are in milliseconds."""
    goodput: float
    refused: float
    failed: float
    p50: float
    p99: float
    refusal_p99: float
    late: float
    """The 99th percentile of how late the generator was itself: much of it makes the window worthless."""


@dataclass(frozen=True)
class Overload:
    windows: list[Window]

    @property
    def kept(self) -> float:
        """Goodput at three times the saturating load, as a part of the largest that was seen."""
        return self.windows[-1].goodput / max(window.goodput for window in self.windows)

    @property
    def stretched(self) -> float:
        """The 99th percentile of what is accepted then, in multiples of the unloaded one."""
        return self.windows[-1].p99 / self.windows[0].p99

    def document(self) -> dict[str, Any]:
        return {"windows": [asdict(window) for window in self.windows], "kept": self.kept, "stretched": self.stretched}


class Client:
    """Requests with the same bytes on connections that are kept."""

    def __init__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{given}Content-Length: {len(body)}\r\n\r\n".encode()
        self._body = body
        self._idle: deque[Connection] = deque()
        self.open = 0

    async def ask(self) -> int:
        """The status; 0 when there was no answer."""
        loop = asyncio.get_running_loop()
        while self._idle and not self._idle[-1].usable:
            self._idle.pop()
            self.open -= 1
        try:
            if self._idle:
                connection = self._idle.pop()
            else:
                self.open += 1
                _, connection = await loop.create_connection(lambda: Connection(2**20), *self._address)
            answer = await connection.ask(self._head, self._body)
        except (OSError, Broken, Unreached):
            self.open -= 1
            return 0
        self._idle.append(connection)
        return answer.status

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


def summary(load: str, offered: float, seconds: float, seen: list[tuple[int, float]], late: Sequence[float] = ()) -> Window:
    by = Counter(status for status, _ in seen)
    accepted = sorted(took * 1e3 for status, took in seen if status == 200)
    refusals = sorted(took * 1e3 for status, took in seen if status in {429, 503})
    good, refused = by[200] / seconds, (by[429] + by[503]) / seconds
    return Window(
        load,
        offered,
        good,
        refused,
        len(seen) / seconds - good - refused,
        quantile(accepted, 0.5),
        quantile(accepted, 0.99),
        quantile(refusals, 0.99),
        quantile(sorted(late), 0.99),
    )


def quantile(ordered: list[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)))] if ordered else math.nan


async def open_loop(client: Client, load: str, rate: float, seconds: float) -> Window:
    loop = asyncio.get_running_loop()
    seen: list[tuple[int, float]] = []
    late: list[float] = []
    tasks: set[asyncio.Task[None]] = set()
    chance = random.Random(1)

    async def one(due: float) -> None:
        late.append(time.perf_counter() - due)
        status = await client.ask()
        seen.append((status, time.perf_counter() - due))

    began = due = time.perf_counter()
    while due < began + seconds:
        while due <= time.perf_counter():
            if client.open >= MOST_CONNECTIONS and not client._idle:
                seen.append((0, 0.0))
            else:
                task = loop.create_task(one(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            due += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    took = time.perf_counter() - began
    await asyncio.gather(*tasks)
    return summary(load, rate, took, seen, late)


async def closed_loop(client: Client, load: str, callers: int, seconds: float) -> Window:
    seen: list[tuple[int, float]] = []
    ends = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < ends:
            status = await client.ask()
            seen.append((status, time.perf_counter() - began))

    await asyncio.gather(*(caller() for _ in range(callers)))
    return summary(load, len(seen) / seconds, seconds, seen)


async def measure(url: str, headers: Mapping[str, str], body: bytes, seconds: float = 10.0) -> Overload:
    """Finds the load that saturates with 64 callers who wait for their answers, then offers a tenth of it, the same, and three times as much."""
    client = Client(url, headers, body)
    await closed_loop(client, "warm-up", 64, 2.0)
    closed = await closed_loop(client, "64 callers", 64, seconds / 2)
    windows = [await open_loop(client, f"{times:g} x", times * closed.goodput, seconds) for times in (0.1, 0.7, 1, 1.5, 3)]
    client.close()
    return Overload([windows[0], closed, *windows[1:]])


def serve_slowly(port: int) -> None:
    """A runner whose only virtue is that its speed is known."""
    import uvicorn

    turn = asyncio.Lock()
    by = {"model": MODEL, "version": "1", "policy_version": 1, "engine": "slow"}
    answer = {"prediction": 0, "probability": 0.25, "decision": "stays", "risk_level": "low"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        document: dict[str, Any] = {"champion": {"version": "1"}}
        if scope["path"] == "/rows":
            rows = len(json.loads(body)["rows"])
            async with turn:
                await asyncio.sleep(CALL_SECONDS + rows * ROW_SECONDS)
            document = by | {"scores": [0.25] * rows, "decisions": ["stays"] * rows, "answers": [answer] * rows}
        said = json.dumps(document).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(said)).encode())]})
        await send({"type": "http.response.body", "body": said})

    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning", lifespan="off")


@contextmanager
def database(folder: Path) -> Iterator[str]:
    cluster = Cluster(folder)
    port = free_port()
    cluster.start(port)
    try:
        server = f"postgresql://modelyard@127.0.0.1:{port}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE overload")
        yield f"{server}/overload"
    finally:
        cluster.stop()


def pin(cores: Collection[int]) -> None:
    """All threads of this process, and all that it starts from now on."""
    for thread in psutil.Process().threads():
        os.sched_setaffinity(thread.id, cores)


def run(seconds: float, *, fast: bool, settings: Mapping[str, str]) -> Overload:
    """Everything that is measured has the first core, the generator the second one: it must not be late because it is they that are overloaded."""
    first, *others = machine.cores()
    with ExitStack() as stack:
        stack.callback(pin, [first, *others])
        pin([first])
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="overload-")))
        folder.chmod(0o755)
        (folder / "postgres").mkdir(mode=0o755)
        url = stack.enter_context(database(folder / "postgres"))
        servers = stack.enter_context(Servers(folder))
        if fast:
            (folder / "runner").mkdir()
            upstream = stack.enter_context(Upstream(folder / "files", MODEL))
            _, runner_url, _ = stack.enter_context(process(MODEL, upstream, folder / "runner"))
        else:
            port = free_port()
            runner_url = f"http://127.0.0.1:{port}"
            runner = servers.start("runner", [sys.executable, "-m", "tests.bench.overload", "--serve", str(port)], cwd=ROOT)
            wait(runner, lambda: ask(f"{runner_url}/slots")[0] == 200)
        servers.finish("migrations", [sys.executable, "-m", "services.migrations"], environment={"DATABASE_URL": url}, cwd=ROOT)
        port = free_port()
        environment = {
            "GATEWAY_ENVIRONMENT": "local",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "GATEWAY_METRICS_PORT": "0",
            "GATEWAY_DATABASE_URL": url,
            "GATEWAY_RUNNERS": json.dumps({MODEL: runner_url}),
            "GATEWAY_SPOOL_DIR": str(folder / "spool"),
            "GATEWAY_RATE_LIMIT": "1000000000/minute",
            "GATEWAY_BOOTSTRAP_PASSWORD": PASSWORD,
        }
        gateway = servers.start("gateway", [sys.executable, "-m", "services.gateway"], environment=environment | dict(settings), cwd=ROOT)
        wait(gateway, lambda: ask(f"http://127.0.0.1:{port}/livez")[0] == 200)
        login = json.dumps({"username": "admin", "password": PASSWORD}).encode()
        _, token = ask(f"http://127.0.0.1:{port}/auth/login", login, {"Content-Type": "application/json"})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {json.loads(token)['access_token']}"}
        pin(others or [first])
        found = uvloop.run(measure(f"http://127.0.0.1:{port}/predict/{MODEL}", headers, json.dumps(schema(MODEL).EXAMPLE).encode(), seconds))
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM predictions").fetchone()
            print("rows stored:", row and row[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each window")
    parser.add_argument("--fast", action="store_true", help="a real runner")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the gateway")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve_slowly(given.serve)
        return
    raise_file_limit()
    found = run(given.seconds, fast=given.fast, settings=dict(part.split("=", 1) for part in given.set))
    print(f"{'load':>12} {'offered/s':>10} {'good/s':>8} {'refused/s':>10} {'failed/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'refusal p99':>12} {'late':>6}")
    for w in found.windows:
        print(
            f"{w.load:>12} {w.offered:10.0f} {w.goodput:8.0f} {w.refused:10.0f} {w.failed:9.1f} {w.p50:8.1f} {w.p99:8.1f} {w.refusal_p99:12.1f} {w.late:6.1f}"
        )
    print(f"goodput kept at 3 x: {found.kept:.0%}; p99 of what is accepted: {found.stretched:.1f} x the unloaded one")


if __name__ == "__main__":
    main()
