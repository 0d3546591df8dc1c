"""The runner's route: whose version explains, what is refused, and in which words it answers."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from starlette.applications import Starlette

from bentos import catalogue, contract
from bentos.contract import Floats
from bentos.serving import artifact, explanations
from bentos.serving.explaining import Explaining
from bentos.serving.hot import HotApp
from bentos.serving.lifecycle import running
from bentos.serving.settings import RunnerSettings
from bentos.serving.shapley import Explained
from tests.fakes import DeploymentServer
from tests.unit.serving.conftest import MODEL, until
from tests.versions import POLICY, build


@asynccontextmanager
async def serving(settings: RunnerSettings) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of a runner that has its champion."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings) as predictor:
            app.state.predictor = predictor
            await until(lambda: predictor.runner.slots.champion)
            yield

    hot = HotApp(settings.model, lifespan)
    async with hot.app.router.lifespan_context(hot.app), httpx.AsyncClient(transport=httpx.ASGITransport(hot), base_url="http://runner") as client:
        client.hot = hot  # type: ignore[attr-defined]
        yield client


@pytest.fixture
async def client(control: DeploymentServer, settings: RunnerSettings) -> AsyncIterator[httpx.AsyncClient]:
    control.promote("1", policy=POLICY)
    async with serving(settings) as found:
        yield found


ROW = contract.schema(MODEL).Input.model_validate(contract.schema(MODEL).EXAMPLE).model_dump()


async def test_a_row_is_explained_in_the_schemas_words(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/explain", json={"row": ROW})).json()
    predicted = (await client.post("/rows", json={"rows": [ROW]})).json()
    assert (answer["model"], answer["model_version"], answer["policy_version"]) == (MODEL, "1", 1)
    assert (answer["scale"], answer["output_title"], answer["method"]) == ("log-odds", "Log-odds of leaving", "linear")
    assert answer["prediction"] == predicted["answers"][0]
    parts = answer["contributions"]
    assert {part["field"] for part in parts} == set(contract.schema(MODEL).Input.model_fields)
    assert all(part["value"] == ROW[part["field"]] and part["title"] for part in parts)
    assert [abs(part["contribution"]) for part in parts] == sorted((abs(part["contribution"]) for part in parts), reverse=True)
    assert answer["base_value"] + sum(part["contribution"] for part in parts) == pytest.approx(answer["output"], abs=1e-12)
    assert 1 / (1 + np.exp(-answer["output"])) == pytest.approx(predicted["scores"][0], abs=1e-12)


async def test_features_that_nobody_explains_stand_for_themselves(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's folder need not say what its features are made of."""
    whole = (await client.post("/explain", json={"row": ROW})).json()
    monkeypatch.delattr(contract.features(MODEL), "SOURCES")
    explanations.words.cache_clear()
    try:
        answer = (await client.post("/explain", json={"row": ROW})).json()
    finally:
        monkeypatch.undo()
        explanations.words.cache_clear()
    fields = contract.schema(MODEL).Input.model_fields.keys()
    loose = {part["field"]: part for part in answer["contributions"] if part["field"] not in fields}
    assert loose.keys() == set(contract.features(MODEL).FEATURES) - fields
    ratio = loose["income_per_level"]
    assert (ratio["title"], ratio["value"]) == ("Income per level", pytest.approx(ROW["monthly_income"] / ROW["job_level"]))
    assert answer["base_value"] + sum(part["contribution"] for part in answer["contributions"]) == pytest.approx(whole["output"], abs=1e-12)


@pytest.mark.parametrize(("model", "scale", "method"), [("credit_scoring", "probability", "tree_shap"), ("crypto_price", "value", "linear")])
async def test_other_models_have_their_own_scales(model: str, scale: str, method: str, tmp_path: Path) -> None:
    version = build(tmp_path / "mlflow" / "1", model)
    async with DeploymentServer(tmp_path / "mlflow") as control:
        control.add("1", version.sha256)
        control.promote("1", policy=POLICY if catalogue.load().models[model].decisions else None)
        settings = RunnerSettings(model=model, control_url=control.url, mlflow_url=control.url, cache_dir=tmp_path / "cache")
        async with serving(settings) as client:
            answer = (await client.post("/explain", json={"row": version.rows[0]})).json()
    assert (answer["scale"], answer["method"]) == (scale, method)
    sums = answer["base_value"] + sum(part["contribution"] for part in answer["contributions"])
    assert sums == pytest.approx(answer["output"], abs=1e-12)
    if scale == "probability":
        assert answer["output"] == answer["prediction"]["probability"]
    else:
        assert answer["output_title"] == "Next log return in typical moves of the window"
        assert {part["field"] for part in answer["contributions"] if part["contribution"] == 0} >= {"asset", "volume", "trades"}


