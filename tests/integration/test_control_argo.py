"""Workflow runs in a cluster: the true client, a real database, and an API server that stands in for the cluster's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from services.control.workflows.argo import follower, manifest, workflows
from services.control.workflows.schemas import Run
from tests.integration.control_server import control, until
from tests.kubernetes_api import KubernetesServer, recorded

MODEL = "attrition"


class Yard:
    """Control, the cluster that it uses, and the database."""

    def __init__(self, database_url: str, folder: Path, cluster: KubernetesServer) -> None:
        self.database_url = database_url
        self.cluster = cluster
        self.folder = folder

    def control(self, **more: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return control(self.database_url, self.folder / "logs", workflows="argo", **more)

    async def workflow(self) -> str:
        """The name of the only one, once it is there."""

        async def made() -> bool:
            return bool(self.cluster.workflows)

        await until(made)
        (name,) = self.cluster.workflows
        return name

    async def execute(self, statement: str, *values: Any) -> None:
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute(statement, values)


@pytest.fixture
async def yard(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    for name in ("BUSY_SECONDS", "IDLE_SECONDS", "AWAY_SECONDS"):
        monkeypatch.setattr(follower, name, 0.05)
    monkeypatch.setattr(workflows, "PAUSE_SECONDS", 0.05)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    async with KubernetesServer(tmp_path) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        yield Yard(database_url, tmp_path, cluster)


async def submit(client: httpx.AsyncClient, model: str = MODEL, kind: str = "train", **parameters: Any) -> httpx.Response:
    return await client.post("/workflows", json={"kind": kind, "model": model, "parameters": parameters, "reason": "weekly", "actor": "ada"})


async def found(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get(f"/workflows/{run['id']}")).json()
    return document


async def has_status(client: httpx.AsyncClient, run: dict[str, Any], *statuses: str) -> bool:
    return (await found(client, run))["status"] in statuses


async def ended(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    await until(partial(has_status, client, run, "succeeded", "failed", "stopped"))
    return await found(client, run)


async def test_a_run_becomes_a_workflow_and_follows_it(yard: Yard) -> None:
    async with yard.control() as client:
        answer = await submit(client, rows=600, drift=0.5)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        run, name = answer.json(), await yard.workflow()
        made = yard.cluster.workflows[name]
        assert made["spec"]["workflowTemplateRef"] == {"name": "train"}
        given = {one["name"]: one["value"] for one in made["spec"]["arguments"]["parameters"]}
        assert given == {"model": MODEL, "run": run["id"], "actor": "ada", "reason": "weekly", "rows": "600", "drift": "0.5"}
        assert made["metadata"]["labels"] == {"modelyard.dev/run": run["id"], "modelyard.dev/model": MODEL, "modelyard.dev/kind": "train"}

        status = yard.cluster.play(name, "succeeded")["status"]
        pods = {node["id"]: node for node in status["nodes"].values() if node["type"] == "Pod"}
        for node in pods.values():
            pod = f"{name}-{node['templateName']}-{node['id'].removeprefix(name + '-')}"
            first, last = (f'time="2026-11-21T19:02:09.735Z" level=info msg="{words}" argo=true' for words in ("capturing logs", "sub-process exited"))
            written = [first, f"{node['templateName']}: progress", node["outputs"].get("result", ""), f'{last} error="<nil>"', ""]
            yard.cluster.logs[pod] = "\n".join(written)
        run = await ended(client, run)
        assert (run["status"], run["error"], run["result"]["version"]) == ("succeeded", None, "1")
        assert [step["status"] for step in run["steps"]] == ["succeeded"] * 6
        yard.cluster.logs.clear()  # Argo has removed the pods
        log = (await client.get(f"/workflows/{run['id']}/logs")).text
    said = [line.split(" ", 2)[-1] for line in log.splitlines() if not line.startswith("{")]
    assert said[:4] == [f"ingest: pod {name}-ingest-725476376", "progress", "ingest ended with 0: Succeeded", f"validate: pod {name}-validate-3615668506"]
    assert "argo=true" not in log


async def test_a_failure_tells_the_last_words_of_the_log(yard: Yard) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        name = await yard.workflow()
        yard.cluster.logs[f"{name}-ingest-1146623330"] = "ingest: MLflow is away\nError: exit status 1\n"
        yard.cluster.play(name, "failed_twice")
        run = await ended(client, run)
        log = (await client.get(f"/workflows/{run['id']}/logs")).text
    assert (run["status"], run["error"]) == ("failed", "ingest ended with exit code 1: ingest: MLflow is away")
    assert "there is no log: main: Error (exit code 1)" in log, "the first attempt's pod was gone"


async def test_logs_that_a_lost_control_kept_are_read_again_while_their_pods_are_there(yard: Yard) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        name = await yard.workflow()
        yard.cluster.play(name, "bad_data")
        await ended(client, run)
    yard.cluster.logs[f"{name}-ingest-1321600706"] = "ingest: making rows\n"
    yard.folder /= "elsewhere"
    async with yard.control() as client:
        assert "ingest: making rows" in (await client.get(f"/workflows/{run['id']}/logs")).text


async def test_logs_of_pods_that_work_are_read_from_them(yard: Yard) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        name = await yard.workflow()
        workflow = yard.cluster.play(name, "succeeded")
        nodes = {node["name"].rpartition(".")[2]: node for node in workflow["status"]["nodes"].values()}
        workflow["status"]["phase"] = nodes[name]["phase"] = nodes["validate(0)"]["phase"] = nodes["validate"]["phase"] = "Running"
        nodes["train(0)"] |= {"phase": "Pending", "message": "Unschedulable: 0/1 nodes are available"}
        for gone in ("evaluate", "evaluate(0)", "register", "register(0)", "promote", "promote(0)"):
            del workflow["status"]["nodes"][nodes[gone]["id"]]
        workflow["metadata"]["labels"].pop("workflows.argoproj.io/completed")
        yard.cluster.logs[f"{name}-validate-3615668506"] = "validate: 6000 rows\n"

        async def shown() -> bool:
            return "validate: 6000 rows" in (await client.get(f"/workflows/{run['id']}/logs")).text

        await until(shown)
        yard.cluster.logs[f"{name}-validate-3615668506"] += "validate: no problem found\n"
        log = (await client.get(f"/workflows/{run['id']}/logs")).text
        assert "validate: no problem found" in log
        assert "it has not begun: Unschedulable: 0/1 nodes are available" in log
        yard.cluster.refuses["log"] = (500, "the node does not answer")
        assert "it cannot be read now: the Kubernetes API at" in (await client.get(f"/workflows/{run['id']}/logs")).text


async def test_one_of_a_model_and_so_many_at_once(yard: Yard) -> None:
    async with yard.control(workflows_at_once=2) as client:
        first, same = (await submit(client)).json(), (await submit(client)).json()
        second, third = (await submit(client, "credit_scoring")).json(), (await submit(client, "crypto_price")).json()
        await until(partial(has_status, client, second, "running"))
        await asyncio.sleep(0.3)
        assert [await has_status(client, run, "queued") for run in (first, same, second, third)] == [False, True, False, True]
        assert len(yard.cluster.workflows) == 2
        withdrawn = (await client.post(f"/workflows/{same['id']}/stop")).json()
        assert (withdrawn["status"], withdrawn["error"]) == ("stopped", "stopped before it began")
        yard.cluster.play(next(name for name in yard.cluster.workflows if "attrition" in name), "bad_data")
        assert (await ended(client, first))["error"] == "ingest found bad data: --data-dir: there is no folder /nowhere"
        await until(partial(has_status, client, third, "running"))


async def test_stopping_waits_until_no_pod_works(yard: Yard) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        name = await yard.workflow()
        yard.cluster.pods[f"{name}-train-1"] = "Running"
        stopping = asyncio.create_task(client.post(f"/workflows/{run['id']}/stop"))

        async def told() -> bool:
            return yard.cluster.workflows[name]["spec"].get("shutdown") == "Terminate"

        await until(told)
        yard.cluster.play(name, "terminated")
        await asyncio.sleep(0.3)
        assert not stopping.done(), "its pod still works"
        yard.cluster.pods[f"{name}-train-1"] = "Failed"
        stopped = (await stopping).json()
        assert (stopped["status"], stopped["error"]) == ("stopped", "stopped on request")
        assert [step["status"] for step in stopped["steps"]][:4] == ["succeeded", "succeeded", "stopped", "pending"]
        again = await client.post(f"/workflows/{run['id']}/stop")
        assert (again.status_code, again.json()["detail"]) == (409, "The run has ended already: stopped.")


async def test_a_killed_control_loses_no_run_and_doubles_none(yard: Yard) -> None:
    """One run was claimed and its Workflow never made, one made and not noted, one made and ended meanwhile."""
    columns = "id, kind, model, parameters, reason, actor, status, steps, started_at"
    insert = f"INSERT INTO workflow_runs ({columns}) VALUES (%s, 'train', %s, '{{}}', 'r', 'a', 'running', %s, now())"
    models = ["attrition", "credit_scoring", "crypto_price"]
    claimed, unnoted, over = uuid4(), uuid4(), uuid4()
    made = {}
    for run_id, model in ((unnoted, models[1]), (over, models[2])):
        run = _row(run_id, model)
        made[run_id] = manifest.workflow(run)
        made[run_id]["metadata"] |= {"uid": str(uuid4()), "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        yard.cluster.workflows[manifest.name(run)] = made[run_id]
    yard.cluster.play(made[over]["metadata"]["name"], "succeeded")
    for run_id, model, steps in ((claimed, models[0], "[]"), (unnoted, models[1], "[]"), (over, models[2], '[{"name": "ingest"}]')):
        await yard.execute(insert, run_id, model, steps)
    async with yard.control() as client:
        assert (await ended(client, {"id": over}))["status"] == "succeeded"
        name = manifest.name(_row(claimed, models[0]))

        async def is_made() -> bool:
            return name in yard.cluster.workflows

        await until(is_made)
        yard.cluster.play(name, "succeeded")
        yard.cluster.play(made[unnoted]["metadata"]["name"], "succeeded")
        for run_id in (claimed, unnoted):
            assert (await ended(client, {"id": run_id}))["status"] == "succeeded"
    assert len(yard.cluster.workflows) == 3
    assert len([line for line in yard.cluster.asked if line.startswith("POST")]) == 1


def _row(run_id: UUID, model: str) -> Run:
    nothing = dict.fromkeys(("result", "error", "started_at", "finished_at"))
    plain = {"id": run_id, "kind": "train", "model": model, "parameters": {}, "reason": "r", "actor": "a", "status": "running", "steps": []}
    return Run.model_validate(nothing | plain | {"created_at": datetime.now(UTC)})


async def test_a_workflow_that_was_deleted_fails_its_run(yard: Yard) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        name = await yard.workflow()
        await until(partial(has_status, client, run, "running"))
        await asyncio.sleep(0.2)
        del yard.cluster.workflows[name]
        assert (await ended(client, run))["error"].startswith("its Workflow is not there any more")


async def test_workflows_of_schedules_and_people_are_runs(yard: Yard) -> None:
    yard.cluster.add("succeeded")
    scheduled = yard.cluster.add("scheduled")
    async with yard.control() as client:
        await until(partial(has_status, client, {"id": scheduled["metadata"]["uid"]}, "failed"))
        runs = {run["kind"]: run for run in (await client.get("/workflows")).json()["workflows"]}
        yard.cluster.add("unknown_model")
        uid = recorded("unknown_model")["metadata"]["uid"]
        follower.WHOLE_SECONDS, before = 0.0, follower.WHOLE_SECONDS
        try:
            await until(partial(has_status, client, {"id": uid}, "failed"))
        finally:
            follower.WHOLE_SECONDS = before
        assert (await found(client, {"id": uid}))["model"] == "nope"
    assert (runs["predict"]["actor"], runs["predict"]["parameters"], runs["train"]["status"]) == ("cron", {"rows": 24}, "succeeded")
    async with yard.control() as client:
        await asyncio.sleep(0.3)
        assert len((await client.get("/workflows")).json()["workflows"]) == 3, "seen again, they are not made again"


@pytest.mark.parametrize(
    ("refuses", "words"),
    [
        ((403, 'workflows.argoproj.io is forbidden: User "x" cannot list'), "control's service account may not do that"),
        ((401, "Unauthorized"), "does not accept control's token"),
        ((503, "apiserver is shutting down"), "answers 503: apiserver is shutting down"),
        (None, "Argo Workflows is not installed in the cluster"),
    ],
)
async def test_without_argo_nothing_is_accepted_and_the_past_can_be_read(yard: Yard, refuses: tuple[int, str] | None, words: str) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        await until(partial(has_status, client, run, "running"))
        yard.cluster.installed = refuses is not None
        if refuses:
            yard.cluster.refuses["workflows"] = refuses
        refused = await submit(client, "crypto_price")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert words in refused.json()["detail"]
        assert [one["id"] for one in (await client.get("/workflows")).json()["workflows"]] == [run["id"]]
        assert (await client.get(f"/workflows/{run['id']}/logs")).status_code == 200
        assert (await client.post(f"/workflows/{run['id']}/stop")).status_code == 503
        yard.cluster.installed = True
        yard.cluster.refuses.clear()
        yard.cluster.play(await yard.workflow(), "succeeded")
        assert (await ended(client, run))["status"] == "succeeded", "it is followed again"


async def test_an_api_server_that_is_gone_is_named(yard: Yard) -> None:
    await yard.cluster.__aexit__(None, None, None)
    async with yard.control() as client:
        refused = await submit(client)
        assert refused.status_code == 503
        assert f"the Kubernetes API at {yard.cluster.url} does not answer" in refused.json()["detail"]
        assert (await client.get("/workflows")).json()["workflows"] == []


async def test_a_controller_that_takes_nothing_up_is_noticed(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    async with yard.control() as client:
        await submit(client)
        name = await yard.workflow()

        async def refused() -> bool:
            answer = await submit(client, "crypto_price")
            return answer.status_code == 503 and f"Argo's controller has not taken up the Workflow {name}" in answer.json()["detail"]

        monkeypatch.setattr(follower, "IGNORED_SECONDS", 0.0)
        await until(refused)


async def test_what_the_api_server_refuses_fails_with_its_words(yard: Yard) -> None:
    yard.cluster.refuses["POST workflows"] = (422, "spec is invalid")
    async with yard.control() as client:
        run = await ended(client, (await submit(client)).json())
    assert run["error"] == "the Kubernetes API refuses its Workflow: spec is invalid"


async def test_nothing_that_argo_would_evaluate_is_accepted(yard: Yard) -> None:
    async with yard.control() as client:
        body = {"kind": "train", "model": MODEL, "reason": "{{=sprig.env('HOME')}}", "actor": "ada"}
        refused = await client.post("/workflows", json=body | {"parameters": {"source": "files", "data_dir": "/{{x}}"}})
        assert refused.status_code == 422
        assert sorted(error["field"] for error in refused.json()["errors"]) == ["parameters.data_dir", "reason"]
        assert not yard.cluster.workflows


async def test_an_end_that_is_told_is_looked_at(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    async with yard.control() as client:
        run = (await submit(client)).json()
        name = await yard.workflow()
        monkeypatch.setattr(follower, "BUSY_SECONDS", 60.0)
        await asyncio.sleep(0.3)
        yard.cluster.play(name, "succeeded")
        await asyncio.sleep(0.3)
        assert await has_status(client, run, "running")
        assert (await client.post("/workflows/ended", json={"workflow": name, "status": "Succeeded"})).status_code == 204
        assert (await ended(client, run))["status"] == "succeeded"
        assert (await client.post("/workflows/ended", json={"workflow": name}, headers={"Authorization": "Bearer x"})).status_code == 401
