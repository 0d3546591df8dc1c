"""An answer of the past again, bit for bit, by every engine of a version and in both ways."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from bentos import catalogue, contract
from bentos.serving.settings import RunnerSettings
from tests.fakes import DeploymentServer
from tests.unit.serving.conftest import MODEL
from tests.unit.serving.test_explaining import ROW, client, serving
from tests.versions import POLICY, build, examples_of

__all__ = ["client"]
RULE = {name: POLICY[name] for name in ("version", "threshold", "risk_levels")}


async def test_a_row_is_answered_again_as_it_was(client: httpx.AsyncClient) -> None:
    answered = (await client.post("/rows", json={"rows": [ROW]})).json()
    found = (await client.post("/reproduce", json={"row": ROW, "version": "1", "policy": RULE})).json()
    assert (found["model"], found["model_version"], found["policy_version"]) == (MODEL, "1", 1)
    assert {run["way"] for run in found["runs"]} == {"rows", "columns"}
    for run in found["runs"]:
        assert (run["score"], run["decision"], run["output"]) == (answered["scores"][0], answered["decisions"][0], answered["answers"][0])


async def test_any_registered_version_by_any_policy(client: httpx.AsyncClient, control: DeploymentServer) -> None:
    """Version 2 has never served here: it is fetched, once."""
    for threshold, decision in ((1e-9, "leaves"), (1 - 1e-9, "stays")):
        said = await client.post("/reproduce", json={"row": ROW, "version": "2", "policy": RULE | {"version": 7, "threshold": threshold}})
        assert (said.status_code, said.json()["policy_version"]) == (200, 7)
        assert {run["decision"] for run in said.json()["runs"]} == {decision}
    assert len([path for path in control.downloads if path.startswith("2/")]) == len(
        set(control.downloads) & {p for p in control.downloads if p.startswith("2/")}
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"row": ROW, "version": "1"}, 422),
        ({"row": ROW, "version": "9", "policy": RULE}, 404),
        ({"row": ROW}, 400),
        ({"row": {"age": 1}, "version": "1", "policy": RULE}, 422),
        ({"row": ROW, "version": "1", "policy": RULE, "more": 1}, 400),
    ],
)
async def test_what_cannot_be_reproduced_is_told(client: httpx.AsyncClient, body: object, status: int) -> None:
    answer = await client.post("/reproduce", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("model", catalogue.names())
async def test_rows_of_a_block_are_reproduced_one_by_one(model: str, tmp_path: Path) -> None:
    """What was answered in columns, many at once, is answered again alone, to the bit."""
    from bentos.serving.predictor import Predictor

    policy = POLICY if catalogue.load().models[model].task == "classification" else None
    rule = RULE if policy else None
    async with DeploymentServer(tmp_path / "files") as server:
        server.add("1", build(tmp_path / "files" / "1", model, seed=1).sha256)
        server.promote("1", policy=policy)
        given = {"control_url": server.url, "mlflow_url": server.url, "cache_dir": tmp_path / "cache", "replica": "r"}
        async with serving(RunnerSettings(model=model, control_token=SecretStr(server.TOKEN), **given)) as client:  # type: ignore[arg-type]
            predictor: Predictor = client.hot.predictor  # type: ignore[attr-defined]
            rows = contract.rows_of_columns(examples_of(model).take(np.arange(600)).columns, predictor.fields)
            many = (await predictor.predict(rows))["answers"]
            for place in range(0, 600, 40):
                found = (await client.post("/reproduce", json={"row": rows[place], "version": "1", "policy": rule})).json()
                assert all(run["output"] == {name: many[place][name] for name in run["output"]} for run in found["runs"]), place
