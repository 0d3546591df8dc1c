"""The command line's promises, kept by real processes."""

import json
import os
import subprocess
import sys

import pytest

from bentos import catalogue
from services.pipeline.arguments import VERBS, parse

MODEL = catalogue.names()[0]


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "PIPELINE_CONTROL_URL": "http://127.0.0.1:9"}
    return subprocess.run([sys.executable, "-m", "services.pipeline", *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_help() -> None:
    shown = command("--help")
    assert shown.returncode == 0
    assert [verb for verb in VERBS if verb not in shown.stdout] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([verb, "--help"])
    assert ended.value.code == 0
    assert f"{verb} [-h]" in capsys.readouterr().out


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    refused = command("ingest", "--model", "nope")
    assert refused.returncode == 2
    assert refused.stderr == f"ingest: unknown model 'nope'; the catalogue has {', '.join(catalogue.names())}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--source", "files"], "--data-dir: is needed"), (["--data-dir", "/nowhere"], "there is no folder /nowhere"), (["--rows", "3"], "must be at least 100")],
)
def test_arguments_that_name_no_data_end_with_2(arguments: list[str], words: str) -> None:
    refused = command("ingest", "--model", MODEL, *arguments)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_empty_option_is_not_given() -> None:
    """A workflow writes all options, whether it has values for them or not."""
    empty = parse(["ingest", f"--model={MODEL}", "--source=", "--data-dir=", "--rows=", "--seed=", "--drift="])
    assert empty == parse(["ingest", f"--model={MODEL}"])
    assert parse(["promote", f"--model={MODEL}", "--version=3", "--reason="])["reason"] == "trained"
    assert parse(["promote", f"--model={MODEL}", "--version=3", "--reason=--force="])["reason"] == "--force="
    refused = command("ingest", "--model=")
    assert refused.returncode == 2
    assert "required: --model" in refused.stderr


def test_bad_data_is_the_result_in_json_too() -> None:
    refused = command("ingest", "--model", MODEL, "--data-dir", "/nowhere")
    expected = {"column": "--data-dir", "rule": "there is no folder /nowhere", "rows": [], "count": 1}
    assert json.loads(refused.stdout.splitlines()[-1]) == {"error": "bad data", "problems": [expected]}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["validate", "--run-id", "x", "--model", MODEL], "MLflow"),
        (["promote", "--version", "1", "--model", MODEL], "control"),
        (["tell-control", "--workflow", "w", "--status", "Failed"], "control"),
    ],
    ids=["MLflow", "control", "tell-control"],
)
def test_who_does_not_answer_is_named_in_one_line(arguments: list[str], name: str) -> None:
    failed = command(*arguments)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.count("\n") == 1
    assert f"{name} does not answer at http://127.0.0.1:9" in failed.stderr
    assert "Traceback" in command(*arguments, "--debug").stderr


def test_a_wrong_setting_ends_with_2_and_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again does not heal it."""
    monkeypatch.setenv("PIPELINE_ENVIRONMENT", "production")
    refused = command("ingest", "--model", MODEL)
    assert refused.returncode == 2
    assert refused.stderr == "ingest cannot start: PIPELINE_CONTROL_TOKEN must have at least 32 characters outside local mode\n"
