"""Real collaborators for every test: a PostgreSQL whose migrated template is cloned per test, a real MLflow server."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from services.local import programs

ROOT = Path(__file__).resolve().parents[1]

for process in ("GATEWAY", "CONTROL", "RUNNER", "PIPELINE", "SAMPLE"):
    os.environ[f"{process}_ENVIRONMENT"] = "local"


def find_free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return find_free_port()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Published data sets; not part of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data sets are not beside the repository (../shared/data)")
    return folder


def wait_until(answers: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Returns when the URL answers 200; fails with the tail of the log when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(answers, timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{answers} did not answer within {seconds} s:\n{log.read_text()[-3000:]}")


class Cluster:
    """A throw-away PostgreSQL cluster, shared by all workers of a test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user: dict[str, Any] = {}
        account = programs.account()
        if account is not None:
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            shutil.chown(folder, account.pw_uid, account.pw_gid)
        self.programs = programs.programs_for(account, folder / "programs")

    def start(self, port: int) -> None:
        self._run("initdb", "-U", "modelyard", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -c unix_socket_directories='' -c max_connections=200 -c fsync=off -c shared_buffers=64MB"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "postgres.log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The cluster's address without a database; `MODELYARD_TEST_DATABASE_URL` names one that runs already."""
    given = os.environ.get("MODELYARD_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path("/tmp") / f"modelyard-test-{uuid4().hex[:8]}"  # noqa: S108 - pytest's folders are closed to the account that PostgreSQL runs as
    folder.mkdir(mode=0o755)
    cluster = Cluster(folder)
    port = find_free_port()
    cluster.start(port)
    try:
        yield f"postgresql://modelyard@127.0.0.1:{port}"
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """A database with the real migrations applied."""
    name = f"template_{uuid4().hex[:8]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    environment = os.environ | {"DATABASE_URL": f"{postgres_url}/{name}"}
    subprocess.run([sys.executable, "-m", "services.migrations"], check=True, cwd=ROOT, env=environment, capture_output=True)
    return name


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """A database of this test alone, cloned from the migrated template in milliseconds."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        yield f"{postgres_url}/{name}"
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[str]:
    """A real MLflow server on a PostgreSQL schema of its own, artifacts through its proxy."""
    name = f"mlflow_{uuid4().hex[:8]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    folder = tmp_path_factory.mktemp("mlflow")
    port = find_free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = postgres_url.replace("postgresql://", "postgresql+psycopg://") + f"/{name}"
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts")],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_until(f"http://127.0.0.1:{port}/health", process, folder / "log", 120)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(20)
