"""Every arrow that the platform needs works, and every other one is refused: tried by pods that look like each component. Needs a cluster."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.flows import COMPONENTS, FLOWS, MONITORING, PORTS
from tests.e2e.platforms import Cluster, cluster, cluster_only

pytestmark = cluster_only

STRANGER = "stranger"
"""A pod of the namespace that is none of the platform's."""
MONITORS = ("prometheus", "alertmanager", "grafana")
SOURCES = (*COMPONENTS, *MONITORS, STRANGER)
LISTENING = {name: PORTS[name] for name in ("gateway", "control", "runner", "mlflow", "postgres")} | {"prometheus": (9090,), "alertmanager": (9093,)}
TRY = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reached(target):
    try:
        socket.create_connection((target[1], target[2]), 3).close()
    except OSError:
        return False
    return True
targets = json.loads(sys.argv[1])
with ThreadPoolExecutor(32) as threads:
    print(json.dumps([[name, port] for (name, _, port), well in zip(targets, threads.map(reached, targets)) if well]))
"""


@pytest.fixture(scope="module")
def where() -> Iterator[Cluster]:
    with cluster() as found:
        try:
            found.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": [probe(found, source) for source in SOURCES]}))
            found.kubectl("wait", "pod", "-l", "modelyard.dev/probe=yes", "--for=jsonpath={.status.phase}=Running", "--timeout=120s")
            yield found
        finally:
            found.kubectl("delete", "pod", "-l", "modelyard.dev/probe=yes", "--wait=false", "--grace-period=0")


def probe(where: Cluster, component: str) -> dict[str, Any]:
    """Never ready, so that no Service sends anybody to it."""
    control = where.get("deployment", "control")["spec"]["template"]
    labels = {**control["metadata"]["labels"], "app.kubernetes.io/component": component} if component != STRANGER else {}
    if component == "runner":
        labels["modelyard.dev/model"] = "probe"
    image = control["spec"]["containers"][0]["image"]
    container = {
        "name": "probe",
        "image": image,
        "command": ["sleep", "3600"],
        "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 60},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": security, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    metadata = {"name": f"probe-{component}", "labels": {**labels, "modelyard.dev/probe": "yes"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def addresses(where: Cluster) -> list[tuple[str, str, int]]:
    """(component, address, port) of one pod of each that listens, and of the API server."""
    found = []
    for component, ports in LISTENING.items():
        pods = running(where, component)
        assert pods or component in MONITORS
        found += [(component, pod["status"]["podIP"], port) for pod in pods[:1] for port in ports]
    api = json.loads(where.kubectl("get", "service", "kubernetes", "-n", "default", "-o", "json"))["spec"]["clusterIP"]
    return [*found, ("kubernetes", api, 443)]


def running(where: Cluster, component: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = where.get("pods", "-l", f"app.kubernetes.io/component={component},modelyard.dev/probe!=yes")["items"]
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_each_reaches_what_it_needs_and_nothing_else(where: Cluster, source: str) -> None:
    if source in MONITORS and not running(where, source):
        pytest.skip(f"there is no {source} on this cluster")
    targets = addresses(where)
    said = where.kubectl("exec", f"probe-{source}", "--", "python", "-c", TRY, json.dumps(targets))
    reached = {(name, port) for name, port in json.loads(said)}
    wanted = {(flow.target, flow.port) for flow in FLOWS | MONITORING if flow.source == source}
    assert reached == wanted & {(name, port) for name, _, port in targets}
