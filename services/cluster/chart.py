"""The platform's own chart: installed or upgraded, and followed until every pod is ready."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from services.cluster.images import REPOSITORY, Image
from services.cluster.kubernetes import PLATFORM
from services.local.board import Board
from services.local.failure import Failure
from services.local.paths import ROOT

RELEASE = "modelyard"
CHART = "charts/modelyard"
VALUES = ("bentos/catalogue.yaml", f"{CHART}/values/kind.yaml")
SELECTOR = f"app.kubernetes.io/instance={RELEASE}"
PATIENCE_SECONDS = 300.0
MOST_RESTARTS = 4
HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
NOT_PULLED = frozenset({"ErrImagePull", "ImagePullBackOff"})
PULL_SECONDS = 90.0
"""How long an image of somebody else's may refuse to come; ours are loaded, or never there."""


def image_values(references: Mapping[Image, str]) -> dict[str, Any]:
    """What the chart calls the images."""
    values: dict[str, Any] = {"runners": {}}
    for image, reference in references.items():
        if image.model is not None:
            values["runners"][image.model] = {"image": reference}
        else:
            values["workflows" if image.name == "pipeline" else image.name] = {"image": reference}
    return values


def apply(values: dict[str, Any], further: Sequence[Path], board: Board) -> None:
    """Helm waits for the migrations; we show the pods meanwhile. `further` are files of values that count more than ours. Raises Failure."""
    PLATFORM.kubectl("apply", "-f", str(ROOT / "k8s/namespace.yaml"), what="the namespace could not be made")
    board.show("helm", "working", f"upgrade --install {RELEASE}")
    with TemporaryDirectory(prefix="modelyard-") as folder, ThreadPoolExecutor(1) as pool:
        given = Path(folder) / "values.json"
        given.write_text(json.dumps(values), encoding="utf-8")
        files = [part for file in (*(ROOT / one for one in VALUES), given, *further) for part in ("-f", str(file))]
        command = ["upgrade", "--install", RELEASE, str(ROOT / CHART), *files, "--timeout", "5m"]
        try:
            _follow(pool.submit(PLATFORM.helm, *command, what="helm could not install the platform"), board)
        except Failure as failure:
            if any("another operation" in line for line in failure.details):
                failure.hint = (
                    f"an earlier one was interrupted: `helm -n {PLATFORM.namespace} rollback {RELEASE}`, or `uninstall` when it was the first, then try again"
                )
            raise
    board.show("helm", "done", f"release {RELEASE} in namespace {PLATFORM.namespace}")


def _follow(helm: "Future[str]", board: Board) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        installed = helm.done()
        if installed:
            helm.result()
        workloads = PLATFORM.documents("deployments,statefulsets", "-l", SELECTOR)
        late = [one["metadata"]["name"] for one in workloads if not show(board, one)]
        if installed and workloads and not late:
            return
        check_pods(board)
        if time.monotonic() > deadline:
            hint = f"kubectl -n {PLATFORM.namespace} describe pods"
            raise Failure(f"{', '.join(late) or 'the release'} was not ready within {PATIENCE_SECONDS:.0f} s", hint, _events())
        time.sleep(1)


def show(board: Board, workload: dict[str, Any]) -> bool:
    """Whether all its pods are of the newest template and ready."""
    spec, status = workload["spec"], workload.get("status", {})
    wanted, ready, updated = spec.get("replicas", 1), status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    settled = bool(seen and updated >= wanted and ready >= wanted and status.get("replicas", 0) == wanted)
    board.show(workload["metadata"]["name"], "done" if settled else "working", f"{min(ready, wanted)} of {wanted} ready")
    return settled


def check_pods(board: Board) -> None:
    """Raises Failure for what will not heal by waiting, with the pod's own last words."""
    for pod in PLATFORM.documents("pods", "-l", SELECTOR):
        name, component = pod["metadata"]["name"], pod["metadata"]["labels"].get("app.kubernetes.io/component", "")
        statuses = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
        for status in statuses:
            waiting = status["state"].get("waiting", {})
            reason, message = waiting.get("reason", ""), waiting.get("message", "")
            if reason in HOPELESS or (reason in NOT_PULLED and (REPOSITORY in status["image"] or _age(pod) > PULL_SECONDS)):
                board.show(component, "failed", reason)
                raise Failure(f"{name} cannot start: {reason}", f"kubectl -n {PLATFORM.namespace} describe pod {name}", [message] if message else [])
            if reason == "CrashLoopBackOff" and status["restartCount"] >= MOST_RESTARTS:
                board.show(component, "failed", "ends again and again")
                said = PLATFORM.kubectl("logs", name, "-c", status["name"], "--previous", "--tail=5", what=f"{name} has no log")
                raise Failure(f"{name} ends again and again", f"kubectl -n {PLATFORM.namespace} logs {name} --previous", said.splitlines())


def _age(pod: dict[str, Any]) -> float:
    """Seconds, by this machine's clock."""
    return (datetime.now(UTC) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds()


def _events() -> list[str]:
    said = PLATFORM.kubectl("get", "events", "--field-selector", "type=Warning", "--sort-by", ".lastTimestamp", what="there are no events")
    return said.splitlines()[-8:]
