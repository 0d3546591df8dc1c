"""The WorkflowTemplates against what they are made for: control's submissions, the pipeline's command line, Pod Security *restricted*."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.control.workflows.schemas import PARAMETERS
from services.control.workflows.steps import HANDED_ON, STEPS
from services.pipeline.arguments import parse

FOLDER = Path(__file__).resolve().parents[2] / "argo-workflows"
KINDS = sorted(PARAMETERS)
ADDED = {"partition"}
"""Options that only Argo needs: on one machine all partitions are scored one after the other."""

Template = dict[str, Any]


@cache
def spec(kind: str) -> dict[str, Any]:
    document = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text())
    assert (document["kind"], document["metadata"]["name"]) == ("WorkflowTemplate", kind)
    return dict(document["spec"])


def templates(kind: str) -> dict[str, Template]:
    return {template["name"]: template for template in spec(kind)["templates"]}


def pods(kind: str) -> dict[str, Template]:
    return {name: template for name, template in templates(kind).items() if "container" in template}


def tasks(kind: str) -> dict[str, dict[str, Any]]:
    return {task["name"]: task for task in templates(kind)["main"]["dag"]["tasks"]}


def options(template: Template) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in template["container"]["args"][1:])


def test_argo_accepts_them() -> None:
    if shutil.which("argo") is None:
        pytest.skip("the program `argo` is not on the PATH")
    linted = subprocess.run(["argo", "lint", "--offline", str(FOLDER)], capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_kustomize_has_all_of_them() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == [f"{kind}.yaml" for kind in KINDS] == sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_those_of_a_submission(kind: str) -> None:
    given = {one["name"]: one for one in spec(kind)["arguments"]["parameters"]}
    own = {name.replace("_", "-") for name in PARAMETERS[kind].model_fields}
    assert set(given) == {"model", "run", "actor", "reason"} | own
    assert [name for name, one in given.items() if "value" not in one] == ["model"], "all else may be left out"
    assert {given[name]["value"] for name in own | {"run"}} == {""}
    assert all(one["description"] for one in given.values())


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_one_machine_in_the_same_order_with_the_same_options(kind: str) -> None:
    assert list(tasks(kind)) == [step.verb for step in STEPS[kind]]
    before = None
    for step in STEPS[kind]:
        task = tasks(kind)[step.verb]
        assert (task["template"], task.get("depends")) == (step.verb, before)
        before = step.verb
        pod = templates(kind)[step.verb]
        assert pod["container"]["args"][0] == step.verb
        assert set(options(pod)) - ADDED == {"model", *(name.replace("_", "-") for name in step.needs + step.takes)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_line_understands_every_pod_with_and_without_values(kind: str) -> None:
    values = {"source": "files", "rows": "600", "seed": "3", "drift": "0.5", "partitions": "2", "partition": "1"}
    values |= {"hours": "24", "interval": "60", "rollout": "shadow", "limit": "9", "audit": "rows"}
    optional = [f"{{{{workflow.parameters.{one['name']}}}}}" for one in spec(kind)["arguments"]["parameters"] if one.get("value") == ""]
    for name, pod in pods(kind).items():
        given = options(pod)
        parsed = parse([name, *(f"--{option}={values.get(option, 'x')}" for option in given)])
        assert {option.replace("-", "_") for option in given} <= set(parsed)
        needed = [f"--{option}={values.get(option, 'x')}" for option, tag in given.items() if tag not in optional]
        empty = [f"--{option}=" for option, tag in given.items() if tag in optional]
        assert parse([name, *empty, *needed]) == parse([name, *needed]), "an empty parameter is one that is not given"


@pytest.mark.parametrize("kind", KINDS)
def test_ids_come_from_the_step_that_gives_them(kind: str) -> None:
    giver = {"run_id": STEPS[kind][0].verb, "version": "register"}
    for step in STEPS[kind]:
        passed = {one["name"]: one["value"] for one in tasks(kind)[step.verb].get("arguments", {}).get("parameters", [])}
        expected = {name.replace("_", "-"): f"{{{{=jsonpath(tasks.{giver[name]}.outputs.result, '$.{name}')}}}}" for name in step.needs if name in HANDED_ON}
        assert {name: value for name, value in passed.items() if name not in ADDED} == expected
        assert {one["name"] for one in templates(kind)[step.verb].get("inputs", {}).get("parameters", [])} == set(passed)


@pytest.mark.parametrize("kind", KINDS)
def test_every_result_is_named_so_that_argo_keeps_it(kind: str) -> None:
    named = {one["name"]: one["valueFrom"]["parameter"] for one in templates(kind)["main"]["outputs"]["parameters"]}
    assert named == {verb: f"{{{{tasks.{verb}.outputs.result}}}}" for verb in tasks(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_may_heal_is_tried_again_and_nothing_lasts_for_ever(kind: str) -> None:
    once_more = {"limit": "1", "retryPolicy": "Always", "expression": "asInt(lastRetry.exitCode) != 2", "backoff": {"duration": "10s"}}
    longest = 0
    for name, pod in pods(kind).items():
        assert pod.get("retryStrategy") == (once_more if name in tasks(kind) else None)
        assert 0 < pod["activeDeadlineSeconds"] < spec(kind)["activeDeadlineSeconds"]
        longest = max(longest, pod["activeDeadlineSeconds"])
    assert longest < spec(kind)["activeDeadlineSeconds"] <= 3600


@pytest.mark.parametrize("kind", KINDS)
def test_pods_are_restricted_and_bounded(kind: str) -> None:
    account = spec(kind)["securityContext"]
    assert (account["runAsNonRoot"], account["runAsUser"], account["runAsGroup"], account["seccompProfile"]) == (True, 10001, 10001, {"type": "RuntimeDefault"})
    assert spec(kind)["serviceAccountName"] == "workflow"
    (volume,) = spec(kind)["volumes"]
    assert volume["emptyDir"]["sizeLimit"]
    for name, pod in pods(kind).items():
        container, image = pod["container"], "evidently" if name == "evidently" else "pipeline"
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in the pod
        assert container["command"] == ["python", "-m", "services.pipeline"], "else Argo asks a registry for the image's entrypoint"
        assert (container["image"], container["imagePullPolicy"]) == (f"modelyard/{image}:dev", "IfNotPresent")
        assert container["resources"]["requests"]["cpu"] == "100m"
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_a_model_at_a_time_with_failed_pods_kept_and_control_told(kind: str) -> None:
    found = spec(kind)
    assert found["synchronization"] == {"mutexes": [{"name": f"{kind}-{{{{workflow.parameters.model}}}}"}]}
    assert found["podGC"]["strategy"] == "OnWorkflowSuccess"
    assert found["ttlStrategy"]["secondsAfterFailure"] > found["ttlStrategy"]["secondsAfterSuccess"] > 0
    (((last,),),) = (templates(kind)[found["onExit"]]["steps"],)
    assert (last["template"], last["continueOn"]) == ("tell-control", {"failed": True, "error": True}), "that it fails must not fail the workflow"
    assert found["podMetadata"]["labels"]["app.kubernetes.io/component"] == "workflow"


def test_only_the_step_that_needs_it_gets_the_key_of_the_gateway() -> None:
    having = {
        (kind, name) for kind in KINDS for name, pod in pods(kind).items() if any(one["name"] == "PIPELINE_GATEWAY_KEY" for one in pod["container"]["env"])
    }
    assert having == {("predict", "predict"), ("forecast", "forecast"), ("score", "score")}


def test_only_the_step_that_reads_tables_gets_the_address_of_their_database() -> None:
    having = {
        (kind, name) for kind in KINDS for name, pod in pods(kind).items() if any(one["name"] == "PIPELINE_TABLES_URL" for one in pod["container"]["env"])
    }
    assert having == {("score", "ingest")}
