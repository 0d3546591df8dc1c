"""Workflow runs as processes, with a pipeline that does what each test needs."""

import asyncio
import json
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from mlflow import MlflowClient

from tests.integration.control_server import FAKE_PIPELINE, control, step_pids, until

VERBS = ["ingest", "validate", "train", "evaluate", "register", "promote"]


class Pipeline:
    """Control with the fake pipeline, and what the steps were called with."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.folder = folder
        self.calls_file = folder / "calls"

    def control(self, settings: Mapping[str, Any] | None = None, **modes: str) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        environment = {f"FAKE_{verb.upper()}": mode for verb, mode in modes.items()} | {"FAKE_CALLS": str(self.calls_file), "MLFLOW_TRACKING_URI": "http://m"}
        return control(self.database_url, self.folder / "logs", pipeline=FAKE_PIPELINE, environment=environment, **(settings or {}))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    @asynccontextmanager
    async def hanging(self, mode: str = "hangs", verb: str = "train") -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any], list[int]]]:
        """A run that hangs in a step, and the ids of the step's two processes."""
        async with self.control(**{verb: mode}) as client:
            run = (await submit(client)).json()
            yield client, run, await step_pids(self.calls_file)


@pytest.fixture
def pipeline(database_url: str, tmp_path: Path) -> Pipeline:
    return Pipeline(database_url, tmp_path)


async def submit(client: httpx.AsyncClient, model: str = "attrition", kind: str = "train", **parameters: Any) -> httpx.Response:
    return await client.post("/workflows", json={"kind": kind, "model": model, "parameters": parameters, "reason": "--force", "actor": "ada"})


