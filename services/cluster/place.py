"""A namespace of a cluster, and what is asked of it through kubectl."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from services.cluster import programs
from services.local.failure import Failure

FORWARD_SECONDS = 20.0


class Run(Protocol):
    """As programs.run."""

    def __call__(self, *command: str, what: str, given: str | None = None) -> str: ...


@dataclass(frozen=True)
class Place:
    """Every method raises Failure with what kubectl said."""

    namespace: str
    context: str | None = None
    """Of KUBECONFIG; the current one where there is none."""
    run: Run = programs.run

    def kubectl(self, *arguments: str, what: str, given: str | None = None) -> str:
        """`what` is the sentence that is said when it fails, `given` its standard input."""
        return self.run(*self._command(), *arguments, what=what, given=given)

    def document(self, kind: str, name: str, *options: str) -> dict[str, Any]:
        what = f"there is no {kind} {name} in the namespace {self.namespace}"
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json", *options, what=what)))

    def documents(self, kind: str, *options: str) -> list[dict[str, Any]]:
        found = json.loads(self.kubectl("get", kind, *options, "-o", "json", what=f"the cluster does not say which {kind} there are"))
        return list(found["items"])

    def secret(self, name: str, key: str) -> str:
        return base64.b64decode(self.document("secret", name)["data"][key]).decode()

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """The address on this machine at which a Service or pod can be reached meanwhile."""
        command = [*self._command(), "port-forward", "--address", "127.0.0.1", target, f":{port}"]
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
                raise Failure(f"{target} cannot be reached", f"kubectl -n {self.namespace} get pods", said)
            finally:
                forwarding.terminate()

    def helm(self, *arguments: str, what: str) -> str:
        return self.run("helm", *arguments, "-n", self.namespace, *(["--kube-context", self.context] if self.context else []), what=what)

    def _command(self) -> list[str]:
        return ["kubectl", *(["--context", self.context] if self.context else []), "-n", self.namespace]
