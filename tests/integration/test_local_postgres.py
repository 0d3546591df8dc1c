"""A PostgreSQL of our own, from the system's programs and from the package: made, started under the right account, reached, stopped."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from services.local import postgres, programs, state
from services.local.paths import Home
from services.local.postgres import Postgres, run_as
from services.local.steps.database import ensure
from tests.conftest import find_free_port

SYSTEM = [folder for folder in programs.candidates() if folder not in programs.packaged()][:1]


@pytest.fixture
def home() -> Home:
    """Reachable for the account that PostgreSQL runs as, which pytest's folders are not."""
    return Home(Path("/tmp") / f"modelyard-test-{uuid4().hex[:8]}" / ".modelyard")  # noqa: S108


def run(server: Postgres) -> "subprocess.Popen[bytes]":
    log = (server.data.parent / "log").open("wb")
    with log:
        return subprocess.Popen(server.command, cwd=server.data, stdout=log, stderr=log, **run_as(server.account))


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(*SYSTEM, id="system") if SYSTEM else pytest.param(None, id="system", marks=pytest.mark.skip("this machine has no PostgreSQL of its own")),
        pytest.param(programs.packaged()[0], id="package"),
    ],
)
def test_makes_runs_and_finds_again(folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_POSTGRES_PROGRAMS", str(folder))
    home.create()
    remembered = state.State(ports={"postgres": find_free_port()})
    server = postgres.prepare(home, remembered)
    assert server.data == home.folder / "postgres"
    process = run(server)
    try:
        version = ensure(server.url, patience=20)
        assert int(version.split(".")[0]) == programs.major(server.programs)
        ensure(server.url)  # a second time there is nothing to do
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            ensure(server.url.replace(server.password, "wrong"), patience=20)
        if os.geteuid() == 0:
            assert server.account is not None
            assert server.data.stat().st_uid == server.account.pw_uid
        again = postgres.prepare(home, remembered)
        assert (again.data, again.password, again.programs) == (server.data, server.password, server.programs)
    finally:
        process.send_signal(2)
        assert process.wait(20) == 0
    subprocess.run(["rm", "-rf", str(home.folder.parent)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another account")
def test_data_moves_outside_when_the_account_cannot_enter_the_project(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = Home(closed / ".modelyard")
    home.create()
    remembered = state.State(ports={"postgres": find_free_port()})
    try:
        server = postgres.prepare(home, remembered)
        assert server.data == home.outside / "postgres"
        assert (server.data / "PG_VERSION").exists()
    finally:
        subprocess.run(["rm", "-rf", str(home.outside)], check=True)
        with contextlib.suppress(OSError):
            home.outside.parent.rmdir()


def test_data_of_a_version_that_is_gone_is_not_touched(tmp_path: Path) -> None:
    home = Home(tmp_path / ".modelyard")
    home.create()
    data = home.folder / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(FileNotFoundError, match="PostgreSQL 9, which made the data, was not found"):
        postgres.prepare(home, state.State(postgres_data=str(data)))


def test_a_database_that_is_away_is_tried_again_and_then_named(free_port: int) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port}/none"
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match=str(free_port)):
        ensure(url, patience=1)
    assert time.monotonic() - began >= 1


def test_the_step_says_it_in_a_line(database_url: str) -> None:
    def step(url: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "services.local.steps.database"]
        return subprocess.run(command, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True, check=False)

    done = step(database_url)
    assert done.returncode == 0
    assert done.stdout.startswith("PostgreSQL ")
    failed = step(database_url.replace("modelyard@", "stranger@"))
    assert failed.returncode == 1
    assert failed.stdout.startswith("the database cannot be used: ")
    assert "Traceback" not in failed.stderr
