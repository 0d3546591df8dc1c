"""What local clusters need and no cluster has to be there for."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bentos import catalogue
from services.cluster import bento, chart, images, loading
from services.cluster.images import Built, Image
from services.cluster.place import Place
from services.local.board import Board
from services.local.failure import Failure


def test_the_chart_gets_every_image_by_its_own_value() -> None:
    references = {image: image.reference("x") for image in images.chosen([])}
    values = chart.image_values(references)
    assert values["workflows"] == {"image": "modelyard/pipeline:x"}
    assert {name for name in values if name != "runners"} == {"gateway", "control", "mlflow", "workflows", "frontend"}
    assert values["runners"] == {model: {"image": f"modelyard/runner-{model.replace('_', '-')}:x"} for model in catalogue.names()}


def built(name: str, content: str) -> Built:
    return Built(Image(name), f"modelyard/{name}:dev", 1.0, content)


def node(*names: str) -> dict[str, Any]:
    return {"status": {"images": [{"names": [f"docker.io/{name}"]} for name in names] + [{"sizeBytes": 1}]}}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is run instead of being run."""
    found: list[tuple[str, ...]] = []

    def run(*command: str, what: str, **_: Any) -> str:
        found.append(command)
        return ""

    monkeypatch.setattr("services.cluster.programs.run", run)
    return found


def test_bentoml_is_given_a_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of `make up` has none, and no pip to install one."""
    given: list[dict[str, str]] = []
    monkeypatch.setattr("services.cluster.programs.run", lambda *_, environment, **__: given.append(environment))
    monkeypatch.setattr("services.local.bootstrap_uv.find", lambda: tmp_path / "uv")
    bento.build("attrition", tmp_path, "1")
    assert given[0]["PATH"].split(os.pathsep)[0] == str(tmp_path)


def test_only_what_some_node_lacks_is_loaded(monkeypatch: pytest.MonkeyPatch, commands: list[tuple[str, ...]]) -> None:
    old, new = built("gateway", "a" * 64), built("control", "b" * 64)
    monkeypatch.setattr(Place, "documents", lambda *_: [node(loading.name(old), loading.name(new)), node(loading.name(old))])
    told: list[int] = []
    assert loading.load_missing([old, new], told.append) == 1
    assert told == [1]
    assert commands[0] == ("docker", "tag", "modelyard/control:dev", "modelyard/control:dev-bbbbbbbbbbbb")
    assert commands[1][:2] == ("docker", "save")
    assert commands[2][:3] == ("kind", "load", "image-archive")
    assert commands[3] == ("docker", "image", "rm", "--no-prune", "modelyard/control:dev-bbbbbbbbbbbb")


def test_nothing_is_run_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch, commands: list[tuple[str, ...]]) -> None:
    one = built("gateway", "a" * 64)
    monkeypatch.setattr(Place, "documents", lambda *_: [node(loading.name(one))])
    assert loading.load_missing([one], lambda _: pytest.fail("nothing begins")) == 0
    assert commands == []


def pod(waiting: dict[str, str], restarts: int = 0, image: str = "modelyard/runner-x:dev", age: float = 0) -> dict[str, Any]:
    status = {"name": "main", "image": image, "state": {"waiting": waiting}, "restartCount": restarts}
    made = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    return {"metadata": {"name": "runner-x-1", "labels": {}, "creationTimestamp": made}, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_a_pod_that_cannot_start_ends_the_wait_with_its_reason(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "documents", lambda *_: [pod({"reason": reason, "message": "it says why"})])
    with Board() as board, pytest.raises(Failure, match=f"runner-x-1 cannot start: {reason}") as caught:
        chart.check_pods(board)
    assert caught.value.details == ["it says why"]


def test_an_image_of_a_registry_is_given_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [pod({"reason": "ErrImagePull", "message": "no such host"}, image="grafana/grafana:1")]
    monkeypatch.setattr(Place, "documents", lambda *_: found)
    with Board() as board:
        chart.check_pods(board)
        found[:] = [pod({"reason": "ErrImagePull", "message": "no such host"}, image="grafana/grafana:1", age=chart.PULL_SECONDS + 1)]
        with pytest.raises(Failure, match="cannot start: ErrImagePull"):
            chart.check_pods(board)


def test_a_pod_that_crashes_is_given_some_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "kubectl", lambda *_, **__: "first\nlast words\n")
    found = [pod({"reason": "CrashLoopBackOff"}, restarts=1)]
    monkeypatch.setattr(Place, "documents", lambda *_: found)
    with Board() as board:
        chart.check_pods(board)
        found[:] = [pod({"reason": "CrashLoopBackOff"}, restarts=chart.MOST_RESTARTS)]
        with pytest.raises(Failure, match="ends again and again") as caught:
            chart.check_pods(board)
    assert caught.value.details[-1] == "last words"


def test_a_workload_is_settled_when_all_its_pods_are_new_and_ready() -> None:
    workload: dict[str, Any] = {
        "metadata": {"name": "gateway", "generation": 3},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2},
    }
    with Board() as board:
        assert chart.show(board, workload)
        for change in ({"observedGeneration": 2}, {"updatedReplicas": 1}, {"readyReplicas": 1}, {"replicas": 3}):
            changed = json.loads(json.dumps(workload))
            changed["status"] |= change
            assert not chart.show(board, changed), change
