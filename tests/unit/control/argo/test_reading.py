"""What control makes of Workflows as Argo left them in a real cluster."""

from typing import Any
from uuid import UUID

import pytest

from services.control.workflows.argo import manifest
from services.control.workflows.argo.adoption import adopted, is_run, run_id
from services.control.workflows.argo.nodes import Attempt, Found
from services.control.workflows.argo.reading import read
from services.control.workflows.schemas import Run
from tests.kubernetes_api import recorded


def told(story: str, last_line: str = "", **status: Any) -> Run:
    document = recorded(story)
    document["status"] |= status
    found = Found(document)
    run = adopted(found)
    read(run, found, lambda _: last_line)
    return run


def steps(run: Run) -> dict[str, tuple[str, int | None]]:
    return {step.name: (step.status, step.exit_code) for step in run.steps if step.status != "pending"}


def test_a_training_that_succeeded() -> None:
    run = told("succeeded")
    assert (run.kind, run.model, run.status, run.error) == ("train", "attrition", "succeeded", None)
    assert steps(run) == dict.fromkeys(["ingest", "validate", "train", "evaluate", "register", "promote"], ("succeeded", 0))
    ingested, promoted = run.steps[0], run.steps[-1]
    assert ingested.result is not None
    assert ingested.result["rows"] == 6000
    assert run.result is not None
    assert (run.result["promoted"], run.result["version"], run.result["run_id"]) == (True, "1", ingested.result["run_id"])
    assert run.finished_at is not None
    assert promoted.finished_at is not None
    assert ingested.started_at is not None
    assert ingested.started_at < promoted.finished_at <= run.finished_at


def test_the_work_has_ended_when_its_node_has_whatever_the_exit_handler_does() -> None:
    assert told("succeeded", phase="Running").status == "succeeded"
    assert told("succeeded", phase="Error", message="the exit handler could not be scheduled").status == "succeeded"


def test_bad_data_is_told_problem_by_problem_and_was_not_tried_again() -> None:
    run = told("bad_data", "not looked at")
    assert (run.status, run.error) == ("failed", "ingest found bad data: --data-dir: there is no folder /nowhere")
    assert steps(run) == {"ingest": ("failed", 2)}
    assert len(list(Found(recorded("bad_data")).attempts())) == 1


def test_an_unknown_model_fails_with_the_last_line_of_the_log() -> None:
    words = "ingest: unknown model 'nope'; the catalogue has a, b"
    assert told("unknown_model", words).error == f"ingest ended with exit code 2: {words}"


def test_what_failed_was_tried_twice_and_the_second_pod_says_why() -> None:
    document = recorded("failed_twice")
    asked: list[Attempt] = []

    def last_line(attempt: Attempt) -> str:
        asked.append(attempt)
        return "ingest: MLflow is away"

    run = adopted(Found(document))
    read(run, Found(document), last_line)
    assert (run.status, run.error) == ("failed", "ingest ended with exit code 1: ingest: MLflow is away")
    assert [(one.verb, one.number, one.pod) for one in asked] == [("ingest", 1, "train-k447h-ingest-1146623330")]


def test_what_was_terminated_is_stopped() -> None:
    run = told("terminated")
    assert (run.status, run.error) == ("stopped", "stopped on request")
    assert steps(run) == {"ingest": ("succeeded", 0), "validate": ("succeeded", 0), "train": ("stopped", None)}


def test_parts_that_ran_side_by_side_are_one_step() -> None:
    run = told("side_by_side")
    assert steps(run) == dict.fromkeys(["ingest", "partition", "score", "gather"], ("succeeded", 0))
    score = next(step for step in run.steps if step.name == "score")
    assert score.result == {"rows": 20000, "partitions": [0, 1, 2]}
    assert run.result is not None
    assert (run.result["rows"], run.result["parts"], run.result["version"]) == (20000, 3, "2")
    found = [(one.verb, one.item, one.number) for one in Found(recorded("side_by_side")).attempts()]
    assert sorted(found) == [("gather", 0, 0), ("ingest", 0, 0), ("partition", 0, 0), *[("score", item, 0) for item in range(3)]]