async def ended(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    await until(partial(has_status, client, run, "succeeded", "failed", "stopped"), 20)
    found: dict[str, Any] = (await client.get(f"/workflows/{run['id']}")).json()
    return found


async def has_status(client: httpx.AsyncClient, run: dict[str, Any], *statuses: str) -> bool:
    return (await client.get(f"/workflows/{run['id']}")).json()["status"] in statuses


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


async def test_the_steps_run_in_order_and_hand_on_their_ids(pipeline: Pipeline) -> None:
    async with pipeline.control() as client:
        answer = await submit(client, rows=600, seed=3, drift=0.5)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        run = await ended(client, answer.json())
        log = (await client.get(f"/workflows/{run['id']}/logs")).text
    assert (run["status"], run["error"], [step["status"] for step in run["steps"]]) == ("succeeded", None, ["succeeded"] * 6)
    assert pipeline.calls() == [
        ["ingest", "--model=attrition", "--rows=600", "--seed=3", "--drift=0.5"],
        ["validate", "--model=attrition", "--run-id=run-1"],
        ["train", "--model=attrition", "--run-id=run-1", "--seed=3"],
        ["evaluate", "--model=attrition", "--run-id=run-1"],
        ["register", "--model=attrition", "--run-id=run-1"],
        ["promote", "--model=attrition", "--version=7", "--reason=--force"],
    ]
    assert run["result"] == {"promoted": True, "verdict": {"passed": True, "rules": []}, "run_id": "run-1", "version": "7"}
    assert [step["name"] for step in run["steps"]] == VERBS
    assert run["steps"][0]["result"]["rows"] == 600
    assert run["created_at"] <= run["started_at"] <= run["steps"][0]["started_at"] <= run["steps"][-1]["finished_at"] <= run["finished_at"]
    for verb in VERBS:
        assert f"{verb}: progress for ada" in log
        assert f"{verb} ended with 0" in log


async def test_scoring_and_predicting_are_runs_like_training(pipeline: Pipeline) -> None:
    async with pipeline.control() as client:
        scored = await ended(client, (await submit(client, kind="score", rows=600, version="4", partitions=2)).json())
        predicted = await ended(client, (await submit(client, kind="predict", rows=5, source="synthetic")).json())
        generated = await ended(client, (await submit(client, kind="generate", rows=600, seed=3, drift=0.5)).json())
    assert pipeline.calls() == [
        ["ingest", "--model=attrition", "--rows=600"],
        ["partition", "--model=attrition", "--run-id=run-1", "--version=4", "--partitions=2"],
        ["score", "--model=attrition", "--run-id=run-1"],
        ["gather", "--model=attrition", "--run-id=run-1"],
        ["predict", "--model=attrition", "--source=synthetic", "--rows=5", f"--key={predicted['id']}"],
        ["generate", "--model=attrition", "--rows=600", "--seed=3", "--drift=0.5"],
    ]
    assert (scored["kind"], scored["status"], scored["parameters"]) == ("score", "succeeded", {"rows": 600, "version": "4", "partitions": 2})
    assert scored["result"] == {"run_id": "run-1", "version": "4", "rows": 600, "parts": 2, "metrics": {"roc_auc": 0.8}}
    assert (predicted["status"], predicted["result"]["batch_id"]) == ("succeeded", "b-1")
    assert (generated["status"], generated["result"]["artifact"]) == ("succeeded", "1/run-1/artifacts/data/dataset.csv")


async def test_a_step_that_needs_evidently_runs_where_that_is(pipeline: Pipeline, mlflow_url: str, tmp_path: Path) -> None:
    """And its page can be had from control afterwards."""
    client, page = MlflowClient(mlflow_url), tmp_path / "report.html"
    page.write_text("<html>drift</html>")
    kept = client.create_run(client.create_experiment(f"evidently {uuid4()}"))
    client.log_artifact(kept.info.run_id, str(page), "evidently")
    artifact = f"{kept.info.artifact_uri.split(':/', 1)[-1].strip('/')}/evidently/report.html"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/apart\nshift 2\nexec {shlex.join(FAKE_PIPELINE)} "$@"\n')
    python.chmod(0o755)
    async with pipeline.control({"evidently": python, "mlflow_url": mlflow_url}, artifact=artifact) as control:
        run = await ended(control, (await submit(control, kind="evidently", rows=600)).json())
        found = await control.get(f"/models/attrition/drift/evidently/{run['id']}")
        missing = [await control.get(f"/models/{model}/drift/evidently/{id}") for model, id in (("credit_scoring", run["id"]), ("attrition", uuid4()))]
    assert (run["status"], [step["name"] for step in run["steps"]]) == ("succeeded", ["sample", "evidently"])
    assert pipeline.calls() == [["sample", "--model=attrition", "--rows=600"], ["evidently", "--model=attrition", "--run-id=run-1"]]
    assert (tmp_path / "apart").read_text() == "-m services.pipeline evidently --model=attrition --run-id=run-1\n"
    assert (found.status_code, found.text) == (200, "<html>drift</html>")
    assert [one.status_code for one in missing] == [404, 404]


async def test_where_evidently_is_not_installed_its_page_is_refused_at_once(pipeline: Pipeline, tmp_path: Path) -> None:
    for settings in ({}, {"evidently": tmp_path / "nothing" / "python"}):
        async with pipeline.control(settings) as client:
            refused = await submit(client, kind="evidently")
            assert (refused.status_code, refused.json()["detail"]) == (409, "Evidently is not installed beside this control: `make evidently` does it.")
            assert (await client.get("/workflows")).json()["workflows"] == []


async def test_a_check_for_drift_is_a_run_with_parameters_of_its_own(pipeline: Pipeline) -> None:
    async with pipeline.control() as client:
        checked = await ended(client, (await submit(client, kind="drift", rows=600, hours=24)).json())
        wrong = await submit(client, kind="drift", source="synthetic")
    assert pipeline.calls() == [["drift", "--model=attrition", "--rows=600", "--hours=24"], ["performance", "--model=attrition"]]
    assert (checked["status"], checked["parameters"]) == ("succeeded", {"rows": 600, "hours": 24})
    assert [step["result"]["report"] for step in checked["steps"]] == [1, 2]
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "parameters.source")


async def test_runs_are_listed_page_by_page_and_by_what_they_are(pipeline: Pipeline) -> None:
    async with pipeline.control() as client:
        made = [(await submit(client, model, kind)).json()["id"] for model in ("attrition", "credit_scoring") for kind in ("predict", "generate", "predict")]
        for wanted in ({}, {"model": "attrition"}, {"kind": "generate"}, {"model": "attrition", "kind": "predict"}):
            pages, cursor = [], ""
            while cursor is not None:
                page = (await client.get("/workflows", params={"limit": 2, **wanted, **({"cursor": cursor} if cursor else {})})).json()
                assert len(page["workflows"]) <= 2
                pages += [(one["id"], one["model"], one["kind"]) for one in page["workflows"]]
                cursor = page["next"]
            assert [one[0] for one in pages] == sorted((one[0] for one in pages), reverse=True)
            assert {one[0] for one in pages} <= set(made)
            assert all(one[1] == wanted.get("model", one[1]) and one[2] == wanted.get("kind", one[2]) for one in pages)
            assert len(pages) == {0: 6, 1: 3 if "model" in wanted else 2, 2: 2}[len(wanted)]
        assert (await client.get("/workflows", params={"cursor": str(uuid4())})).json() == {"workflows": [], "next": None}
        assert (await client.get("/workflows", params={"kind": "x"})).status_code == 422


