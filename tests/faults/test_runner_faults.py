"""What the callers of a prediction see when runners fail: everything is counted."""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bentos import contract
from services.gateway.predictions.hop import Runner
from services.kit.errors import BadGateway, Problem, Unavailable
from tests.fakes import WireServer
from tests.gateway import EXAMPLE, started
from tests.runners import Upstream, process
from tests.unit.gateway.hops import GOOD, answer, hop_to, within
from tests.versions import examples_of

MODEL = "attrition"
CALLERS = 24


@dataclass
class Replicas:
    """Two runner processes that serve the same version."""

    upstream: Upstream
    folder: Path
    stack: ExitStack
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def start(self, port: int = 0) -> None:
        folder = self.folder / str(len(self.processes))
        folder.mkdir()
        running, url, _ = self.stack.enter_context(process(MODEL, self.upstream, folder, port=port))
        self.processes.append(running)
        self.urls.append(url)


@pytest.fixture
def replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicas]:
    monkeypatch.setenv("RUNNER_DRAIN_SECONDS", "0.3")
    with Upstream(tmp_path / "files", MODEL) as upstream, ExitStack() as stack:
        both = Replicas(upstream, tmp_path, stack)
        both.start()
        both.start()
        yield both


class Load:
    """Callers that never pause. Each row is another one, so an answer that belongs to somebody else's row is seen."""

    def __init__(self, hop: Runner) -> None:
        self._hop = hop
        examples = examples_of(MODEL)
        rows = contract.rows_of_columns(examples.take(np.arange(30)).columns, contract.kinds(contract.schema(MODEL).Input))
        self._rows = [json.dumps(row).encode() for row in rows]
        self._expected: list[float] = []
        self.sent = self.right = self.wrong = 0
        self.failed: list[BaseException] = []
        self._running = True

    async def __aenter__(self) -> "Load":
        self._expected = (await self._hop.many(self._rows, within(5))).scores
        assert len(set(self._expected)) > 10
        self._tasks = [asyncio.create_task(self._call(n)) for n in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await asyncio.gather(*self._tasks)

    async def _call(self, n: int) -> None:
        while self._running:
            n = (n + 1) % len(self._rows)
            self.sent += 1
            try:
                one = await self._hop.one(self._rows[n], within(5))
            except Problem as error:
                self.failed.append(error)
            else:
                good = one.score == self._expected[n] and json.loads(one.answer)["probability"] == self._expected[n]
                self.right, self.wrong = self.right + good, self.wrong + (not good)


async def test_kill_9_of_one_of_two_fails_only_what_was_under_way_on_it(replicas: Replicas) -> None:
    async with hop_to(*replicas.urls, model=MODEL) as hop:
        async with Load(hop) as load:
            await asyncio.sleep(0.7)
            before = load.right
            replicas.processes[0].kill()
            await asyncio.sleep(0.7)
        after = load.right - before
        assert load.sent == load.right + len(load.failed)
        assert load.wrong == 0
        assert len(load.failed) <= CALLERS, "at most two calls were under way, and each caller has one row in them"
        assert {type(error) for error in load.failed} <= {Unavailable, BadGateway}
        assert after > 100
        replicas.start(port=int(replicas.urls[0].rpartition(":")[2]))
        async with asyncio.timeout(5):
            while hop._replicas.available < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_sigterm_of_one_of_two_fails_nothing(replicas: Replicas) -> None:
    async with hop_to(*replicas.urls, model=MODEL) as hop, Load(hop) as load:
        await asyncio.sleep(0.5)
        replicas.processes[0].send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            while replicas.processes[0].poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        before = load.right
        await asyncio.sleep(0.3)
        assert replicas.processes[0].returncode in {0, -signal.SIGTERM}
    assert (load.failed, load.wrong) == ([], 0)
    assert load.right - before > 50


async def test_only_what_was_answered_is_stored(database_url: str) -> None:
    """A runner that answers, lies, breaks off, is silent and comes late, in turns; each request is counted."""
    turns = [answer(GOOD), answer(b"<html>"), answer(GOOD)[:-9], answer(GOOD.replace(b"[0.25]", b"[0.25,1]")), answer(b"{}", b"500 Wrong")] * 12
    async with WireServer(*turns) as wire, started(database_url, runner_url=wire.url) as gateway:
        headers = await gateway.user("ann")

        async def ask() -> int:
            return (await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers | {"X-Request-Timeout": "0.3"})).status_code

        statuses = Counter([await ask() for _ in range(24)])
        assert set(statuses) <= {200, 502, 503, 504}
        assert statuses[200] > 0
        assert statuses[502] > 0
        wire.answers = []
        assert await ask() == 504
        assert await gateway.query("SELECT count(*) FROM predictions") == [(statuses[200],)]


async def test_a_late_answer_is_not_recorded_as_given(database_url: str) -> None:
    async with started(database_url) as gateway:
        headers = await gateway.user("ann") | {"X-Request-Timeout": "0.1"}
        gateway.runner.delay = 0.3
        answers = await asyncio.gather(*(gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers) for _ in range(10)))
        assert {one.status_code for one in answers} == {504}
        await asyncio.sleep(0.4)
        assert await gateway.query("SELECT count(*) FROM predictions") == [(0,)]
        gateway.runner.delay = 0.0
        assert (await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)).status_code == 200
        assert await gateway.query("SELECT count(*) FROM predictions") == [(1,)]