def test_a_workflow_without_nodes_says_what_argo_says() -> None:
    run = told("succeeded", phase="Error", message="spec.arguments.model.value is required", nodes=None)
    assert (run.status, run.error, steps(run)) == ("failed", "Argo: spec.arguments.model.value is required", {})
    assert told("succeeded", phase="", nodes=None).status == "running"


def test_a_pod_that_was_lost_or_killed_for_its_memory_is_told_as_such() -> None:
    document = recorded("failed_twice")
    pods = [node for node in document["status"]["nodes"].values() if node["type"] == "Pod" and "ingest" in node["name"]]
    for pod in pods:
        pod["outputs"], pod["message"] = {}, "pod deleted"
    run = adopted(Found(document))
    read(run, Found(document), lambda _: "")
    assert run.error == "ingest did not end by itself: pod deleted"
    for pod in pods:
        pod["outputs"], pod["message"] = {"exitCode": "137"}, "OOMKilled (exit code 137)"
    read(run, Found(document), lambda _: "ingest: making rows")
    assert run.error == "ingest was killed by signal 9: ingest: making rows (out of memory)"


def test_what_schedules_and_people_make_becomes_a_run_of_its_own() -> None:
    scheduled = Found(recorded("scheduled"))
    run = adopted(scheduled)
    assert (run.actor, run.reason, run.kind, run.model, run.parameters) == ("cron", "schedule predict-attrition", "predict", "attrition", {"rows": 24})
    assert run.id == UUID(scheduled.document["metadata"]["uid"])
    by_hand = adopted(Found(recorded("succeeded")))
    assert (by_hand.actor, by_hand.reason, by_hand.parameters) == ("argo", "submitted to Argo", {})
    assert run.created_at.tzinfo is not None


def test_what_no_database_could_hold_is_left_out() -> None:
    document = recorded("unknown_model")
    document["spec"]["arguments"]["parameters"] = [{"name": "model", "value": "no\0pe"}, {"name": "reason", "value": "\0"}, {"name": "rows", "value": 5}]
    run = adopted(Found(document))
    assert (run.model, run.reason, run.parameters) == ("nope", "submitted to Argo", {"rows": 5})


def test_controls_own_workflow_is_its_run_and_a_copy_is_another() -> None:
    run = adopted(Found(recorded("succeeded")))
    made = manifest.workflow(run)
    made["metadata"] |= {"uid": str(UUID(int=7)), "creationTimestamp": "2026-11-21T19:00:00Z"}
    assert run_id(Found(made)) == run.id
    made["metadata"]["name"] += "-x7kl2"
    assert run_id(Found(made)) == UUID(int=7)


def test_workflows_of_others_are_none_of_our_business() -> None:
    document = recorded("succeeded")
    document["spec"] = {"entrypoint": "main", "templates": []}
    assert not is_run(Found(document))
    document["spec"] = {"workflowTemplateRef": {"name": "nightly-backup"}}
    assert not is_run(Found(document))


@pytest.mark.parametrize("kind", ["train", "score", "predict", "generate", "drift"])
def test_the_name_is_a_label_and_always_the_same(kind: str) -> None:
    run = adopted(Found(recorded("succeeded"))).model_copy(update={"kind": kind, "model": "a" * 40, "parameters": {"data_dir": "/data", "rows": 600}})
    made = manifest.workflow(run)
    assert made["metadata"]["name"] == manifest.name(run)
    assert len(made["metadata"]["name"]) <= 63
    given = {one["name"]: one["value"] for one in made["spec"]["arguments"]["parameters"]}
    assert given == {"model": run.model, "run": str(run.id), "actor": "argo", "reason": "submitted to Argo", "data-dir": "/data", "rows": "600"}
    assert made["spec"]["workflowTemplateRef"] == {"name": kind}
