"""A promotion every second under load: nothing fails, and each answer is the one of the version that it names.

MODELYARD_LONG_FAULTS=1 goes on for a minute.
"""

import asyncio
import itertools
import json
import os
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from bentos import contract
from tests.gateway_process import GatewayProcess, gateway_process
from tests.runners import Upstream, process
from tests.versions import build

MODEL = "credit_scoring"
VERSIONS = ("1", "2")
SECONDS = 60 if os.environ.get("MODELYARD_LONG_FAULTS") else 8
BATCH_ROWS = 300
"""Enough to go to the runners as columns, in two of the gateway's slices."""


def expected(folder: Path) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """Rows, and by version what scikit-learn itself says of them."""
    found: dict[str, list[float]] = {}
    rows: list[dict[str, Any]] = []
    for version in VERSIONS:
        built = build(folder / version, MODEL, seed=int(version))
        rows = built.rows
        matrix = contract.features(MODEL).matrix(contract.columns_of_rows(rows, contract.kinds(contract.schema(MODEL).Input)))
        found[version] = built.estimator.predict_proba(matrix)[:, 1].tolist()
    assert all(one != other for one, other in zip(*found.values(), strict=True)), "values tell the versions apart"
    return rows, found


@dataclass
class Callers:
    gateway: GatewayProcess
    rows: list[dict[str, Any]]
    expected: dict[str, list[float]]
    right: int = 0
    batches: int = 0
    wrong: list[str] = field(default_factory=list)
    by_id: dict[str, str] = field(default_factory=dict)
    """The version that each answer named."""
    _going: bool = True

    async def _singles(self, session: aiohttp.ClientSession, n: int) -> None:
        while self._going:
            n = (n + 1) % len(self.rows)
            async with session.post(f"{self.gateway.url}/predict/{MODEL}", json=self.rows[n]) as answer:
                document = await answer.json()
            if answer.status == 200 and document["probability"] == self.expected[document["model_version"]][n]:
                self.right += 1
                self.by_id[document["prediction_id"]] = document["model_version"]
            else:
                self.wrong.append(json.dumps(document))

    async def _batches(self, session: aiohttp.ClientSession) -> None:
        rows = [self.rows[n % len(self.rows)] for n in range(BATCH_ROWS)]
        while self._going:
            async with session.post(f"{self.gateway.url}/predict/{MODEL}/batch", json=rows) as answer:
                document = await answer.json()
            version = document.get("model_version")
            said = [one["probability"] for one in document.get("predictions", [])]
            if answer.status == 200 and said == [self.expected[version][n % len(self.rows)] for n in range(BATCH_ROWS)]:
                self.batches += 1
                self.by_id.update({one["prediction_id"]: version for one in document["predictions"]})
            else:
                self.wrong.append(json.dumps(document)[:500])

    @asynccontextmanager
    async def calling(self):  # type: ignore[no-untyped-def]
        async with aiohttp.ClientSession(headers=self.gateway.headers) as session:
            tasks = [asyncio.create_task(self._singles(session, n)) for n in range(8)] + [asyncio.create_task(self._batches(session))]
            try:
                yield
            finally:
                self._going = False
                await asyncio.gather(*tasks)


async def test_each_answer_is_by_the_version_that_it_names(database_url: str, tmp_path: Path) -> None:
    rows, known = expected(tmp_path / "expected")
    with Upstream(tmp_path / "files", MODEL) as upstream, ExitStack() as stack:
        urls = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            urls.append(stack.enter_context(process(MODEL, upstream, tmp_path / name))[1])
        async with gateway_process(database_url, tmp_path, workers=1, runners=json.dumps({MODEL: urls})) as gateway:
            callers = Callers(gateway, rows, known)
            async with callers.calling():
                for second in range(SECONDS):
                    await asyncio.sleep(1)
                    upstream.promote(VERSIONS[(second + 1) % 2])
            refused = await gateway.total("modelyard_hop_calls_total", 'outcome="broken"')
    assert callers.wrong == []
    assert refused == 0
    assert callers.right > 50 * SECONDS
    assert callers.batches > SECONDS
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT id::text, model_version, score, input FROM predictions").fetchall()
    assert {str(id): version for id, version, _, _ in stored} == callers.by_id
    numbers = {json.dumps(row, sort_keys=True): n for n, row in enumerate(rows)}
    for _, version, score, given in stored:
        assert score == known[version][numbers[json.dumps(given, sort_keys=True)]]
    assert {version for _, version, _, _ in stored} == set(VERSIONS)
    ordered = [callers.by_id[identifier] for identifier in sorted(callers.by_id)]
    changes = sum(one != other for one, other in itertools.pairwise(ordered))
    assert changes >= SECONDS - 2, "the promotions took place while there was load"