async def test_a_version_that_the_gate_refuses_is_no_failure(pipeline: Pipeline) -> None:
    async with pipeline.control(promote="refused") as client:
        run = await ended(client, (await submit(client)).json())
    assert (run["status"], run["result"]["promoted"], run["result"]["version"]) == ("succeeded", False, "7")


async def test_bad_data_ends_the_run_with_its_problems_in_words(pipeline: Pipeline) -> None:
    async with pipeline.control(validate="bad data") as client:
        run = await ended(client, (await submit(client)).json())
    assert run["status"] == "failed"
    assert run["error"] == "validate found bad data: age: must be 18 to 70 in 5 rows (3, 9, …); left: is missing"
    assert [step["status"] for step in run["steps"]] == ["succeeded", "failed", "pending", "pending", "pending", "pending"]
    assert (run["steps"][1]["exit_code"], run["result"]) == (2, {"run_id": "run-1"})
    assert [call[0] for call in pipeline.calls()] == ["ingest", "validate"], "bad data does not heal: not tried again"


async def test_another_failure_is_tried_once_more(pipeline: Pipeline) -> None:
    async with pipeline.control(train="fails once", evaluate="fails") as client:
        run = await ended(client, (await submit(client)).json())
    assert [call[0] for call in pipeline.calls()] == ["ingest", "validate", "train", "train", "evaluate", "evaluate"]
    assert (run["status"], run["error"]) == ("failed", "evaluate ended with exit code 1: evaluate: MLflow is away")
    assert [step["status"] for step in run["steps"]][:4] == ["succeeded", "succeeded", "succeeded", "failed"]


async def test_a_step_without_a_result_fails_the_run(pipeline: Pipeline) -> None:
    async with pipeline.control(ingest="silent") as client:
        run = await ended(client, (await submit(client)).json())
    assert (run["status"], run["error"]) == ("failed", "ingest did not end with a JSON result: ''")


async def test_stopping_leaves_no_process(pipeline: Pipeline) -> None:
    async with pipeline.hanging() as (client, run, pids):
        stopped = (await client.post(f"/workflows/{run['id']}/stop")).json()
        assert (stopped["status"], stopped["error"]) == ("stopped", "stopped on request")
        assert [step["status"] for step in stopped["steps"]] == ["succeeded", "succeeded", "stopped", "pending", "pending", "pending"]
        assert not alive(pids)
        again = await client.post(f"/workflows/{run['id']}/stop")
        assert (again.status_code, again.json()["detail"]) == (409, "The run has ended already: stopped.")


async def test_who_does_not_listen_is_killed(pipeline: Pipeline) -> None:
    async with pipeline.hanging("deaf") as (client, run, pids):
        assert (await client.post(f"/workflows/{run['id']}/stop")).json()["status"] == "stopped"
        assert not alive(pids)


async def test_two_at_once_and_one_of_a_model(pipeline: Pipeline) -> None:
    async with pipeline.hanging(verb="ingest") as (client, first, _):
        same = (await submit(client)).json()
        second = (await submit(client, "credit_scoring")).json()
        third = (await submit(client, "crypto_price")).json()
        await until(partial(has_status, client, second, "running"))
        await asyncio.sleep(0.3)
        queued = (await client.get("/workflows", params={"status": "queued"})).json()["workflows"]
        assert [one["id"] for one in queued] == [third["id"], same["id"]]
        withdrawn = (await client.post(f"/workflows/{same['id']}/stop")).json()
        assert (withdrawn["status"], withdrawn["error"]) == ("stopped", "stopped before it began")
        await client.post(f"/workflows/{first['id']}/stop")
        await until(partial(has_status, client, third, "running"))
        listed = (await client.get("/workflows", params={"model": "attrition", "limit": 1})).json()["workflows"]
        assert [one["id"] for one in listed] == [same["id"]]


async def test_the_end_of_control_ends_its_runs(pipeline: Pipeline) -> None:
    async with pipeline.hanging() as (_, run, pids):
        pass
    assert not alive(pids)
    async with pipeline.control() as client:
        found = (await client.get(f"/workflows/{run['id']}")).json()
    assert (found["status"], found["error"], found["steps"][2]["status"]) == ("failed", "control was restarted", "stopped")


