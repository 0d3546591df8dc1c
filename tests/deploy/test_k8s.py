"""What stands in k8s/, compared with what it must agree with."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from services.cluster import argo, kubernetes
from services.commands.kind import GATEWAY
from tests.conftest import ROOT

FOLDER = ROOT / "k8s"


def document(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_the_cluster_file_maps_the_charts_node_ports() -> None:
    cluster = document("k8s/kind.yaml")
    assert (cluster["kind"], cluster["apiVersion"], cluster["name"]) == ("Cluster", "kind.x-k8s.io/v1alpha4", kubernetes.NAME)
    mapped = {one["containerPort"]: one for node in cluster["nodes"] for one in node["extraPortMappings"]}
    assert all(one["listenAddress"] == "127.0.0.1" for one in mapped.values())

    def ports(value: Any) -> set[int]:
        if not isinstance(value, dict):
            return set()
        own = {value["nodePort"]} if value.get("nodePort") else set()
        return own.union(*(ports(part) for part in value.values()))

    assert set(mapped) == ports(document("charts/modelyard/values/kind.yaml"))
    port = document("charts/modelyard/values/kind.yaml")["gateway"]["service"]["nodePort"]
    assert f"http://127.0.0.1:{mapped[port]['hostPort']}" == GATEWAY


def test_the_namespace_enforces_restricted() -> None:
    namespace = document("k8s/namespace.yaml")
    assert namespace["metadata"]["name"] == kubernetes.PLATFORM.namespace
    labels = namespace["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_third_party_charts_are_pinned_and_have_values() -> None:
    said = (FOLDER / "README.md").read_text()
    for name, chart in argo.third_party().items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", chart["version"]), name
        assert isinstance(document(f"k8s/{chart['values']}"), dict)
        assert f"--repo {chart['repository']} --version {chart['version']}" in said, name
        assert f"-n {chart['namespace']} --create-namespace -f k8s/{chart['values']}" in said, name


def test_argos_own_containers_pass_pod_security() -> None:
    context = document("k8s/argo-workflows.yaml")["executor"]["securityContext"]
    assert context["runAsNonRoot"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["seccompProfile"]["type"] == "RuntimeDefault"
    assert document("k8s/argo-workflows.yaml")["controller"]["workflowNamespaces"] == [kubernetes.PLATFORM.namespace]


@pytest.mark.parametrize("command", ["kind", "images"])
def test_without_docker_a_sentence_says_so(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", command], cwd=ROOT, env={"PATH": "/nowhere", "HOME": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "modelyard: docker is not on this machine"
    assert "https://docs.docker.com" in done.stderr
