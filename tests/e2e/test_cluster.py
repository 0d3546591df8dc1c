"""What is done to a platform on a cluster while somebody asks without a pause. Needs a cluster, and a platform there that has models to serve."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bentos import catalogue
from bentos.schemas import schema
from services.cluster.place import Place
from tests.e2e.calling import Calls, calling
from tests.e2e.platforms import NAMESPACE, Cluster, cluster, cluster_only, stored, token, train, within

pytestmark = cluster_only

ROOT = Path(__file__).resolve().parents[2]
MODEL = "attrition"
RUNNER = f"runner-{MODEL}"
WORKLOADS = ["statefulset/gateway", "deployment/control", f"deployment/{RUNNER}", "deployment/mlflow"]


@pytest.fixture(scope="module")
def where() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@pytest.fixture(scope="module")
def headers(where: Cluster) -> dict[str, str]:
    return token(where)


@contextmanager
def nobody_notices(where: Cluster, headers: dict[str, str], model: str = MODEL) -> Iterator[Calls]:
    """Not one request fails meanwhile, nor in the seconds before and after; and every answer is in the database."""
    with calling(f"{where.url}/predict/{model}", headers, dict(schema(model).EXAMPLE)) as calls:
        time.sleep(1)
        yield calls
        time.sleep(2)
    print(f"\n{dict(calls.statuses)}, slowest {calls.slowest:.2f} s, longest gap {calls.longest_gap():.2f} s")
    assert calls.failed == 0, (calls.statuses, calls.failures[:5])
    assert len(calls.ids) > 50
    assert stored(where, calls.ids) == len(calls.ids), "answered and not stored"


def upgrade(*settings: str) -> None:
    """With other values, each `key=value`; returns when all is ready."""
    changes = ["--reuse-values", *(f"--set={setting}" for setting in settings)]
    Place(NAMESPACE).helm("upgrade", "modelyard", str(ROOT / "charts/modelyard"), *changes, "--wait", "--timeout", "5m", what=f"upgrade with {settings}")


def settled(where: Cluster, workload: str) -> None:
    where.kubectl("rollout", "status", workload, "--timeout=180s")


def pods(where: Cluster, selector: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in where.get("pods", "-l", selector)["items"] if "deletionTimestamp" not in pod["metadata"]]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_restart_of_every_pod(where: Cluster, headers: dict[str, str], workload: str) -> None:
    with nobody_notices(where, headers):
        where.kubectl("rollout", "restart", workload)
        settled(where, workload)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_deleted_pod(where: Cluster, headers: dict[str, str], workload: str) -> None:
    component = "runner" if RUNNER in workload else workload.partition("/")[2]
    selector = f"app.kubernetes.io/component={component}" + (f",modelyard.dev/model={MODEL}" if component == "runner" else "")
    with nobody_notices(where, headers):
        where.kubectl("delete", "pod", pods(where, selector)[0])
        settled(where, workload)


@pytest.mark.parametrize("component", ["control", "mlflow"])
def test_what_predictions_do_not_need_is_away(where: Cluster, headers: dict[str, str], component: str) -> None:
    workload = f"deployment/{component}"
    with nobody_notices(where, headers):
        where.kubectl("scale", workload, "--replicas=0")
        where.kubectl("wait", "pod", "-l", f"app.kubernetes.io/component={component}", "--for=delete", "--timeout=120s")
        time.sleep(3)
        where.kubectl("scale", workload, "--replicas=1")
        settled(where, workload)


def test_new_images_of_gateway_control_and_runners(where: Cluster, headers: dict[str, str]) -> None:
    """The same programs under other names: what an upgrade does to pods, without what it would change."""
    workloads = {"gateway": "statefulset/gateway", "control": "deployment/control", f"runners.{MODEL}": f"deployment/{RUNNER}"}
    before = {value: where.get(workload)["spec"]["template"]["spec"]["containers"][0]["image"] for value, workload in workloads.items()}
    after = {value: f"{image.partition(':')[0]}:again-{int(time.time())}" for value, image in before.items()}
    for image in after.values():
        subprocess.run(["docker", "tag", f"{image.partition(':')[0]}:dev", image], check=True)
        subprocess.run(["kind", "load", "docker-image", image, "--name", "modelyard"], check=True)
    try:
        with nobody_notices(where, headers):
            upgrade(*(f"{value}.image={image}" for value, image in after.items()))
        running = {one["image"] for pod in where.get("pods")["items"] for one in pod["spec"]["containers"]}
        assert set(after.values()) <= running
    finally:
        with nobody_notices(where, headers):
            upgrade(*(f"{value}.image={image}" for value, image in before.items()))
        subprocess.run(["docker", "image", "rm", "--no-prune", *after.values()], check=False, capture_output=True)


def test_a_promotion_by_a_workflow(where: Cluster, headers: dict[str, str]) -> None:
    with nobody_notices(where, headers) as calls:
        run = train(where, MODEL, {"rows": 3000, "seed": int(time.time()) % 1000})
        assert run["status"] == "succeeded", run
        time.sleep(2)
    assert (run["result"]["version"] in {version for _, version in calls.versions}) == run["result"]["promoted"]


def test_blue_green_switches_and_back(where: Cluster, headers: dict[str, str]) -> None:
    release = [sys.executable, "-m", "services.cli", "release"]
    upgrade(f"runners.{MODEL}.strategy=bluegreen")
    try:
        settled(where, f"deployment/{RUNNER}-blue")
        settled(where, f"deployment/{RUNNER}-green")
        for verb in ("switch", "undo"):
            with nobody_notices(where, headers):
                done = subprocess.run([*release, verb, MODEL, "--namespace", NAMESPACE], capture_output=True, text=True, check=False, cwd=ROOT)
                assert done.returncode == 0, done.stdout + done.stderr
            print(done.stdout)
    finally:
        with nobody_notices(where, headers):
            upgrade(f"runners.{MODEL}.strategy=rolling")


def test_the_database_is_killed(where: Cluster, headers: dict[str, str]) -> None:
    """This model spools, so it goes on; credit scoring refuses, and comes back. What was answered is stored, by both."""
    refusing = "credit_scoring"
    body = dict(schema(refusing).EXAMPLE)
    with nobody_notices(where, headers), calling(f"{where.url}/predict/{refusing}", headers, body, connections=2) as refused:
        time.sleep(1)
        where.kubectl("delete", "pod", "postgres-0", "--grace-period=0", "--force")
        killed = time.monotonic()
        time.sleep(1)
        settled(where, "statefulset/postgres")
        deadline = killed + 60
        while not any(moment > killed + 1 for moment, _ in refused.versions):
            assert time.monotonic() < deadline, refused.failures[-3:]
            time.sleep(0.1)
        time.sleep(5)
    recovered = next(moment for moment, _ in refused.versions if moment > killed + 1) - killed
    print(f"credit_scoring: {dict(refused.statuses)}, answers again after {recovered:.1f} s")
    assert recovered <= 30
    assert set(refused.statuses) <= {"200", "503"}, (refused.statuses, refused.failures[:5])
    assert stored(where, refused.ids) == len(refused.ids), "answered and not stored"


def test_a_runner_scales_up_under_load_and_down_again(where: Cluster, headers: dict[str, str]) -> None:
    scaling = f"runners.{MODEL}.autoscaling"
    upgrade(f"{scaling}.cpu=100m", f"{scaling}.scaleDownSeconds=10")
    try:
        with calling(f"{where.url}/predict/{MODEL}", headers, dict(schema(MODEL).EXAMPLE), connections=32, pause=0) as calls:
            reach(where, 3, 240)
            new = sorted(where.get("pods", "-l", f"modelyard.dev/model={MODEL}")["items"], key=lambda pod: pod["metadata"]["creationTimestamp"])[1:]
            waits = [moment(pod, "Ready") - moment(pod, "PodScheduled") for pod in new]
            time.sleep(5)
        assert calls.failed == 0, (calls.statuses, calls.failures[:5])
        print(f"new replicas were ready {waits} s after they were scheduled")
        assert max(waits) <= 10
        reach(where, 1, 300)
    finally:
        upgrade(f"{scaling}.cpu=600m", f"{scaling}.scaleDownSeconds=300")


def moment(pod: dict[str, object], condition: str) -> float:
    found = next(one for one in pod["status"]["conditions"] if one["type"] == condition)  # type: ignore[index]
    return time.mktime(time.strptime(found["lastTransitionTime"], "%Y-%m-%dT%H:%M:%SZ"))


def reach(where: Cluster, replicas: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while where.get("deployment", RUNNER)["status"].get("readyReplicas", 0) != replicas:
        assert time.monotonic() < deadline, where.kubectl("describe", "hpa", RUNNER)
        time.sleep(2)


def test_an_unknown_model_fails_a_workflow_at_once(where: Cluster) -> None:
    submitted = where.kubectl("create", "-f", "-", "-o", "name", given=json.dumps(by_hand("nothing")))
    name = submitted.strip().partition("/")[2]
    with within(60, "to fail"):
        where.kubectl("wait", "workflow", name, "--for=jsonpath={.status.phase}=Failed", "--timeout=90s")
    words = where.kubectl("logs", "-l", f"workflows.argoproj.io/workflow={name}", "-c", "main", "--tail=50")
    assert re.search("unknown model 'nothing'.*" + ", ".join(catalogue.names()), words), words


def by_hand(model: str) -> dict[str, object]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "by-hand-"},
        "spec": {"workflowTemplateRef": {"name": "train"}, "arguments": {"parameters": [{"name": "model", "value": model}]}},
    }
