"""Files and tables of any size: every row once, whatever is killed meanwhile, with the answers that a runner gives."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg
import pytest

from bentos import contract
from bentos.serving import artifact
from tests.integration.control_server import until
from tests.integration.pipeline_steps import MODEL
from tests.integration.scoring import Scoring, environment, people, scoring, submitted

ROWS = 6000


@pytest.fixture
async def scored(database_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scoring]:
    async with scoring(database_url, mlflow_url, tmp_path, monkeypatch) as found:
        yield found


def text_of(file: str) -> str:
    return Path(file).read_text()


async def test_both_audits_give_the_answers_of_a_runner_and_records_that_fit(scored: Scoring, tmp_path: Path) -> None:
    file = people(500, tmp_path / "people.parquet")
    found = {audit: await scored.steps("--input", str(file), audit=audit) for audit in ("summary", "rows")}
    tables = {audit: await scored.table(one["run_id"]) for audit, one in found.items()}
    assert tables["summary"].equals(tables["rows"].drop_columns("prediction_id"))
    assert await scored.count() == 500, "audit rows alone records rows"
    assert tables["summary"].column("badge").to_pylist() == [f"b{number}" for number in range(500)]
    assert tables["summary"].column("row").to_pylist() == list(range(500))

    served = (await scored.platform.control.get(f"/serving/{MODEL}")).json()
    version = (await scored.platform.control.get(f"/models/{MODEL}/versions/4")).json()
    folder = Path(scored.platform.mlflow.download_artifacts(version["run_id"], "model", str(tmp_path)))
    examples = contract.train(MODEL).examples(contract.data(MODEL).synthetic(500, 3, 0.0))
    expected = artifact.read(folder, MODEL, version["sha256"]).score_columns(examples.columns, 500)
    assert np.array_equal(tables["rows"].column("probability").to_numpy(), expected)
    for audit, one in found.items():
        records = await scored.records(one["run_id"])
        assert [(record["rows"], record["version"], record["policy_version"], record["audit"]) for record in records] == [
            (rows, "4", served["policy"]["version"], audit) for rows in (200, 200, 100)
        ]
        assert (one["rows"], one["refused"], sum(one["decisions"].values())) == (500, 0, 500)
        assert all((record["batch_id"] is not None) == (audit == "rows") for record in records)
    rows = await scored.gateway.query("SELECT id::text FROM predictions ORDER BY id")
    assert {row[0] for row in rows} == set(tables["rows"].column("prediction_id").to_pylist())


async def test_bad_rows_are_refused_by_name_and_the_others_answered(scored: Scoring, tmp_path: Path) -> None:
    lines = people(300, tmp_path / "people.csv").read_text().splitlines()
    header = lines[0].split(",")
    cells = lines[5].split(",")
    cells[header.index("age")] = "7"
    lines[5] = ",".join(cells)
    cells[header.index("age")] = "abc"
    lines[251] = ",".join(cells)
    lines[7] += ",too,many"
    file = tmp_path / "bad.csv"
    file.write_text("\n".join(lines) + "\n\n")
    found = {audit: await scored.steps("--input", str(file), audit=audit) for audit in ("summary", "rows")}
    for one in found.values():
        assert (one["rows"], one["refused"]) == (297, 3)
        text = text_of(scored.platform.mlflow.download_artifacts(one["run_id"], "scoring/refused.csv", str(tmp_path))).splitlines()
        assert [line.split(",")[:2] for line in text] == [["row", "field"], ["4", "age"], ["6", "row"], ["250", "age"]]
        assert (text[1].endswith(",7"), text[3].endswith(",abc")) == (True, True)
    whole = await scored.table(found["summary"]["run_id"])
    assert whole.column("row").to_pylist() == [number for number in range(300) if number not in (4, 6, 250)]
    assert whole.equals((await scored.table(found["rows"]["run_id"])).drop_columns("prediction_id"))
    assert await scored.count() == 297


async def test_what_cannot_be_scored_is_refused_before_anything_is(scored: Scoring, tmp_path: Path) -> None:
    file = people(20, tmp_path / "people.csv")
    lines = file.read_text().splitlines()
    for name, text in {
        "lacks": "badge\n1\n",
        "empty": lines[0] + "\n",
        "answer": "\n".join([lines[0] + ",probability", lines[1] + ",1"]),
    }.items():
        wrong = tmp_path / f"{name}.csv"
        wrong.write_text(text)
        said = await scored.platform.here("ingest", "--input", str(wrong), code=2)
        assert said["problems"], name
    missing = await scored.platform.here("ingest", "--input", str(tmp_path / "none.parquet"), code=2)
    assert "cannot be read here" in missing["problems"][0]["rule"]
    assert await scored.count("scored_parts") == 0
    for wrong in ({"input": "people.csv"}, {"input": str(file), "rows": 100}, {"audit": "rows"}, {"input": "table:a;b"}):
        asked = {"kind": "score", "model": MODEL, "parameters": wrong, "reason": "tested", "actor": "ada"}
        assert (await scored.platform.control.post("/workflows", json=asked)).status_code == 422, wrong


async def test_a_table_is_read_by_name_alone_and_never_changed(scored: Scoring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = people(300, tmp_path / "people.csv")
    frame = contract.data(MODEL).synthetic(300, 3, 0.0).drop(columns=contract.train(MODEL).TARGET)
    async with await psycopg.AsyncConnection.connect(scored.database_url) as connection:
        kinds = {"i": "bigint", "f": "double precision", "b": "boolean"}
        columns = ", ".join(f'"{name}" {kinds.get(frame[name].dtype.kind, "text")}' for name in frame)
        await connection.execute(f"CREATE SCHEMA staff; CREATE TABLE staff.people (badge text, {columns})")
        async with connection.cursor().copy("COPY staff.people FROM STDIN (FORMAT csv, HEADER)") as copy:
            await copy.write(file.read_bytes())
    unset = await scored.platform.here("ingest", "--input=table:staff.people", code=2)
    assert unset == {}
    monkeypatch.setenv("PIPELINE_TABLES_URL", scored.database_url)
    found = await scored.steps("--input", "table:staff.people")
    of_file = await scored.steps("--input", str(file))
    table, other = await scored.table(found["run_id"]), await scored.table(of_file["run_id"])
    assert table.select(["row", "badge", "probability", "decision"]).equals(other.select(["row", "badge", "probability", "decision"]))
    assert (await scored.platform.here("ingest", "--input=table:staff.nobody", code=2))["problems"]
    assert (await scored.platform.here("ingest", '--input=table:people"; DROP TABLE staff.people', code=2))["problems"]


async def test_a_file_of_a_run_is_read_by_its_address(scored: Scoring, tmp_path: Path) -> None:
    file = people(300, tmp_path / "people, 50 %.parquet")
    run_id = (await scored.platform.control.get(f"/models/{MODEL}/versions/4")).json()["run_id"]
    await asyncio.to_thread(scored.platform.mlflow.log_artifact, run_id, str(file), "given")
    assert (await scored.platform.here("ingest", f"--input=runs:/{run_id}/given/{file.name}"))["rows"] == 300
    assert await scored.platform.here("ingest", f"--input=runs:/{run_id}/given/none.parquet", code=2) == {}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("audit", ["summary", "rows"])
async def test_a_step_that_is_killed_goes_on_with_the_parts_that_are_missing(scored: Scoring, tmp_path: Path, audit: str) -> None:
    """Control makes a second attempt by itself; the first is killed with its whole group."""
    file = people(ROWS, tmp_path / "people.parquet")
    run = await submitted(scored.platform.control, input=str(file), audit=audit)
    killed = await _kill_in_the_middle(scored, run)
    ended: dict[str, Any] = {}

    async def over() -> bool:
        ended.update((await scored.platform.control.get(f"/workflows/{run}")).json())
        return ended["status"] not in ("queued", "running")

    await until(over, 200)
    assert ended["status"] == "succeeded", ended["error"]
    score = next(step["result"] for step in ended["steps"] if step["name"] == "score")
    assert killed <= score["parts_done_before"] < 30
    assert score["parts"] + score["parts_done_before"] == 30
    await _whole(scored, ended["result"]["run_id"], audit)


async def _kill_in_the_middle(scored: Scoring, run: str) -> int:
    """How many parts were done when the group of the step `score` was killed."""
    done = 0

    async def begun() -> bool:
        nonlocal done
        done = await scored.count("scored_parts")
        return done >= 2

    await until(begun, 120)
    (leader,) = [one for one in psutil.Process().children(recursive=True) if "score" in one.cmdline() and os.getpgid(one.pid) == one.pid]
    os.killpg(leader.pid, signal.SIGKILL)
    assert done < 30, "too late to kill anything"
    return done


async def _whole(scored: Scoring, run_id: str, audit: str) -> None:
    table = await scored.table(run_id)
    assert table.column("row").to_pylist() == list(range(ROWS))
    assert await scored.count("scored_parts") == 30
    assert await scored.count() == (ROWS if audit == "rows" else 0)
    if audit == "rows":
        stored = {row[0] for row in await scored.gateway.query("SELECT id::text FROM predictions")}
        assert stored == set(table.column("prediction_id").to_pylist())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("audit", ["summary", "rows"])
async def test_after_its_parent_is_killed_no_process_works_on_and_a_new_run_resumes(scored: Scoring, tmp_path: Path, audit: str) -> None:
    """As after kill -9 of control: the step goes with it, and somebody asks for the rest."""
    given = f"--input={people(ROWS, tmp_path / 'people.parquet')}"
    run_id = (await scored.platform.here("ingest", given))["run_id"]
    await scored.platform.here("partition", "--run-id", run_id, "--audit", audit, given)
    command = [sys.executable, "-m", "services.pipeline", "score", "--model", MODEL, "--run-id", run_id, given]
    step = await asyncio.create_subprocess_exec(*command, env=environment(scored.platform), start_new_session=True, stderr=asyncio.subprocess.DEVNULL)

    async def begun() -> bool:
        assert step.returncode is None
        return await scored.count("scored_parts") >= 2

    await until(begun, 120)
    workers = psutil.Process(step.pid).children(recursive=True)
    step.kill()
    await step.wait()

    async def gone() -> bool:
        return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)

    await until(gone, 20)
    resume = f"--resume={run_id}"
    assert (await scored.platform.here("ingest", resume))["run_id"] == run_id
    await scored.platform.here("partition", "--run-id", run_id, resume)
    other = "rows" if audit == "summary" else "summary"
    await scored.platform.here("partition", "--run-id", run_id, resume, "--audit", other, code=2)
    result = await scored.platform.here("score", "--run-id", run_id, resume, "--partition=0")
    assert result["parts"] + result["parts_done_before"] <= 30
    await scored.platform.step("score", "--run-id", run_id, resume)
    assert (await scored.platform.here("gather", "--run-id", run_id, resume))["rows"] == ROWS
    await _whole(scored, run_id, audit)
