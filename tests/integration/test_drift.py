"""The steps drift and performance against a real control, on answers that lie in the audit."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from bentos import contract
from bentos.contract import Examples
from bentos.serving import answers, artifact
from bentos.serving.artifact import Artifact
from services.control.drift.repository import DriftRepository
from services.control.drift.schemas import DriftCheck
from services.control.drift.service import Drift
from services.kit.ids import floor_of
from services.kit.postgres import open_pool
from services.pipeline import reference
from tests.integration.control_server import promote
from tests.integration.control_server import version as registration
from tests.integration.pipeline_steps import MODEL, Platform, running
from tests.versions import Version, build

DAY = timedelta(days=1)


@pytest.fixture
async def platform(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    async with running(database_url, mlflow_url, tmp_path, monkeypatch) as found:
        yield found


async def serving(platform: Platform, folder: Path, auc: float = 0.75) -> Version:
    """A small version that serves, with the reference of all rows and scores of those that it had not learned from."""
    built = await asyncio.to_thread(build, folder / "built", MODEL)
    examples, features = built.examples, contract.features(MODEL)
    fresh = of_seed(3, 2000)
    scores = built.engine.scores(features.matrix(fresh.columns))
    profile = reference.profile(examples.columns, features.FEATURES, features.matrix(examples.columns), scores, ordered=False)
    (built.folder / artifact.REFERENCE).write_text(json.dumps(profile))
    names = [line.split("  ")[1] for line in (built.folder / artifact.SUMS).read_text().splitlines()]
    (built.folder / artifact.SUMS).write_text("".join(f"{artifact.digest(built.folder / name)}  {name}\n" for name in names))
    if platform.mlflow.get_experiment_by_name(MODEL) is None:
        platform.mlflow.create_experiment(MODEL)
    run = platform.mlflow.create_run(platform.mlflow.get_experiment_by_name(MODEL).experiment_id, tags={"modelyard.model": MODEL})
    platform.mlflow.log_artifacts(run.info.run_id, str(built.folder), "model")
    known = {"run_id": run.info.run_id, "sha256": artifact.digest(built.folder / artifact.SUMS)}
    assert (await platform.control.post(f"/models/{MODEL}/versions", json=registration("1", value=auc) | known)).status_code == 201
    assert (await promote(platform.control, MODEL, "1", force=True)).status_code == 200
    return built


def of_seed(seed: int, rows: int, drift: float = 0.0) -> Examples:
    return contract.train(MODEL).examples(contract.data(MODEL).synthetic(rows, seed, drift))


def answered(
    url: str, built: Version | Artifact, examples: Examples, *, version: str = "1", known: Sequence[float] | None = None, ago: timedelta = timedelta(hours=1)
) -> None:
    """In the audit as the gateway writes it; `known` are outcomes."""
    rows = contract.rows_of_columns(examples.columns, contract.kinds(contract.schema(MODEL).Input))
    scores = built.engine.scores(contract.features(MODEL).matrix(examples.columns))
    begin = datetime.now(UTC) - ago
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        ids = [UUID(int=floor_of(begin).int + number + 1) for number in range(len(rows))]
        cursor.executemany(
            "INSERT INTO predictions (id, created_at, model, model_version, policy_version, username, request_id, input, output, score, decision, latency_ms)"
            " VALUES (%s, %s, %s, %s, 1, 'ada', 'r', %s, %s, %s, %s, 1.5)",
            [
                (key, begin, MODEL, version, Jsonb(row), Jsonb({"probability": score}), score, "leaves" if score >= 0.2 else "stays")
                for key, row, score in zip(ids, rows, scores.tolist(), strict=True)
            ],
        )
        if known is not None:
            cursor.executemany("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, %s, 'bob')", list(zip(ids, known, strict=True)))


async def told(platform: Platform, kind: str, **query: Any) -> list[dict[str, Any]]:
    answer = await platform.control.get(f"/models/{MODEL}/{kind}", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["reports"])


async def test_rows_that_drift_raise_an_alarm_and_others_do_not(platform: Platform, database_url: str, tmp_path: Path) -> None:
    built = await serving(platform, tmp_path)
    empty = await platform.here("drift")
    assert (empty["alarm"], empty["words"]) == (False, "too few rows: 0 in the window, 200 is the least")
    answered(database_url, built, of_seed(11, 600))
    quiet = await platform.here("drift")
    assert (quiet["alarm"], quiet["rows"], quiet["drifted"]) == (False, 600, [])
    answered(database_url, built, of_seed(12, 600, drift=1.0), ago=timedelta(minutes=5))
    loud = await platform.here("drift", "--rows", 600)
    assert loud["alarm"]
    assert loud["rows"] == 600
    newest, *older = await told(platform, "drift")
    assert [one["alarm"] for one in (newest, *older)] == [True, False, False]
    assert newest["words"] == loud["words"]
    drifted = [one for one in newest["features"] if one["verdict"] == "drift"]
    assert [one["feature"] for one in drifted] == loud["drifted"]
    assert all(one["p_adjusted"] < newest["policy"]["significance"] and one["words"] for one in drifted)
    assert newest["window"]["rows"] == 600
    assert newest["performance"] is None
    assert [one["id"] for one in await told(platform, "drift", limit=1, cursor=newest["id"])] == [older[0]["id"]]


async def test_only_the_versions_own_answers_within_the_hours_count(platform: Platform, database_url: str, tmp_path: Path) -> None:
    built = await serving(platform, tmp_path)
    answered(database_url, built, of_seed(12, 300, drift=1.0), version="0")
    answered(database_url, built, of_seed(12, 300, drift=1.0), ago=timedelta(hours=30))
    answered(database_url, built, of_seed(13, 250))
    assert (await platform.here("drift", "--hours", 24))["rows"] == 250
    failed = await platform.step("drift", "--version", "9", code=2)
    assert "404" in failed["words"]


async def test_answers_that_got_worse_are_performance_drift(platform: Platform, database_url: str, tmp_path: Path) -> None:
    """The truth has nothing to do with the scores: ROC AUC 0.5 instead of 0.75."""
    built = await serving(platform, tmp_path)
    random = np.random.default_rng(1)
    examples = of_seed(14, 900)
    answered(database_url, built, examples, known=(random.random(900) < 0.3).astype(float).tolist(), ago=2 * DAY)
    found = await platform.here("drift")
    (report,) = await told(platform, "drift")
    assert found["alarm"]
    assert found["drifted"] == []
    assert report["performance"]["verdict"] == "drift"
    assert "on the hold-out" in report["words"]
    measured = await platform.here("performance")
    assert measured["alarm"]
    assert measured["words"] == f"version 1: {report['performance']['words']}"


async def test_live_performance_by_version_day_and_segment(platform: Platform, database_url: str, tmp_path: Path) -> None:
    built = await serving(platform, tmp_path)
    assert (await platform.here("performance"))["words"] == "no outcome is known of 0 answers"
    first, second = of_seed(15, 400), of_seed(16, 500)
    answered(database_url, built, first, known=first.truth.tolist(), ago=3 * DAY)
    answered(database_url, built, second.take(np.arange(300)), known=second.truth[:300].tolist(), ago=DAY)
    answered(database_url, built, second.take(np.arange(300, 500)), ago=DAY - timedelta(seconds=1))
    result = await platform.here("performance")
    assert not result["alarm"]
    report = (await told(platform, "performance"))[0]
    (version,) = report["versions"]
    assert (report["rows"], report["answered"], version["rows"], version["answered"]) == (700, 900, 700, 900)
    assert sum(version["confusion"].values()) == 700
    auc = version["metrics"]["roc_auc"]
    assert 0.6 < auc["low"] < auc["value"] < auc["high"] < 1
    assert {"average_precision", "brier", "cost_per_row"} <= version["metrics"].keys()
    assert version["calibration"]
    by_day = {one["day"]: one for one in version["days"]}
    assert sorted((one["answered"], one["rows"]) for one in by_day.values()) in ([(400, 400), (500, 300)], [(200, 0), (300, 300), (400, 400)])
    assert all(one["metrics"] for one in by_day.values() if one["rows"] >= 300)
    segments = {(one["field"], one["segment"]): one for one in version["segments"]}
    assert sum(one["rows"] for (field, _), one in segments.items() if field == "gender") == 700
    assert any(one["metrics"] for one in segments.values())
    assert all(not one["metrics"] for one in segments.values() if one["rows"] < 100)
    assert version["holdout"]["roc_auc"]["value"] == 0.75


async def test_control_refuses_what_is_no_report(platform: Platform) -> None:
    window = {"from": "2026-11-22T00:00:00+00:00", "to": "2026-11-22T01:00:00+00:00", "rows": 3}
    check = {"version": "9", "window": window, "policy": {}, "features": [], "score": None, "tests": 0, "performance": None, "alarm": False, "words": "none"}
    path = f"/models/{MODEL}/drift"
    unknown = await platform.control.post(path, json=check)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "version")
    assert (await platform.control.post(path, json=check | {"alarm": "maybe"})).status_code == 422
    assert (await platform.control.post(path, json=check | {"window": window | {"to": "2026-11-21T00:00:00+00:00"}})).status_code == 422
    assert (await platform.control.post(path, json=check, headers={"Authorization": ""})).status_code == 401
    assert (await platform.control.get(path, params={"limit": 0})).status_code == 422
    assert (await platform.control.get("/models/nothing/drift")).status_code == 404
    assert await told(platform, "drift") == []


def test_reports_cannot_be_changed(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO performance_reports (model, rows, alarm, document) VALUES ('m', 1, true, '{}')")
        for statement in ("UPDATE performance_reports SET alarm = false", "DELETE FROM performance_reports", "DELETE FROM drift_reports"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_a_series_is_checked_by_its_features_and_measured_beside_the_naive_forecast(platform: Platform, database_url: str, tmp_path: Path) -> None:
    """All of it as trained: the reference that `register` keeps, forecasts as a runner gives them, the candle that came as the outcome."""
    model = "crypto_price"
    run_id, registered = await platform.registered("--rows", 3000, model=model)
    number = registered["version"]
    assert (await promote(platform.control, model, number, force=True)).status_code == 200
    loaded = artifact.read(Path(platform.mlflow.download_artifacts(run_id, "model", str(tmp_path))), model, registered["sha256"])
    kept = json.loads((loaded.folder / artifact.REFERENCE).read_text())
    assert kept["ordered"]
    assert kept["score"]["out_of_sample"]
    examples = contract.train(model).examples(contract.data(model).synthetic(2000, 5, 0.0)).take(slice(-800, None))
    scores = loaded.score_columns(examples.columns, len(examples))
    given = answers.in_rows(model, scores, examples.columns, None, loaded.shifts)
    rows = contract.rows_of_columns(examples.columns, contract.kinds(contract.schema(model).Input))
    begin = datetime.now(UTC) - timedelta(hours=2)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        ids = [UUID(int=floor_of(begin).int + place + 1) for place in range(len(rows))]
        cursor.executemany(
            "INSERT INTO predictions (id, created_at, model, model_version, username, request_id, input, output, score, latency_ms)"
            " VALUES (%s, %s, %s, %s, 'ada', 'r', %s, %s, %s, 1.5)",
            [(key, begin, model, number, Jsonb(row), Jsonb(out), out["prediction"]) for key, row, out in zip(ids, rows, given.answers, strict=True)],
        )
        cursor.executemany("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, %s, 'market')", list(zip(ids, examples.truth.tolist(), strict=True)))

    found = await platform.here("drift", model=model)
    assert (found["alarm"], found["rows"]) == (False, 800), found["words"]
    report = (await platform.control.get(f"/models/{model}/drift")).json()["reports"][0]
    checked = {one["feature"] for one in report["features"]}
    assert {"return_1", "volatility", "interval"} <= checked
    assert not {"as_of", "asset", "close"} & checked, "what no feature is made of, or a feature stands for, is not checked itself"
    assert report["score"]["verdict"] == "ok"
    assert report["performance"]["metric"] == "rmse_ratio"

    await platform.here("performance", model=model)
    (version,) = (await platform.control.get(f"/models/{model}/performance")).json()["reports"][0]["versions"]
    measured = version["metrics"]
    assert {"mae", "rmse", "mase", "coverage_80", "coverage_95"} <= measured.keys()
    assert 0.7 < measured["mase"]["value"] < 1.1
    assert 0.7 < measured["coverage_80"]["value"] < 0.9
    assert version["confusion"] is None
    assert {one["segment"] for one in version["segments"] if one["field"] == "interval"} == {"60", "1440"}


class Told:
    """Stands for those who react to alarms, and keeps what it was told."""

    def __init__(self) -> None:
        self.considered: list[tuple[str, str, dict[str, Any]]] = []
        self.events: list[tuple[str, str, str]] = []

    async def consider(self, model: str, reason: str, detail: dict[str, Any]) -> None:
        self.considered.append((model, reason, detail))

    async def emit(self, _connection: Any, event: str, *, key: str, model: str, title: str, words: str, fields: dict[str, str], level: str) -> None:
        self.events.append((event, key, words))


async def test_an_alarm_is_handed_on_once_with_its_reason(database_url: str) -> None:
    pool, told = await open_pool(database_url, "control"), Told()
    try:
        service = Drift(DriftRepository(pool), told, told)
        with psycopg.connect(database_url, autocommit=True) as connection:
            columns = "model, version, run_id, artifact, sha256, source, data_hash, engine, metrics"
            connection.execute(f"INSERT INTO model_versions ({columns}) VALUES (%s, '1', '', '', '', '', '', '', '{{}}')", [MODEL])
        window = {"from": "2026-11-22T00:00:00+00:00", "to": "2026-11-22T01:00:00+00:00", "rows": 900}
        quiet = {
            "version": "1",
            "window": window,
            "policy": {},
            "features": [],
            "score": None,
            "tests": 0,
            "performance": None,
            "alarm": False,
            "words": "fine",
        }
        drifted = {"alarm": True, "features": [{"feature": "age", "verdict": "drift"}, {"feature": "role", "verdict": "ok"}], "words": "age drifted"}
        worse = {"alarm": True, "performance": {"verdict": "drift"}, "words": "worse"}
        stored = [await service.add(MODEL, DriftCheck.model_validate(quiet | change)) for change in ({}, drifted, worse)]
    finally:
        await pool.close()
    first, second = stored[1].id, stored[2].id
    assert [(model, reason, detail["report"], detail["drifted"]) for model, reason, detail in told.considered] == [
        (MODEL, "drift", first, ["age"]),
        (MODEL, "performance", second, []),
    ]
    assert told.events == [("drift", f"drift {MODEL} {first}", "age drifted"), ("drift", f"drift {MODEL} {second}", "worse")]
