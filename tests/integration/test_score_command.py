"""`modelyard score` against a real gateway, control and MLflow."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pyarrow import csv
from pyarrow import parquet as pq
from typer.testing import CliRunner

from services.cli import app
from services.commands import access
from services.local.api import Api
from tests.integration.pipeline_steps import MODEL
from tests.integration.scoring import Scoring, people, scoring


@pytest.fixture
async def scored(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scoring]:
    async with scoring(database_url, mlflow_url, tmp_path, monkeypatch, served=False) as found:
        headers, session = await found.gateway.log_in("robot")
        monkeypatch.setattr(access, "gateway", lambda: Api("the gateway", found.url, session["access_token"]))
        assert headers
        yield found


async def modelyard(*words: object, code: int = 0) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.timeout(300)
async def test_a_file_is_answered_and_its_columns_kept(scored: Scoring, tmp_path: Path) -> None:
    file = people(500, tmp_path / "people.csv")
    lines = file.read_text().splitlines()
    lines[3] += ",more"
    file.write_text("\n".join(lines))
    output = tmp_path / "answers.csv"
    said = await modelyard("score", MODEL, "--input", file, "--output", output)
    assert "499 rows answered by version 4, 3 parts are on record" in said
    assert "1 rows were refused" in said
    answers = csv.read_csv(output)
    assert answers.column("badge").to_pylist() == [f"b{number}" for number in range(500) if number != 2]
    assert set(answers.column("decision").to_pylist()) <= {"stays", "leaves"}
    refused = (tmp_path / "answers.csv.refused.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in refused] == ["row", "2"]

    (run,) = (await scored.platform.control.get("/workflows?kind=score")).json()["workflows"]
    whole = tmp_path / "answers.parquet"
    assert "499 rows" in await modelyard("score", MODEL, "--resume", run["id"], "--output", whole)
    assert pq.read_table(whole).column("row").to_pylist() == answers.column("row").to_pylist()
    assert await scored.count("scored_parts") == 3

    assert "give --input" in await modelyard("score", MODEL, code=2)
    assert "there is no file" in await modelyard("score", MODEL, "--input", "none.csv", code=2)
    assert "must end with" in await modelyard("score", MODEL, "--input", file, "--output", "x.txt", code=2)
