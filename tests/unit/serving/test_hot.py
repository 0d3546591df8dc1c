"""The gateway's route: right answers, clear refusals, and one set of slots per call."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from bentos import catalogue, contract
from bentos.contract import Floats
from bentos.serving import artifact
from bentos.serving.hot import HotApp
from bentos.serving.metrics import Metrics
from bentos.serving.predictor import Predictor
from bentos.serving.slots import Runner, Slot, Slots
from tests.unit.serving.conftest import MODEL, until
from tests.versions import POLICY, Version


class Gated:
    """An engine that waits for `gate` while it scores."""

    kind = "estimator"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()

    def scores(self, matrix: Floats) -> Floats:
        self.entered.set()
        self.gate.wait(5)
        return np.full(len(matrix), 0.5)


class Broken:
    kind = "estimator"

    def scores(self, matrix: Floats) -> Floats:
        raise RuntimeError("secret of the engine")


@asynccontextmanager
async def opened(slots: Slots, most: int = 8, model: str = MODEL) -> AsyncIterator[tuple[httpx.AsyncClient, Runner]]:
    runner = Runner(model, "r1", decides=catalogue.load().models[model].decisions is not None)
    runner.slots = slots

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watching: asyncio.Task[Any] = asyncio.create_task(asyncio.sleep(60))
        app.state.predictor = Predictor(runner, Metrics(model), most, watching)
        yield
        watching.cancel()

    hot = HotApp(model, lifespan)
    transport = httpx.ASGITransport(hot)
    async with hot.app.router.lifespan_context(hot.app), httpx.AsyncClient(transport=transport, base_url="http://runner") as client:
        yield client, runner


@pytest.fixture
def slots(built: dict[str, Version]) -> Slots:
    return Slots(Slot("1", artifact.read(built["1"].folder, MODEL, None), "cache"), None, POLICY)


def served_by(slots: Slots, engine: Any) -> Slots:
    assert slots.champion is not None
    return replace(slots, champion=replace(slots.champion, artifact=replace(slots.champion.artifact, engine=engine)))


@pytest.mark.parametrize("copies", [1, 20])
async def test_rows_are_answered_in_order_inline_and_in_a_thread(copies: int, slots: Slots, built: dict[str, Version]) -> None:
    rows = built["1"].rows * copies
    async with opened(slots) as (client, _):
        answer = await client.post("/rows", json={"rows": rows})
        text = (await client.get("/metrics")).text
    document = answer.json()
    assert answer.status_code == 200
    assert {name: document[name] for name in ("model", "version", "policy_version", "engine")} == {
        "model": MODEL,
        "version": "1",
        "policy_version": 1,
        "engine": "linear",
    }
    matrix = contract.features(MODEL).matrix(contract.columns_of_rows(rows, contract.kinds(contract.schema(MODEL).Input)))
    expected = built["1"].estimator.predict_proba(matrix)[:, 1]
    assert np.abs(np.array(document["scores"]) - expected).max() <= 1e-12
    assert [found["probability"] for found in document["answers"]] == document["scores"]
    assert [found["decision"] for found in document["answers"]] == ["leaves" if p >= 0.2 else "stays" for p in expected]
    assert f'modelyard_runner_rows_total{{model="{MODEL}",version="1"}} {len(rows)}.0' in text
    assert f'modelyard_runner_in_flight{{model="{MODEL}"}} 0.0' in text


async def test_a_call_under_way_keeps_the_slots_it_started_with(slots: Slots, built: dict[str, Version]) -> None:
    engine = Gated()
    rows = built["1"].rows * 10
    async with opened(served_by(slots, engine)) as (client, runner):
        under_way = asyncio.create_task(client.post("/rows", json={"rows": rows}))
        await until(engine.entered.is_set)
        assert slots.champion is not None
        runner.slots = Slots(replace(slots.champion, version="2"), None, POLICY | {"version": 2})
        after = (await client.post("/rows", json={"rows": rows[:1]})).json()
        engine.gate.set()
        before = (await under_way).json()
    assert (before["version"], before["policy_version"], before["scores"][0]) == ("1", 1, 0.5)
    assert (after["version"], after["policy_version"]) == ("2", 2)


async def test_a_full_runner_says_so_at_once(slots: Slots, built: dict[str, Version]) -> None:
    engine = Gated()
    rows = built["1"].rows * 10
    async with opened(served_by(slots, engine), most=1) as (client, _):
        under_way = asyncio.create_task(client.post("/rows", json={"rows": rows}))
        await until(engine.entered.is_set)
        full = await client.post("/rows", json={"rows": rows[:1]})
        engine.gate.set()
        assert (await under_way).status_code == 200
        assert (await client.post("/rows", json={"rows": rows[:1]})).status_code == 200
        text = (await client.get("/metrics")).text
    assert (full.status_code, full.headers["Retry-After"]) == (429, "1")
    assert full.json()["detail"] == "1 calls are under way already."
    assert f'modelyard_runner_rejected_total{{model="{MODEL}"}} 1.0' in text


async def test_without_a_version_or_a_policy_the_answer_is_503(slots: Slots, built: dict[str, Version]) -> None:
    for state, words in ((Slots(), "No version of attrition is loaded."), (replace(slots, policy=None), "attrition has no decision policy.")):
        async with opened(state) as (client, _):
            answer = await client.post("/rows", json={"rows": built["1"].rows[:1]})
        assert (answer.status_code, answer.json()["detail"], answer.headers["content-type"]) == (503, words, "application/problem+json")


@pytest.mark.parametrize("body", [b"", b"{", b'{"rows": [NaN]}', b"[" * 100_000, b"\xff"])
async def test_what_is_no_json_is_400(body: bytes, slots: Slots) -> None:
    async with opened(slots) as (client, _):
        answer = await client.post("/rows", content=body, headers={"X-Request-ID": "request-1"})
    assert (answer.status_code, answer.json()["title"], answer.json()["request_id"]) == (400, "Bad request", "request-1")


@pytest.mark.parametrize("body", [[], {}, {"rows": []}, {"rows": {}}, {"rows": [1]}, {"rows": None}])
async def test_a_body_without_rows_is_422(body: Any, slots: Slots) -> None:
    async with opened(slots) as (client, _):
        answer = await client.post("/rows", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "rows")


async def test_rows_that_cannot_be_scored_are_told_why(slots: Slots, built: dict[str, Version]) -> None:
    row = built["1"].rows[0]
    missing = {name: value for name, value in row.items() if name != "department"}
    async with opened(slots) as (client, _):
        answer = await client.post("/rows", json={"rows": [row, missing | {"monthly_income": None}, row | {"over_time": "Sometimes"}]})
    assert answer.status_code == 422
    found = {error["field"]: error["value"] for error in answer.json()["errors"]}
    assert found == {"rows.1.department": None, "rows.1.monthly_income": None, "rows.2.over_time": "Sometimes"}


async def test_an_unexpected_failure_is_told_without_details(slots: Slots, built: dict[str, Version]) -> None:
    async with opened(served_by(slots, Broken())) as (client, _):
        answer = await client.post("/rows", json={"rows": built["1"].rows[:1]})
    assert answer.status_code == 500
    assert "secret" not in answer.text


async def test_other_paths_and_methods_are_not_there(slots: Slots) -> None:
    async with opened(slots) as (client, _):
        assert (await client.get("/rows")).status_code == 405
        assert (await client.get("/rowsy")).status_code == 404
        document = (await client.get("/slots")).json()
    assert slots.champion is not None
    assert document == {
        "model": MODEL,
        "replica": "r1",
        "champion": slots.champion.document(),
        "challenger": None,
        "policy": POLICY,
        "challenger_policy": None,
        "refused": [],
    }


async def test_readiness_needs_a_golden_row(slots: Slots) -> None:
    async with opened(slots) as (_, runner):
        assert runner.unready() is None
        runner.slots = served_by(slots, Broken())
        assert runner.unready() == "golden.json: the golden rows cannot be scored: RuntimeError: secret of the engine"
