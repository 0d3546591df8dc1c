"""Real collaborators for every test: a PostgreSQL whose migrated template is cloned per test, a real MLflow server.

With `-n`, one of each is started before the workers, which find it by their environment.
"""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from services.local import programs

ROOT = Path(__file__).resolve().parents[1]

for process in ("GATEWAY", "CONTROL", "RUNNER", "PIPELINE", "SAMPLE"):
    os.environ[f"{process}_ENVIRONMENT"] = "local"


LONGEST = ("faults", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first: with `-n`, one that began last would be waited for by workers that have nothing left to do."""
    items.sort(key=lambda item: item.path.relative_to(ROOT / "tests").parts[0] not in LONGEST)


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1")[2:]) + 1
_numbers = itertools.count(os.getpid())


def find_free_port() -> int:
    """Still free when it is used: the kernel gives none of these to whoever asks for any, and each worker has a thousand of its own."""
    for number in _numbers:
        port = 20_000 + 1000 * (WORKER % 10) + number % 1000
        with closing(socket.socket()) as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the numbers do not end")


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


def wait_until(answers: str, process: subprocess.Popen[bytes] | None = None, log: Path | None = None, seconds: float = 60) -> None:
    """Returns when the URL answers 200; fails with the tail of the log when the process ends, if it is known, or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        try:
            with urllib.request.urlopen(answers, timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{answers} did not answer within {seconds} s:\n{log.read_text()[-3000:] if log else ''}")


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
        options = f"-p {port} -h 127.0.0.1 -c unix_socket_directories='' -c max_connections=400 -c fsync=off -c shared_buffers=64MB"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "postgres.log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)


DATABASE, TEMPLATE, MLFLOW = "MODELYARD_TEST_DATABASE_URL", "MODELYARD_TEST_TEMPLATE", "MODELYARD_TEST_MLFLOW_URL"
"""Where something runs already: the first may be given by whoever runs the tests, all are to workers."""


def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None) or session.config.option.collectonly:
        return
    stack = ExitStack()
    session.config.add_cleanup(stack.close)
    environment = stack.enter_context(pytest.MonkeyPatch.context())
    url = os.environ.get(DATABASE) or stack.enter_context(postgres())
    environment.setenv(DATABASE, url)
    environment.setenv(MLFLOW, stack.enter_context(mlflow(url, Path(stack.enter_context(TemporaryDirectory(prefix="modelyard-mlflow-"))))))
    environment.setenv(TEMPLATE, migrated(url))


@contextmanager
def postgres() -> Iterator[str]:
    """In memory where there is enough of it: a clone of the template is 300 files, and a disk may need twenty times as long for them."""
    memory = Path("/dev/shm")  # noqa: S108
    parent = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30 else Path("/tmp")  # noqa: S108
    folder = parent / f"tests-of-modelyard-{uuid4().hex[:8]}"  # pytest's folders are closed to the account that PostgreSQL runs as
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
def postgres_url() -> Iterator[str]:
    """The cluster's address without a database."""
    given = os.environ.get(DATABASE)
    if given:
        yield given
        return
    with postgres() as url:
        yield url


APPLICATION = "modelyard_app"


def application(url: str) -> str:
    """The same database as the role that the services have: what they may not do, no test sees them do."""
    return url.replace("//modelyard@", f"//{APPLICATION}@")


def migrated(postgres_url: str) -> str:
    name = f"template_{uuid4().hex[:8]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    role = {"MIGRATIONS_APPLICATION_ROLE": APPLICATION, "MIGRATIONS_APPLICATION_PASSWORD": "of tests"}
    environment = os.environ | {"DATABASE_URL": f"{postgres_url}/{name}"} | role
    subprocess.run([sys.executable, "-m", "services.migrations"], check=True, cwd=ROOT, env=environment, capture_output=True)
    return name


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """A database with the real migrations applied."""
    return os.environ.get(TEMPLATE) or migrated(postgres_url)


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """A database of this test alone, cloned from the migrated template in milliseconds."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        yield f"{postgres_url}/{name}"
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def mlflow(postgres_url: str, folder: Path) -> Iterator[str]:
    """On a database of its own, artifacts through its proxy. Whoever asks it first waits for it."""
    name = f"mlflow_{uuid4().hex[:8]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
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
            yield f"http://127.0.0.1:{port}"
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(20)


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[str]:
    """A real MLflow server. Workers share it: a test looks at runs, versions and numbers that it made itself."""
    with ExitStack() as stack:
        url = os.environ.get(MLFLOW) or stack.enter_context(mlflow(postgres_url, tmp_path_factory.mktemp("mlflow")))
        wait_until(f"{url}/health", seconds=120)
        yield url
