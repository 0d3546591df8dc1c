"""A running platform as its users meet it: the laptop's, or the one that the current KUBECONFIG leads to. The same checks are made of both.

Which, MODELYARD_E2E says: `laptop` or `cluster`. Without it they are made of a cluster only if it is a local one with the platform on it: its pods are
killed, its release is upgraded, and nobody wants that to happen to another because his KUBECONFIG happens to lead there.
"""

import csv
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import httpx
import psycopg
import pytest

from services.cluster.kubernetes import CONTEXT
from services.cluster.place import Place
from tests.e2e.conftest import Platform

NAMESPACE = os.environ.get("MODELYARD_NAMESPACE", "modelyard")
USERNAME = "admin"
ENDED = frozenset({"succeeded", "failed", "stopped"})


def on_cluster() -> bool:
    asked = os.environ.get("MODELYARD_E2E")
    if asked is not None:
        assert asked in {"laptop", "cluster"}, f"MODELYARD_E2E is {asked!r}: laptop or cluster"
        return asked == "cluster"
    return said("kubectl", "config", "current-context") == CONTEXT and bool(said("kubectl", "-n", NAMESPACE, "get", "service", "gateway", "-o", "name"))


def said(*command: str) -> str:
    """Nothing when there is no such program, or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


ON_CLUSTER = on_cluster()
cluster_only = pytest.mark.skipif(not ON_CLUSTER, reason="needs a platform on a cluster: `make kind`, or MODELYARD_E2E=cluster for the current KUBECONFIG's")
laptop_only = pytest.mark.skipif(ON_CLUSTER, reason="of a platform that is brought up on this machine: MODELYARD_E2E=laptop")


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

    def __init__(self, url: str, place: Place) -> None:
        self.url = url
        self.place = place
        self.password = place.secret("modelyard", "admin-password")
        self._forwarded = ExitStack()

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        return self.place.kubectl(*arguments, what=f"kubectl {' '.join(arguments)[:200]}", given=given)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def sql(self, query: str) -> list[list[str]]:
        rows = self.kubectl("exec", "-i", "postgres-0", "--", "psql", "-U", "modelyard", "-d", "modelyard", "--csv", "-t", "-q", "-f", "-", given=query)
        return list(csv.reader(io.StringIO(rows)))

    def control(self) -> httpx.Client:
        self.close()
        url = self._forwarded.enter_context(self.place.forwarded("service/control", 8001))
        return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {self.place.secret('modelyard', 'control-token')}"}, timeout=60)

    def close(self) -> None:
        self._forwarded.close()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The platform behind the current KUBECONFIG, whose gateway has a NodePort on this machine (or MODELYARD_URL says where it is)."""
    place = Place(NAMESPACE)
    ports = {one["name"]: one.get("nodePort") for one in place.document("service", "gateway")["spec"]["ports"]}
    url = os.environ.get("MODELYARD_URL") or (f"http://127.0.0.1:{ports['http']}" if ports["http"] else None)
    assert url, "the gateway has no NodePort: MODELYARD_URL says where it answers"
    found = Cluster(url, place)
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
