"""All verbs as processes against a real MLflow and a real control."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pandas as pd
import pytest

from bentos import catalogue, contract
from bentos.serving import artifact
from tests.integration.pipeline_steps import MODEL, Platform, running


@pytest.fixture
async def platform(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    async with running(database_url, mlflow_url, tmp_path, monkeypatch) as found:
        yield found


async def test_from_data_to_champion_and_what_is_kept(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_REVISION", "c0ffee")
    run_id = (await platform.step("ingest", "--rows", 1500, "--seed", 11))["run_id"]
    for verb in ("validate", "train", "evaluate"):
        await platform.step(verb, "--run-id", run_id)
    registered = await platform.step("register", "--run-id", run_id)
    version = registered["version"]

    stored = (await platform.control.get(f"/models/{MODEL}/versions/{version}")).json()
    assert stored["metrics"]["holdout"]["metrics"]["roc_auc"]["low"] > 0.6
    assert stored["metrics"]["cv"]["roc_auc"]["mean"] > 0.6
    assert stored["metrics"]["threshold"] == stored["policy"]["threshold"]
    assert stored["engine"] == registered["engine"]
    assert stored["metrics"]["code_revision"] == "c0ffee"
    curves, importance = stored["metrics"]["curves"], stored["metrics"]["importance"]
    assert (curves["roc"][-1]["found"], len(curves["threshold"]) > 10) == (1.0, True)
    assert {field for one in importance for field in one["fields"]} <= set(contract.schema(MODEL).Input.model_fields)

    run = platform.mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["source"] == "synthetic"
    assert run.data.tags["data_hash"] == stored["data_hash"]
    assert run.data.params["seed"]
    assert run.data.metrics["holdout_roc_auc"] == pytest.approx(stored["metrics"]["holdout"]["metrics"]["roc_auc"]["value"])
    kept = {entry.path for folder in ("", "plots", "evaluation") for entry in platform.mlflow.list_artifacts(run_id, folder)}
    pictures = {f"plots/{name}.png" for name in ("roc", "precision_recall", "calibration", "cost", "importance")}
    assert pictures | {"evaluation/metrics.json", "environment.txt", "model"} <= kept
    assert platform.mlflow.get_model_version(MODEL, version).tags["sha256"] == registered["sha256"]

    loaded = artifact.read(Path(platform.mlflow.download_artifacts(run_id, "model", str(tmp_path))), MODEL, registered["sha256"])
    for row in loaded.golden_rows:
        contract.schema(MODEL).Input.model_validate(row)
    reference = json.loads((loaded.folder / artifact.REFERENCE).read_text())
    assert set(reference["columns"]) == set(loaded.contract["inputs"])

    again = await platform.step("register", "--run-id", run_id)
    assert again["version"] == version
    assert "already" in again["words"]

    promoted = await platform.step("promote", "--version", version, "--reason", "first")
    assert promoted["promoted"]
    assert {rule["rule"]: rule["words"] for rule in promoted["verdict"]["rules"]}["improvement"] == "no champion yet"
    serving = (await platform.control.get(f"/serving/{MODEL}")).json()
    assert serving["champion"] == {"version": version, "artifact": f"{run.info.experiment_id}/{run_id}/artifacts/model", "sha256": registered["sha256"]}
    assert serving["policy"]["threshold"] == stored["policy"]["threshold"]
    ledger = (await platform.control.get(f"/models/{MODEL}/ledger")).json()["entries"]
    assert [(entry["actor"], entry["reason"], entry["verdict"]["passed"]) for entry in ledger] == [("pipeline", "first", True)]
    assert (await platform.step("promote", "--version", version))["promoted"]


async def test_a_worse_version_is_refused_with_its_verdict_kept_until_forced(platform: Platform) -> None:
    """The second version has learned from few rows, and is compared on rows of its own data."""
    _, good = await platform.registered("--rows", 3000, "--seed", 11)
    await platform.here("promote", "--version", good["version"])
    _, bad = await platform.registered("--rows", 400, "--seed", 3)
    refused = await platform.here("promote", "--version", bad["version"])
    assert not refused["promoted"]
    failed = {rule["rule"]: rule["words"] for rule in refused["verdict"]["rules"] if not rule["passed"]}
    assert f"worse than version {good['version']} by 0." in failed["improvement"]
    stored = (await platform.control.get(f"/models/{MODEL}/versions/{bad['version']}")).json()
    assert stored["verdict"] == refused["verdict"]
    assert (await platform.control.get(f"/serving/{MODEL}")).json()["champion"]["version"] == good["version"]
    assert platform.mlflow.get_model_version(MODEL, bad["version"]).tags["gate"] == "failed"

    assert (await platform.here("promote", "--version", bad["version"], "--force"))["promoted"]
    assert (await platform.control.get(f"/serving/{MODEL}")).json()["champion"]["version"] == bad["version"]


async def test_bad_data_ends_with_2_and_every_problem_in_words(platform: Platform, shared_data: Path, tmp_path: Path) -> None:
    lines = (shared_data / "attrition" / "ibm_hr_attrition.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")

    def with_value(line: str, column: str, value: str) -> str:
        cells = line.split(",")
        cells[header.index(column)] = value
        return ",".join(cells)

    lines[4] = with_value(lines[4], "Age", "7")
    lines[5] = with_value(lines[5], "YearsInCurrentRole", "55")
    broken = tmp_path / "employees.csv"
    broken.write_text("\n".join([*lines, *lines[1:]]), encoding="utf-8")
    ingested = await platform.here("ingest", "--data-dir", broken)
    assert ingested["source"] == "files"
    refused = await platform.step("validate", "--run-id", ingested["run_id"], code=2)
    problems = {(problem["column"], tuple(problem["rows"][:1])) for problem in refused["problems"]}
    assert problems >= {("age", (5,)), ("years_in_current_role", (6,)), ("rows", (1178,))}
    assert "validate: age: must be greater than or equal to 16, found 7 in 2 rows (5, 1181)" in refused["words"].splitlines()
    assert platform.mlflow.get_run(ingested["run_id"]).info.status == "FAILED"


async def test_a_step_without_the_one_before_says_so(platform: Platform) -> None:
    run_id = (await platform.here("ingest", "--rows", 300))["run_id"]
    failed = await platform.step("evaluate", "--run-id", run_id, code=1)
    assert "has every step before this one succeeded?" in failed["words"]


async def test_candles_become_windows_that_a_runner_accepts(platform: Platform, tmp_path: Path) -> None:
    run_id, registered = await platform.registered("--rows", 3000, model="crypto_price")
    loaded = artifact.read(Path(platform.mlflow.download_artifacts(run_id, "model", str(tmp_path))), "crypto_price", registered["sha256"])
    assert len(loaded.golden_rows) >= 20
    learned = json.loads((loaded.folder / "reference.json").read_text())["rows"]
    run = platform.mlflow.get_run(run_id).data.metrics
    assert learned > run["training_rows"] + 0.9 * run["holdout_rows"], "the version that serves has learned from the newest candles too"
    stored = (await platform.control.get(f"/models/crypto_price/versions/{registered['version']}")).json()
    assert stored["policy"] is None
    measured = stored["metrics"]["holdout"]["metrics"]
    of_intervals = {f"{what}_{level}" for what in ("coverage", "width") for level in (80, 95)}
    assert set(measured) == {"rmse", "mae", "mse", "r2", "rmse_ratio", "mase", "direction"} | of_intervals
    assert 0.7 < measured["coverage_80"]["value"] < 0.9
    assert 0.9 < measured["coverage_95"]["value"] <= 1
    assert loaded.shifts is not None
    assert loaded.shifts["lower_95"] < loaded.shifts["lower_80"] < 0 < loaded.shifts["upper_80"] < loaded.shifts["upper_95"]


async def test_generate_keeps_a_data_set_that_the_same_arguments_give_again(platform: Platform, tmp_path: Path) -> None:
    for model in catalogue.names():
        made = await platform.here("generate", "--rows", 400, "--seed", 5, "--drift", 0.5, model=model)
        again = await platform.here("generate", "--rows", 400, "--seed", 5, "--drift", 0.5, model=model)
        other = await platform.here("generate", "--rows", 400, "--seed", 6, model=model)
        assert made["sha256"] == again["sha256"] != other["sha256"]
        kept = Path(platform.mlflow.download_artifacts(made["run_id"], "data/dataset.csv", str(tmp_path)))
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == made["sha256"]  # noqa: ASYNC240
        assert len(pd.read_csv(kept)) == made["rows"] >= 400
        assert list(pd.read_csv(kept).columns) == made["columns"]
        run = platform.mlflow.get_run(made["run_id"])
        assert (run.info.status, run.data.params["drift"], run.data.tags["sha256"]) == ("FINISHED", "0.5", made["sha256"])
        assert made["artifact"] == f"{run.info.experiment_id}/{made['run_id']}/artifacts/data/dataset.csv"