async def test_a_restart_fails_what_ran_and_begins_what_was_queued(pipeline: Pipeline) -> None:
    insert = (
        "INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status, steps, started_at) "
        "VALUES (%s, 'train', 'attrition', '{}', 'r', 'a', %s, %s, now())"
    )
    steps = json.dumps([{"name": "ingest", "status": "succeeded"}, {"name": "validate", "status": "running"}, {"name": "train", "status": "pending"}])
    ran, queued = uuid4(), uuid4()
    async with await psycopg.AsyncConnection.connect(pipeline.database_url) as connection:
        await connection.execute(insert, (ran, "running", steps))
        await connection.execute(insert, (queued, "queued", "[]"))
    async with pipeline.control() as client:
        assert (await ended(client, {"id": queued}))["status"] == "succeeded"
        found = (await client.get(f"/workflows/{ran}")).json()
    assert (found["status"], found["error"]) == ("failed", "control was restarted")
    assert [(step["name"], step["status"]) for step in found["steps"]] == [("ingest", "succeeded"), ("validate", "failed"), ("train", "pending")]
    assert found["finished_at"] is not None


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        ("train", {"version": "4"}, "parameters.version"),
        ("train", {"partitions": 2}, "parameters.partitions"),
        ("score", {"partitions": 33}, "parameters.partitions"),
        ("score", {"partitions": 0}, "parameters.partitions"),
        ("score", {"version": ""}, "parameters.version"),
        ("score", {"version": 4}, "parameters.version"),
        ("predict", {"rows": 0}, "parameters.rows"),
        ("predict", {"rows": 100_001}, "parameters.rows"),
        ("predict", {"version": "4"}, "parameters.version"),
        ("predict", {"source": "files"}, "parameters.data_dir"),
        ("generate", {"source": "synthetic"}, "parameters.source"),
        ("generate", {"rows": 99}, "parameters.rows"),
        ("evaluate", {}, "kind"),
    ],
)
async def test_each_kind_has_parameters_of_its_own(pipeline: Pipeline, kind: str, parameters: dict[str, Any], field: str) -> None:
    async with pipeline.control() as client:
        answer = await submit(client, kind=kind, **parameters)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"source": "live"}, "parameters.source"),
        ({"rows": 99}, "parameters.rows"),
        ({"rows": 1_000_001}, "parameters.rows"),
        ({"rows": 600.5}, "parameters.rows"),
        ({"seed": "7"}, "parameters.seed"),
        ({"seed": -1}, "parameters.seed"),
        ({"drift": 5.1}, "parameters.drift"),
        ({"drift": -0.1}, "parameters.drift"),
        ({"source": "files"}, "parameters.data_dir"),
        ({"source": "files", "data_dir": "data"}, "parameters.data_dir"),
        ({"source": "files", "data_dir": "/no/such/folder"}, "parameters.data_dir"),
        ({"data_dir": "/tmp"}, "parameters.data_dir"),  # noqa: S108 - the catalogue says synthetic
        ({"epochs": 3}, "parameters.epochs"),
    ],
)
async def test_bad_parameters_are_named(pipeline: Pipeline, parameters: dict[str, Any], field: str) -> None:
    async with pipeline.control() as client:
        answer = await submit(client, **parameters)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert (await client.get("/workflows")).json() == {"workflows": [], "next": None}


async def test_unknown_things_are_not_found(pipeline: Pipeline) -> None:
    async with pipeline.control() as client:
        for answer in (
            await submit(client, "nothing"),
            await client.get("/workflows", params={"model": "nothing"}),
            await client.get(f"/workflows/{uuid4()}"),
            await client.get(f"/workflows/{uuid4()}/logs"),
            await client.post(f"/workflows/{uuid4()}/stop"),
        ):
            assert answer.status_code == 404
        assert (await client.get("/workflows/../../etc/passwd")).status_code == 404
        assert (await client.get("/workflows/x")).status_code == 422
        assert (await client.get("/workflows", params={"status": "x"})).status_code == 422


async def test_files_are_handed_on(pipeline: Pipeline) -> None:
    async with pipeline.control() as client:
        await ended(client, (await submit(client, source="files", data_dir=str(pipeline.folder))).json())
    assert pipeline.calls()[0] == ["ingest", "--model=attrition", "--source=files", f"--data-dir={pipeline.folder}"]
    assert os.environ.get("FAKE_CALLS") is None
