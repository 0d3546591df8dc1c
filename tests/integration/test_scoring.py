"""A data set scored offline: partition, score, gather; and the platform's own predictions, through a real gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest

from bentos import contract
from bentos.serving import artifact
from tests.gateway_process import GatewayProcess, gateway_process
from tests.integration.pipeline_steps import MODEL, Platform, running


@pytest.fixture
async def platform(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    async with running(database_url, mlflow_url, tmp_path, monkeypatch) as found:
        yield found


def parts(platform: Platform, run_id: str, folder: Path) -> list[pd.DataFrame]:
    place = Path(platform.mlflow.download_artifacts(run_id, "predictions", str(folder)))
    return [pd.read_parquet(path) for path in sorted(place.iterdir())]


async def test_every_row_is_answered_once_by_the_version_and_policy_that_were_chosen(platform: Platform, tmp_path: Path) -> None:
    trained, sha256 = await platform.promoted("4", tmp_path)
    run_id = (await platform.step("ingest", "--rows=1201", "--seed=5", "--source=", "--data-dir=", "--drift="))["run_id"]
    planned = await platform.step("partition", "--run-id", run_id, "--version=", "--partitions=3")
    assert (planned["rows"], planned["version"], planned["partitions"]) == (1201, "4", [0, 1, 2])
    served = (await platform.control.get(f"/serving/{MODEL}")).json()["policy"]
    assert planned["policy_version"] == served["version"]

    changed = {"threshold": 0.9, "reason": "stricter", "actor": "ada"}
    assert (await platform.control.put(f"/models/{MODEL}/policy", json=changed)).status_code == 200
    for number in (2, 0, 1, 1):
        scored = await platform.here("score", "--run-id", run_id, "--partition", number)
        assert scored["partitions"] == [number]
    gathered = await platform.step("gather", "--run-id", run_id)

    answered = parts(platform, run_id, tmp_path)
    assert [len(part) for part in answered] == [400, 401, 400]
    whole = pd.concat(answered)
    assert whole["row"].tolist() == list(range(1201))
    loaded = artifact.read(Path(platform.mlflow.download_artifacts(trained, "model", str(tmp_path))), MODEL, sha256)
    examples = contract.train(MODEL).examples(contract.data(MODEL).synthetic(1201, 5, 0.0))
    expected = loaded.score_columns(examples.columns, len(examples))
    assert np.array_equal(whole["probability"], expected)
    assert np.array_equal(whole["decision"] == "leaves", expected >= served["threshold"])
    assert np.array_equal(whole["truth"], examples.truth)

    assert (gathered["rows"], gathered["parts"], gathered["version"]) == (1201, 3, "4")
    assert gathered["decisions"] == whole["decision"].value_counts().to_dict()
    assert gathered["metrics"]["roc_auc"] > 0.6
    assert gathered["metrics"]["accuracy"] == pytest.approx(float(((whole["probability"] >= served["threshold"]) == whole["truth"]).mean()))
    run = platform.mlflow.get_run(run_id)
    assert (run.info.status, run.data.tags["modelyard.kind"]) == ("FINISHED", "score")
    assert run.data.metrics["scored_roc_auc"] == pytest.approx(gathered["metrics"]["roc_auc"])


async def test_a_missing_part_fails_the_whole_and_a_second_score_mends_it(platform: Platform, tmp_path: Path) -> None:
    await platform.promoted("4", tmp_path)
    run_id = (await platform.here("ingest", "--rows", 600))["run_id"]
    await platform.here("partition", "--run-id", run_id, "--partitions", 4)
    for number in (0, 1, 3):
        await platform.here("score", "--run-id", run_id, "--partition", number)
    failed = await platform.step("gather", "--run-id", run_id, code=1)
    assert "gather: the 4 parts do not fit together: 150 rows are missing (300, 301, 302, 303, 304, …)" in failed["words"].splitlines()
    assert (await platform.step("score", "--run-id", run_id, "--partition", 4, code=2))["words"].startswith("score: there is no partition 4")
    await platform.here("score", "--run-id", run_id)
    assert (await platform.here("gather", "--run-id", run_id))["rows"] == 600


async def test_rows_without_a_truth_are_answered_and_bad_ones_refused(platform: Platform, tmp_path: Path) -> None:
    await platform.promoted("4", tmp_path)
    frame = contract.data(MODEL).synthetic(300, 3, 0.0)
    asked = tmp_path / "people.parquet"
    frame.drop(columns=contract.train(MODEL).TARGET).to_parquet(asked)
    run_id = (await platform.here("ingest", "--source=files", "--data-dir", asked))["run_id"]
    assert (await platform.here("partition", "--run-id", run_id))["partitions"] == [0]
    await platform.here("score", "--run-id", run_id)
    gathered = await platform.here("gather", "--run-id", run_id)
    assert (gathered["rows"], gathered["metrics"], sum(gathered["decisions"].values())) == (300, None, 300)

    frame.loc[[4, 9], "age"] = 7
    frame.to_parquet(asked)
    run_id = (await platform.here("ingest", "--data-dir", asked))["run_id"]
    refused = await platform.here("partition", "--run-id", run_id, code=2)
    assert [(one["column"], one["rows"]) for one in refused["problems"]] == [("age", [4, 9])]


async def test_a_version_that_does_not_serve_can_be_named(platform: Platform, tmp_path: Path) -> None:
    await platform.promoted("4", tmp_path)
    ingested = await platform.here("ingest", "--rows", 400, "--seed", 3)
    run_id = ingested["run_id"]
    await platform.version("5", tmp_path, data_hash=ingested["data_hash"])
    planned = await platform.here("partition", "--run-id", run_id, "--version", "5")
    assert (planned["version"], planned["policy_version"]) == ("5", None)
    await platform.here("score", "--run-id", run_id)
    gathered = await platform.here("gather", "--run-id", run_id)
    assert gathered["version"] == "5"
    assert gathered["remarks"][0].startswith("this version was trained on exactly these rows")
    unknown = await platform.step("partition", "--run-id", run_id, "--version", 99, code=2)
    assert "99" in unknown["words"]


async def test_a_version_that_a_runner_would_refuse_answers_nothing(platform: Platform, tmp_path: Path) -> None:
    trained, _ = await platform.promoted("4", tmp_path)
    run_id = (await platform.here("ingest", "--rows", 300))["run_id"]
    await platform.here("partition", "--run-id", run_id)
    changed = tmp_path / "golden.json"
    changed.write_text("{}")
    platform.mlflow.log_artifact(trained, str(changed), "model")
    refused = await platform.step("score", "--run-id", run_id, code=2)
    assert "version 4 is refused: golden.json: expected sha256" in refused["words"]


async def test_without_a_champion_nothing_is_scored(platform: Platform) -> None:
    run_id = (await platform.here("ingest", "--rows", 300))["run_id"]
    assert "nothing serves attrition yet" in (await platform.step("partition", "--run-id", run_id, code=2))["words"]


async def test_candles_are_scored_in_windows(platform: Platform, tmp_path: Path) -> None:
    model = "crypto_price"
    await platform.version("4", tmp_path, model=model)
    run_id = (await platform.here("ingest", "--rows", 1000, "--seed", 4, model=model))["run_id"]
    planned = await platform.here("partition", "--run-id", run_id, "--version", "4", "--partitions", 2, model=model)
    await platform.here("score", "--run-id", run_id, model=model)
    gathered = await platform.here("gather", "--run-id", run_id, model=model)
    assert (gathered["rows"], gathered["decisions"]) == (planned["rows"], None)
    assert gathered["metrics"]["rmse_ratio"] > 0
    whole = pd.concat(parts(platform, run_id, tmp_path))
    assert {"prediction", "naive", "direction", "forecast_for", "truth", "group"} <= set(whole)


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    async with gateway_process(database_url, tmp_path, workers=1) as started:
        yield started


async def key_of(gateway: GatewayProcess, username: str, role: str) -> str:
    """An API key as its owner makes it."""
    account = {"username": username, "password": "correct horse battery", "role": role}
    assert (await gateway.call("POST", "/auth/signup", json=account))[0] == 201
    status, made = await gateway.call("POST", "/auth/api-keys", json={"name": "workflows"}, headers=await gateway.log_in(username))
    assert status == 201
    return str(made["key"])


async def test_the_newest_rows_are_answered_and_audited_once(
    gateway: GatewayProcess, platform: Platform, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.addresses |= {"PIPELINE_GATEWAY_URL": gateway.url, "PIPELINE_GATEWAY_KEY": await key_of(gateway, "robot", "analyst")}
    arguments = ("--rows=30", "--seed=5", "--source=", "--data-dir=", "--key=0192-abc")
    found = await platform.step("predict", *arguments)
    assert (found["rows"], found["model_version"], sum(found["decisions"].values())) == (30, "3", 30)
    again = await platform.step("predict", *arguments)
    assert again["batch_id"] == found["batch_id"], "tried again, the step records nothing twice"
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        rows = await (await connection.execute("SELECT username, input, batch_id FROM predictions ORDER BY row_number")).fetchall()
    assert (len(rows), {(username, str(batch)) for username, _, batch in rows}) == (30, {("robot", found["batch_id"])})
    newest = contract.data(MODEL).synthetic(6000, 5, 0.0)["age"].tail(30).tolist()
    assert [row["age"] for _, row, _ in rows] == newest


async def test_what_the_gateway_refuses_is_not_tried_again(gateway: GatewayProcess, platform: Platform) -> None:
    platform.addresses |= {"PIPELINE_GATEWAY_URL": gateway.url, "PIPELINE_GATEWAY_KEY": ""}
    assert "PIPELINE_GATEWAY_KEY is not set" in (await platform.step("predict", code=2))["words"]
    platform.addresses["PIPELINE_GATEWAY_KEY"] = await key_of(gateway, "looker", "viewer")
    assert "with 403" in (await platform.step("predict", code=2))["words"]
    platform.addresses["PIPELINE_GATEWAY_KEY"] = "my_wrong_key"
    assert "with 401" in (await platform.step("predict", code=2))["words"]
    platform.addresses["PIPELINE_GATEWAY_URL"] = "http://127.0.0.1:9"
    assert "the gateway does not answer at http://127.0.0.1:9" in (await platform.step("predict", code=1))["words"]


async def test_control_is_told_of_a_workflows_end(platform: Platform) -> None:
    assert (await platform.told("--workflow=train-1", "--status=Succeeded")) == (0, {"told": "train-1", "status": "Succeeded"})
    platform.addresses["PIPELINE_CONTROL_URL"] = "http://127.0.0.1:9"
    assert (await platform.told("--workflow=train-1", "--status=Failed"))[0] == 1
