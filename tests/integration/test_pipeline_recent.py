"""Training from live traffic: the rule of docs/retraining.md, from the audit to a version that is better on what came last."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from bentos import contract
from services.kit.ids import floor_of
from services.pipeline import dataset
from tests.integration.pipeline_steps import MODEL, Platform, running

ROWS = 1500


@pytest.fixture
async def platform(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    async with running(database_url, mlflow_url, tmp_path, monkeypatch) as found:
        yield found


def answered(database_url: str, rows: int, seed: int, drift: float, version: str, unknown: int = 10) -> list[datetime]:
    """Drifted rows in the audit, a second apart, with outcomes for all but the last `unknown`."""
    frame = contract.data(MODEL).synthetic(rows, seed, drift)
    target = contract.train(MODEL).TARGET
    fields = contract.kinds(contract.schema(MODEL).Input)
    inputs = contract.rows_of_columns(contract.columns_of_frame(frame, fields), fields)
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=rows + 60)
    moments = [begin + timedelta(seconds=number) for number in range(rows)]
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO predictions (id, created_at, model, model_version, username, request_id, input, output, score, decision, latency_ms) "
            "VALUES (%s, %s, %s, %s, 'ada', 'r', %s, '{}', 0.2, 'stays', 1)",
            [(floor_of(at), at, MODEL, version, Jsonb(row)) for at, row in zip(moments, inputs, strict=True)],
        )
        cursor.executemany(
            "INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, %s, 'bob')",
            [(floor_of(at), float(value)) for at, value in zip(moments[: rows - unknown], frame[target], strict=False)],
        )
    return moments


async def trained(platform: Platform, *arguments: object) -> tuple[str, str]:
    """Run and version."""
    run_id, registered = await platform.registered(*arguments)
    return run_id, registered["version"]


def frame_of(platform: Platform, run_id: str, folder: Path) -> pd.DataFrame:
    return pd.read_parquet(platform.mlflow.download_artifacts(run_id, "data/dataset.parquet", str(folder)))


async def test_the_newest_outcomes_judge_what_learned_from_the_others(platform: Platform, database_url: str, tmp_path: Path) -> None:
    _, first = await trained(platform, "--rows", 4000, "--seed", 11)
    await platform.step("promote", "--version", first)
    moments = answered(database_url, ROWS, 5, 1.0, first)
    run_id, second = await trained(platform, "--source", "recent")
    assert second != first

    frame = frame_of(platform, run_id, tmp_path)
    recent = frame[frame[dataset.AT].notna()]
    assert (len(recent), len(frame) - len(recent)) == (ROWS - 10, 2000)
    assert recent[dataset.AT].tolist() == [moment.timestamp() for moment in moments[: ROWS - 10]]
    params = platform.mlflow.get_run(run_id).data.params
    assert (params["reference"], params["reference_rows"], params["recent_rows"]) == (f"version {first}", "2000", str(ROWS - 10))
    stored = (await platform.control.get(f"/models/{MODEL}/versions/{second}")).json()
    assert stored["source"] == "recent"
    assert stored["metrics"]["holdout"]["rows"] == round((ROWS - 10) / 5), "a fifth of the answered rows, the newest, and nothing else"

    verdict = (await platform.step("promote", "--version", second, "--reason", "drift: distances have moved"))["verdict"]
    improvement = next(rule for rule in verdict["rules"] if rule["rule"] == "improvement")
    assert verdict["passed"], verdict
    assert "real data replaces invented data" not in improvement["words"], "it has to be as good as the champion on the same rows"
    assert improvement["value"] > -0.02

    # The next one begins with the same reference, and reads what is recent anew.
    third = frame_of(platform, (await platform.step("ingest", "--source", "recent"))["run_id"], tmp_path)
    names = [name for name in frame if name != dataset.AT]
    pd.testing.assert_frame_equal(third[third[dataset.AT].isna()][names], frame[frame[dataset.AT].isna()][names])
    assert len(third) == len(frame)


async def test_too_few_outcomes_are_told_before_anything_begins(platform: Platform, database_url: str) -> None:
    answered(database_url, 300, 5, 1.0, "1")
    ended = await platform.step("ingest", "--source", "recent", code=2)
    assert ended["problems"] == [
        {"column": "outcomes", "rule": "at least 500 answered rows with an outcome are needed, there are 290", "rows": [], "count": 1},
    ]


async def test_outcomes_of_one_kind_teach_nothing(platform: Platform, database_url: str) -> None:
    answered(database_url, 600, 5, 0.0, "1")
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO outcomes (prediction_id, value, actor) SELECT prediction_id, 0, 'bob' FROM outcomes")
    ended = await platform.step("ingest", "--source", "recent", code=2)
    assert "found 118 times 0 and 0 times 1" in ended["problems"][0]["rule"]


async def test_a_series_has_no_recent_rows(platform: Platform) -> None:
    ended = await platform.step("ingest", "--source", "recent", code=2, model="crypto_price")
    assert "its feed has what is new" in ended["problems"][0]["rule"]


def test_the_same_rows_in_other_types_are_the_same_examples() -> None:
    from services.pipeline.recent import alike

    reference = pd.DataFrame({"whole": [1, 2], "number": [1.5, np.nan], "text": ["a", "b"], dataset.AT: [np.nan, np.nan]})
    found = alike(pd.DataFrame({"number": [2, None], "text": ["c", None], "whole": [3.0, 4.0], dataset.AT: [1.0, 2.0]}), reference)
    assert list(found) == list(reference)
    assert list(found.dtypes) == list(reference.dtypes)
    assert found["text"].isna().tolist() == [False, True]
    gaps = alike(pd.DataFrame({"number": [1], "text": ["c"], "whole": [None], dataset.AT: [1.0]}), reference)
    assert gaps["whole"].isna().all()
