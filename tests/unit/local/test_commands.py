import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.cli import COMMANDS
from services.commands.evaluate import _files
from services.commands.scoring import chunks
from services.local.failure import Failure
from tests.conftest import ROOT


def modelyard(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"MODELYARD_HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-m", "services.cli", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    shown = modelyard(tmp_path, command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage:" in shown.stdout


@pytest.mark.parametrize(
    "arguments", [("status",), ("token",), ("models",), ("predict", "attrition"), ("train", "attrition"), ("ledger", "attrition"), ("users", "list")]
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


def test_a_wrong_use_ends_with_2(tmp_path: Path) -> None:
    for arguments in (
        ("nonsense",),
        ("promote",),
        ("predict", "nonsense"),
        ("predict", "attrition", "--output", "x.txt"),
        ("evaluate", "attrition"),
        ("logs", "nonsense"),
    ):
        assert modelyard(tmp_path, *arguments).returncode == 2, arguments


def test_status_is_quick(tmp_path: Path) -> None:
    def seconds() -> float:
        began = time.monotonic()
        modelyard(tmp_path, "status")
        return time.monotonic() - began

    assert min(seconds() for _ in range(3)) < 1.0, "heavy imports belong into the commands that need them"


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
