"""What control reads from the database and shows as metrics."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from psycopg.types.json import Jsonb

from bentos import catalogue
from services.control import metrics
from services.control.figures.repository import FiguresRepository
from services.control.figures.service import Figures, holdout
from services.kit.ids import uuid7_bytes
from services.kit.postgres import Pool, open_pool

MODELS = catalogue.names()
MODEL, REGRESSION = MODELS[0], next(name for name in MODELS if catalogue.load().models[name].task == "regression")
COSTS = {"missed_positive": 4.0, "false_alarm": 1.0}
HOLDOUT = {"holdout": {"rows": 90, "metrics": {"roc_auc": {"value": 0.8, "low": 0.7, "high": None}}, "baseline": {"roc_auc": 0.5, "r2": None}}}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, "control")
    yield pool
    await pool.close()


@pytest.fixture
def figures(pool: Pool) -> Any:
    figures = Figures(FiguresRepository(pool, MODELS), MODELS)
    yield figures
    figures.forget()


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def series(name: str) -> list[dict[str, str]]:
    return [sample.labels for family in REGISTRY.collect() for sample in family.samples if sample.name == name]


async def execute(pool: Pool, statement: str, *values: Any) -> None:
    async with pool.connection() as connection:
        await connection.execute(statement, values)


async def register(pool: Pool, model: str, version: str, document: Any, policy: int | None) -> None:
    statement = (
        "INSERT INTO model_versions (model, version, run_id, artifact, sha256, source, data_hash, engine, metrics) VALUES (%s, %s, '', '', '', '', '', '', %s)"
    )
    await execute(pool, statement, model, version, Jsonb(document))
    if policy is not None:
        statement = "INSERT INTO policies (model, version, threshold, costs, risk_levels, actor, reason) VALUES (%s, %s, 0.2, %s, '{}', '', '')"
        await execute(pool, statement, model, policy, Jsonb(COSTS))
    statement = "INSERT INTO deployments (model, action, to_version, to_policy, actor, reason) VALUES (%s, 'promote', %s, %s, '', '')"
    await execute(pool, statement, model, version, policy)


async def predicted(pool: Pool, model: str, score: float, policy: int | None, user: str = "ann") -> None:
    statement = """
        INSERT INTO predictions (id, created_at, model, model_version, policy_version, username, request_id, input, output, score, latency_ms)
        VALUES (%s, now(), %s, '1', %s, %s, '', '{}', '{}', %s, 1)
    """
    await execute(pool, statement, uuid7_bytes().hex(), model, policy, user, score)


async def ran(pool: Pool, kind: str, status: str, minutes: int) -> None:
    """A run that took 30 s, if it has ended, and ended so many minutes ago."""
    statement = """
        INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status, started_at, finished_at)
        SELECT gen_random_uuid(), %s, %s, '{}', '', '', status, at - interval '30 seconds', CASE WHEN status NOT IN ('queued', 'running') THEN at END
        FROM (SELECT %s AS status, now() - make_interval(mins => %s) AS at) run
    """
    await execute(pool, statement, kind, MODEL, status, minutes)


async def test_an_empty_database_has_its_own_figures_and_no_others(figures: Figures) -> None:
    await figures.look()
    assert shown("modelyard_database_up") == 1
    assert (shown("modelyard_database_bytes") or 0) > 1e6
    assert 0 < (shown("modelyard_database_connections") or 0) < (shown("modelyard_database_connections_max") or 0)
    assert {labels["model"] for labels in series("modelyard_recent_predictions")} == set(MODELS)
    assert shown("modelyard_workflow_runs_under_way", model=MODEL, status="queued") == 0
    for name in ("champion_metric", "champion_trained_timestamp_seconds", "policy_threshold", "recent_probability", "workflow_last_seconds"):
        assert series(f"modelyard_{name}") == []


async def test_the_champions_figures_are_those_it_was_registered_with(pool: Pool, figures: Figures) -> None:
    await register(pool, MODEL, "1", HOLDOUT, 1)
    await figures.look()
    found = {labels["figure"]: shown("modelyard_champion_metric", **labels) for labels in series("modelyard_champion_metric")}
    assert found == {"value": 0.8, "low": 0.7, "baseline": 0.5}
    assert shown("modelyard_policy_threshold", model=MODEL, policy="1") == 0.2

    await register(pool, MODEL, "2", {"holdout": "lost"}, None)
    await figures.look()
    assert series("modelyard_champion_metric") == []
    assert [labels["version"] for labels in series("modelyard_champion_trained_timestamp_seconds")] == ["2"]
    assert series("modelyard_policy_threshold") == []


async def test_recent_predictions_cost_what_the_decisions_on_them_are_expected_to(pool: Pool, figures: Figures) -> None:
    await register(pool, MODEL, "1", HOLDOUT, 1)
    await predicted(pool, MODEL, 0.1, 1)  # is let go: 0.1 × 4
    await predicted(pool, MODEL, 0.7, 1, "bob")  # is acted on: 0.3 × 1
    await predicted(pool, REGRESSION, 40_000.0, None)
    await figures.look()
    assert (shown("modelyard_recent_predictions", model=MODEL), shown("modelyard_recent_users", model=MODEL)) == (2, 2)
    assert shown("modelyard_recent_probability", model=MODEL) == pytest.approx(0.4)
    assert shown("modelyard_recent_expected_cost", model=MODEL) == pytest.approx(0.35)
    assert shown("modelyard_recent_predictions", model=REGRESSION) == 1
    assert shown("modelyard_recent_probability", model=REGRESSION) is None


async def test_old_predictions_and_more_than_enough_are_not_looked_at(pool: Pool) -> None:
    for score in (0.1, 0.2, 0.3):
        await predicted(pool, MODEL, score, None)
    await execute(pool, "SET LOCAL session_replication_role = replica; UPDATE predictions SET id = uuid7_floor(now() - interval '2 hours') WHERE score = 0.1")
    repository = FiguresRepository(pool, [MODEL])
    assert [row["predictions"] for row in await repository.recent(100)] == [2]
    assert [row["predictions"] for row in await repository.recent(1)] == [1]


async def test_runs_are_known_by_their_last_of_each_status(pool: Pool, figures: Figures) -> None:
    for status, minutes in (("failed", 90), ("succeeded", 60), ("failed", 30), ("queued", 0), ("queued", 0), ("running", 0)):
        await ran(pool, "train", status, minutes)
    await figures.look()
    ended = {
        labels["status"]: shown("modelyard_workflow_last_end_timestamp_seconds", **labels) or 0
        for labels in series("modelyard_workflow_last_end_timestamp_seconds")
    }
    assert set(ended) == {"failed", "succeeded"}
    assert ended["failed"] - ended["succeeded"] == pytest.approx(1800, abs=5)
    assert shown("modelyard_workflow_last_seconds", model=MODEL, kind="train", status="failed") == 30
    assert [shown("modelyard_workflow_runs_under_way", model=MODEL, status=status) for status in ("queued", "running")] == [2, 1]


async def test_without_the_database_figures_are_gone_and_come_back(pool: Pool, figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from services.control.figures import service

    monkeypatch.setattr(service, "EVERY_SECONDS", 0.05)
    await register(pool, MODEL, "1", HOLDOUT, 1)
    task = asyncio.create_task(figures.run())

    async def until(up: float, there: bool) -> None:
        async with asyncio.timeout(10):
            while metrics.DATABASE_UP._value.get() != up or bool(series("modelyard_champion_metric")) != there:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    try:
        await until(1, True)
        await execute(pool, "ALTER TABLE model_versions RENAME TO gone")
        await until(0, False)
        await execute(pool, "ALTER TABLE gone RENAME TO model_versions")
        await until(1, True)
    finally:
        task.cancel()


@pytest.mark.parametrize("document", [None, [], {}, {"holdout": 1}, {"holdout": {"metrics": [], "baseline": {"a": "b", "c": None}}}])
def test_what_is_no_evaluation_has_no_figures(document: Any) -> None:
    assert list(holdout(document)) == []


async def test_the_newest_reports_are_shown_and_none_but_the_newest(pool: Pool, figures: Figures) -> None:
    one = {"feature": "age", "psi": 0.31, "ks": None, "missing": 0.1, "verdict": "drift"}
    document = {"features": [one, "strange"], "score": {"feature": "score", "psi": 0.01}}
    statement = "INSERT INTO drift_reports (model, version, window_from, window_to, rows, alarm, document) VALUES (%s, '1', now(), now(), %s, %s, %s)"
    await execute(pool, statement, MODEL, 400, False, Jsonb({"features": [{"feature": "old", "psi": 1.0}]}))
    await execute(pool, statement, MODEL, 500, True, Jsonb(document))
    live = {"versions": [{"version": "3", "metrics": {"roc_auc": {"value": 0.7, "low": 0.6, "high": None}}}, None]}
    await execute(pool, "INSERT INTO performance_reports (model, rows, alarm, document) VALUES (%s, 90, false, %s)", MODEL, Jsonb(live))
    await figures.look()
    assert shown("modelyard_drift", model=MODEL, feature="age", statistic="psi") == 0.31
    assert [one["feature"] for one in series("modelyard_drift")] == ["age", "age", "score"]
    assert (shown("modelyard_drift_alarm", model=MODEL), shown("modelyard_drift_rows", model=MODEL)) == (1, 500)
    assert shown("modelyard_live_metric", model=MODEL, version="3", metric="roc_auc", figure="low") == 0.6
    assert (shown("modelyard_live_alarm", model=MODEL), shown("modelyard_live_outcomes", model=MODEL)) == (0, 90)
    await execute(pool, statement, MODEL, 10, False, Jsonb({"features": []}))
    await figures.look()
    assert series("modelyard_drift") == []
    assert shown("modelyard_drift_alarm", model=MODEL) == 0
    figures.forget()
    assert series("modelyard_drift_alarm") == []
