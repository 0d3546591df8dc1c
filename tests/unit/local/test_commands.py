import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from services.cli import COMMANDS, app
from services.commands.evaluate import _files
from services.commands.scoring import chunks
from services.local.failure import Failure
from tests.beside import beside
from tests.conftest import ROOT
from tests.fakes import Served


def modelyard(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"MODELYARD_HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-m", "services.cli", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Usage:" in shown.output


def test_the_program_lists_its_commands(tmp_path: Path) -> None:
    shown = modelyard(tmp_path, "--help")
    assert shown.returncode == 0, shown.stderr
    assert [command for command in COMMANDS if f" {command} " not in shown.stdout] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("token",),
        ("models",),
        ("predict", "attrition"),
        ("train", "attrition"),
        ("ledger", "attrition"),
        ("users", "list"),
        ("keys", "list"),
        ("workflows", "list"),
        ("assets", "list"),
        ("drift", "check", "attrition"),
        ("performance", "attrition"),
    ],
)
def test_without_a_platform_a_sentence_says_what_to_do(arguments: tuple[str, ...], tmp_path: Path) -> None:
    shown = modelyard(tmp_path, *arguments)
    assert shown.returncode == 1
    assert shown.stderr.splitlines()[0] == "modelyard: the platform is not running"
    assert "make up" in shown.stderr


def test_status_is_a_document_also_when_nothing_runs(tmp_path: Path) -> None:
    shown = modelyard(tmp_path, "status", "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["services"] == {}


def test_down_when_nothing_runs_is_no_error(tmp_path: Path) -> None:
    assert modelyard(tmp_path, "down").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("promote",),
        ("predict", "nonsense"),
        ("predict", "attrition", "--output", "x.txt"),
        ("evaluate", "attrition"),
        ("logs", "nonsense"),
        ("workflows", "list", "--kind", "nonsense"),
        ("workflows", "list", "--status", "nonsense"),
        ("outcomes", "import", "nothing.csv"),
    ],
)
def test_a_wrong_use_ends_with_2(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_status_is_quick(tmp_path: Path) -> None:
    """By the processor's time, whoever else uses it."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        modelyard(tmp_path, "status")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.8, "heavy imports belong into the commands that need them"


def test_files_may_be_named_one_by_one_or_by_their_folder(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in _files([str(tmp_path)])] == ["a.csv.gz", "b.csv"]
    assert [path.name for path in _files([str(tmp_path / "b.csv"), str(tmp_path / "a.csv.gz")])] == ["b.csv", "a.csv.gz"]
    with pytest.raises(Failure, match="there is no file"):
        _files([str(tmp_path / "c.csv")])


def test_chunks_keep_to_rows_and_bytes() -> None:
    rows = [{"x": number} for number in range(1200)]
    bodies = list(chunks(rows))
    assert [count for count, _ in bodies] == [500, 500, 200]
    assert [row for _, body in bodies for row in json.loads(body)["rows"]] == rows
    large = [{"x": "y" * 900} for _ in range(10)]
    assert all(len(body) < 3000 for _, body in chunks(large, most_bytes=2800))
    assert sum(count for count, _ in chunks(large, most_bytes=2800)) == 10


class Elsewhere(Served):
    """The gateway of a platform on another machine."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        if request.path == "/auth/login":
            given = await request.json()
            right = given == {"username": "admin", "password": "theirs"}
            return web.json_response({"access_token": "abc", "expires_in": 3600}) if right else web.json_response({"detail": "Wrong."}, status=401)
        if request.headers.get("Authorization") != "Bearer abc":
            return web.json_response({"detail": "Who?"}, status=401)
        return web.json_response({"model": "attrition", "rows": 1, "ok": True, "head": "f00d", "broken": [], "known": None})


def test_commands_ask_the_gateway_that_they_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Elsewhere()
    with beside(server):
        monkeypatch.setenv("MODELYARD_URL", f"{server.url}/")
        monkeypatch.setenv("MODELYARD_PASSWORD", "theirs")
        for _ in range(2):
            shown = modelyard(tmp_path, "ledger", "verify", "attrition")
            assert (shown.returncode, shown.stdout) == (0, "attrition: 1 entry, a whole chain, head f00d\n"), shown.stderr
        assert server.asked == ["POST /auth/login", "GET /models/attrition/ledger/verify", "GET /auth/users/me", "GET /models/attrition/ledger/verify"]
        monkeypatch.setenv("MODELYARD_PASSWORD", "wrong")
        refused = modelyard(tmp_path, "ledger", "verify", "attrition")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (1, "modelyard: admin cannot log in: Wrong.")
    away = modelyard(tmp_path, "ledger", "verify", "attrition")
    assert away.returncode == 1
    assert "MODELYARD_URL names it" in away.stderr
    monkeypatch.setenv("MODELYARD_URL", "localhost:8000")
    wrong = modelyard(tmp_path, "ledger", "verify", "attrition")
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
        2,
        "modelyard: MODELYARD_URL has to begin with http:// or https://, and is 'localhost:8000'",
    )