async def test_another_version_is_fetched_once_and_has_no_decision(client: httpx.AsyncClient, control: DeploymentServer) -> None:
    first, again = [(await client.post("/explain", json={"row": ROW, "version": "2"})).json() for _ in range(2)]
    assert first == again
    assert (first["model_version"], first["policy_version"], "prediction" in first) == ("2", None, False)
    assert control.downloads.count("2/SHA256SUMS") == 1
    slots = (await client.get("/slots")).json()
    assert slots["champion"]["version"] == "1"
    one = (await client.post("/explain", json={"row": ROW, "version": "1"})).json()
    assert (one["model_version"], one["policy_version"]) == ("1", 1)
    assert one["output"] != first["output"]


async def test_a_version_that_there_is_not_and_one_that_cannot_be_had_now(client: httpx.AsyncClient, control: DeploymentServer) -> None:
    missing = await client.post("/explain", json={"row": ROW, "version": "99"})
    assert (missing.status_code, missing.json()["detail"]) == (404, f"{MODEL} has no version 99.")
    control.mlflow_away = True
    away = await client.post("/explain", json={"row": ROW, "version": "2"})
    assert away.status_code == 502
    assert "cannot be fetched now" in away.json()["detail"]
    control.mlflow_away = False
    assert (await client.post("/explain", json={"row": ROW, "version": "2"})).status_code == 200


async def test_bodies_that_are_not_understood(client: httpx.AsyncClient) -> None:
    for body in (b"no", b"[]", b'{"rows": []}', b'{"row": {}, "version": 3}'):
        assert (await client.post("/explain", content=body)).status_code == 400
    answer = await client.post("/explain", json={"row": ROW | {"age": "old"}})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["age"]
    assert (await client.post("/explain", content=b" " * 300_000)).status_code == 413


async def test_too_many_at_once_are_told_when_to_come_again(client: httpx.AsyncClient) -> None:
    predictor = client.hot.predictor  # type: ignore[attr-defined]
    explaining: Explaining = predictor.explaining
    gate, entered = threading.Event(), threading.Event()

    class Slow:
        method, base_value, logistic = "linear", 0.0, True

        def explain(self, matrix: Floats) -> Explained:
            entered.set()
            gate.wait(5)
            return Explained(np.zeros_like(matrix), np.zeros(len(matrix)))

    explaining._explainers[predictor.runner.slots.champion.artifact.sha256] = Slow()
    waiting = [asyncio.create_task(client.post("/explain", json={"row": ROW})) for _ in range(4)]
    await until(entered.is_set)
    await until(lambda: explaining._under_way == 4)
    refused = await client.post("/explain", json={"row": ROW})
    predicted = await client.post("/rows", json={"rows": [ROW]})
    gate.set()
    answers = await asyncio.gather(*waiting)
    assert (refused.status_code, refused.headers["Retry-After"], predicted.status_code) == (429, "1", 200)
    assert {answer.status_code for answer in answers} == {200}
    metrics = (await client.get("/metrics")).text
    assert f'modelyard_runner_explain_rejected_total{{model="{MODEL}"}} 1.0' in metrics
    assert f'modelyard_runner_explain_seconds_count{{model="{MODEL}"}} 4.0' in metrics


async def test_a_model_of_another_kind_says_so(tmp_path: Path) -> None:
    version = build(tmp_path / "mlflow" / "1", MODEL, estimator=lambda seed: MLPClassifier((2,), max_iter=1000, random_state=seed))
    async with DeploymentServer(tmp_path / "mlflow") as control:
        control.add("1", version.sha256)
        control.promote("1", policy=POLICY)
        settings = RunnerSettings(model=MODEL, control_url=control.url, mlflow_url=control.url, cache_dir=tmp_path / "cache")
        async with serving(settings) as client:
            answer = await client.post("/explain", json={"row": ROW})
    assert answer.status_code == 409
    assert "Only tree ensembles and linear models" in answer.json()["detail"]


def test_an_explainer_that_contradicts_the_scores_is_not_used(tmp_path: Path) -> None:
    from bentos.serving import explainers, shapley

    version = build(tmp_path / "one", "credit_scoring", seed=1)
    other = build(tmp_path / "other", "credit_scoring", seed=2)
    read = artifact.read(version.folder, "credit_scoring", version.sha256)
    (version.folder / shapley.DATA).write_bytes((other.folder / shapley.DATA).read_bytes())
    with pytest.raises(explainers.Unexplained, match="do not agree with its scores"):
        explainers.of(read)
