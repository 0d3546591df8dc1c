"""A running platform as its users meet it: the laptop's, or the one that the current KUBECONFIG leads to. The same checks are made of both."""

import base64
import csv
import io
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
import psycopg
import pytest

from tests.e2e.conftest import Platform

ON_CLUSTER = os.environ.get("MODELYARD_E2E") == "cluster"
cluster_only = pytest.mark.skipif(not ON_CLUSTER, reason="MODELYARD_E2E=cluster asks for the platform of the current KUBECONFIG")
NAMESPACE = os.environ.get("MODELYARD_NAMESPACE", "modelyard")
USERNAME = "admin"
ENDED = frozenset({"succeeded", "failed", "stopped"})


class Anywhere(Protocol):
    url: str
    """Of the gateway."""
    password: str
    """Of the administrator."""

    def sql(self, query: str) -> list[list[str]]:
        """The rows as text."""
        ...

    def control(self) -> "httpx.Client": ...


class Laptop:
    """What `make up` brought up."""

    def __init__(self, platform: Platform) -> None:
        document = json.loads(platform.modelyard("status", "--json").stdout)
        state = json.loads((platform.folder / ".modelyard/state.json").read_text())
        self.url = document["services"]["gateway"]["url"]
        self.password = state["secrets"]["administrator"]
        self._control_url, self._token = document["services"]["control"]["url"], state["secrets"]["control"]
        self._database_url = document["database_url"]

    def sql(self, query: str) -> list[list[str]]:
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            return [["" if value is None else str(value) for value in row] for row in connection.execute(query.encode()).fetchall()]

    def control(self) -> httpx.Client:
        return httpx.Client(base_url=self._control_url, headers={"Authorization": f"Bearer {self._token}"}, timeout=60)


class Cluster:
    """What `make kind`, or `helm install`, brought up in a namespace."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.password = self.secret("admin-password")
        self._forwarded: subprocess.Popen[str] | None = None

    def kubectl(self, *arguments: str, seconds: float = 300, given: str | None = None) -> str:
        command = ["kubectl", "-n", NAMESPACE, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, input=given)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def secret(self, key: str, name: str = "modelyard") -> str:
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def sql(self, query: str) -> list[list[str]]:
        said = self.kubectl("exec", "-i", "postgres-0", "--", "psql", "-U", "modelyard", "-d", "modelyard", "--csv", "-t", "-q", "-f", "-", given=query)
        return list(csv.reader(io.StringIO(said)))

    def control(self) -> httpx.Client:
        self.close()
        self._forwarded = subprocess.Popen(["kubectl", "-n", NAMESPACE, "port-forward", "service/control", ":8001"], stdout=subprocess.PIPE, text=True)
        assert self._forwarded.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+)", self._forwarded.stdout.readline())
        assert port, "kubectl port-forward said no port"
        headers = {"Authorization": f"Bearer {self.secret('control-token')}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", headers=headers, timeout=60)

    def close(self) -> None:
        if self._forwarded is not None:
            self._forwarded.terminate()
            self._forwarded.communicate()
            self._forwarded = None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The platform behind the current KUBECONFIG, whose gateway has a NodePort on this machine (or MODELYARD_URL says where it is)."""
    command = ["kubectl", "-n", NAMESPACE, "get", "service", "gateway", "-o", "jsonpath={.spec.ports[?(@.name=='http')].nodePort}"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    url = os.environ.get("MODELYARD_URL") or (f"http://127.0.0.1:{asked.stdout}" if asked.stdout else None)
    assert asked.returncode == 0, f"the current KUBECONFIG leads to no platform (`make kind` makes one): {asked.stderr}"
    assert url, "the gateway has no NodePort: MODELYARD_URL says where it answers"
    found = Cluster(url)
    try:
        yield found
    finally:
        found.close()


def stored(where: Anywhere, ids: list[str]) -> int:
    """How many of these predictions the database has."""
    return int(where.sql(f"SELECT count(*) FROM predictions WHERE id = ANY('{{{','.join(ids)}}}'::uuid[])")[0][0])


def token(where: Anywhere) -> dict[str, str]:
    """Headers of the administrator."""
    answer = httpx.post(f"{where.url}/auth/login", json={"username": USERNAME, "password": where.password}, timeout=30)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def train(where: Anywhere, model: str, parameters: dict[str, Any], seconds: float = 400) -> dict[str, Any]:
    """The run as it ended."""
    with where.control() as control:
        body = {"kind": "train", "model": model, "parameters": parameters, "reason": "tried in a test", "actor": USERNAME}
        run: dict[str, Any] = control.post("/workflows", json=body).raise_for_status().json()
        deadline = time.monotonic() + seconds
        while run["status"] not in ENDED:
            assert time.monotonic() < deadline, run
            time.sleep(0.5)
            run = control.get(f"/workflows/{run['id']}").raise_for_status().json()
    return run


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took <= seconds, f"{what} took {took:.1f} s, more than {seconds:.0f}"
