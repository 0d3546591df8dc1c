"""The kind cluster, and what is asked of it through kubectl. Every command names its context: no other cluster is ever touched."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.cluster import programs
from services.local.failure import Failure
from services.local.paths import ROOT

NAME = "modelyard"
CONTEXT = f"kind-{NAME}"
NAMESPACE = "modelyard"
FORWARD_SECONDS = 20.0


def kubectl(*arguments: str, what: str, given: str | None = None) -> str:
    return programs.run("kubectl", "--context", CONTEXT, *arguments, what=what, given=given)


def documents(kind: str, *options: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    found = json.loads(kubectl("-n", namespace, "get", kind, *options, "-o", "json", what=f"the cluster does not say which {kind} there are"))
    items: list[dict[str, Any]] = found["items"]
    return items


def exists() -> bool:
    return NAME in programs.run("kind", "get", "clusters", what="kind does not say which clusters there are").split()


def create() -> None:
    programs.run("kind", "create", "cluster", "--config", str(ROOT / "k8s/kind.yaml"), "--wait", "120s", what="the cluster could not be created")


def answers() -> None:
    """Raises Failure when the cluster is there and does not answer."""
    try:
        kubectl("get", "--raw", "/readyz", what="")
    except Failure as failure:
        hint = f"`docker start {NAME}-control-plane` starts it again after a restart of Docker; `make kind-down` removes it, with all that it holds"
        raise Failure(f"there is a cluster {NAME}, but it does not answer", hint, failure.details) from None


def secret(name: str, key: str) -> str:
    found = json.loads(kubectl("-n", NAMESPACE, "get", "secret", name, "-o", "json", what=f"the secret {name} cannot be read"))
    return base64.b64decode(found["data"][key]).decode()


@contextmanager
def forwarded(target: str, port: int) -> Iterator[str]:
    """The address on this machine at which a Service or pod of the platform can be reached. Raises Failure."""
    command = ["kubectl", "--context", CONTEXT, "-n", NAMESPACE, "port-forward", "--address", "127.0.0.1", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forwarding:
        try:
            said, deadline = [], time.monotonic() + FORWARD_SECONDS
            for line in forwarding.stdout or ():
                said.append(line.strip())
                opened = re.search(r"Forwarding from (127\.0\.0\.1:\d+)", line)
                if opened:
                    yield f"http://{opened[1]}"
                    return
                if time.monotonic() > deadline:
                    break
            raise Failure(f"{target} cannot be reached", f"kubectl -n {NAMESPACE} get pods", said)
        finally:
            forwarding.terminate()
