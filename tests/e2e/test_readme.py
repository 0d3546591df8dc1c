"""What the README promises, done literally: two commands, a prediction, its audit row, a change of what serves, and a clean end."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from bentos.schemas import schema
from tests.e2e.conftest import FOURTH, ROOT, Platform
from tests.e2e.platforms import laptop_only

pytestmark = laptop_only

MODEL = "attrition"


def status(platform: Platform) -> dict[str, dict[str, dict[str, object]]]:
    document: dict[str, dict[str, dict[str, object]]] = json.loads(platform.modelyard("status", "--json").stdout)
    return document


def url(platform: Platform) -> str:
    return str(status(platform)["services"]["gateway"]["url"])


def processes_of(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(str(folder) in part for part in (process.cwd(), *process.cmdline())):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@contextmanager
def caller(platform: Platform) -> Iterator[list[tuple[float, int, str]]]:
    """Somebody who asks without a pause: (time of the answer, HTTP status, version that answered)."""
    answers: list[tuple[float, int, str]] = []
    address, token = urlsplit(url(platform)), platform.modelyard("token").stdout.strip()
    ended = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = json.dumps(schema(MODEL).EXAMPLE)
        while not ended.is_set():
            try:
                connection.request("POST", f"/predict/{MODEL}", body, headers)
                answer = connection.getresponse()
                answers.append((time.monotonic(), answer.status, json.loads(answer.read()).get("model_version", "")))
            except (OSError, http.client.HTTPException) as error:
                answers.append((time.monotonic(), 0, repr(error)))
                connection.close()
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


def test_up_says_how_to_use_it(platform: Platform) -> None:
    took = re.search(r"Ready after ([\d.]+) s", platform.said)
    assert took, platform.said
    assert float(took[1]) <= 180
    assert re.search(r"log-in +admin +\S{12,}", platform.said)
    assert url(platform) in platform.said


def test_the_printed_curl_line_answers_and_is_audited(platform: Platform) -> None:
    line = next(line for line in platform.said.splitlines() if line.startswith("curl "))
    answer = json.loads(platform.run("bash", "-c", line).stdout)
    with psycopg.connect(str(status(platform)["database_url"])) as connection:
        row = connection.execute(
            "SELECT model, model_version, policy_version, username, output->>'probability' FROM predictions WHERE id = %s", [answer["prediction_id"]]
        ).fetchone()
    assert row is not None
    assert row[:4] == (answer["model"], answer["model_version"], answer["policy_version"], "admin")
    assert float(row[4]) == answer["probability"]


def test_the_readmes_own_prediction_works(platform: Platform) -> None:
    section = (ROOT / "README.md").read_text().split("## A first prediction")[1]
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:2]
    script = "\n".join(commands).replace("http://127.0.0.1:8000", url(platform))
    said = platform.run("bash", "-euo", "pipefail", "-c", script).stdout
    answer, history = json.JSONDecoder().raw_decode(said)[0], json.loads(said[said.index('{"predictions"') :])
    assert [row["prediction_id"] for row in history["predictions"]] == [answer["prediction_id"]]


@pytest.mark.parametrize("model", ["attrition", "credit_scoring", "crypto_price", FOURTH])
def test_every_model_answers(platform: Platform, model: str) -> None:
    document = json.loads(platform.modelyard("predict", model, "--example").stdout)
    assert document["answer"]["model"] == model
    assert document["answer"]["model_version"] == "1"
    assert {"prediction", "prediction_id"} <= set(document["answer"])


def test_a_fourth_model_is_everywhere(platform: Platform) -> None:
    with psycopg.connect(str(status(platform)["database_url"])) as connection:
        stored = connection.execute("SELECT input FROM predictions WHERE model = %s", [FOURTH]).fetchone()
        engine = connection.execute("SELECT engine FROM model_versions WHERE model = %s", [FOURTH]).fetchone()
    assert stored == ({"alcohol": 12.5, "acidity": None, "organic": True, "grape": "red"},)
    assert engine is not None
    assert engine[0].partition("+")[0] == ("native" if (platform.folder / "bentos/serving/native/walker.so").exists() else "gtil")
    token = platform.modelyard("token").stdout.strip()
    openapi = json.loads(platform.run("curl", "-s", f"{url(platform)}/openapi.json", "-H", f"Authorization: Bearer {token}").stdout)
    assert f"/predict/{FOURTH}" in openapi["paths"]
    assert "Wine" in openapi["components"]["schemas"]
    row = json.dumps({"alcohol": 12.5, "acidity": None, "organic": True, "grape": "red"})
    asked = ["curl", "-s", f"{url(platform)}/predict/{FOURTH}/explain", "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
    explained = json.loads(platform.run(*asked, "-d", row).stdout)
    assert {"alcohol", "organic", "red", "grape_known"} <= {part["field"] for part in explained["contributions"]}
    assert abs(explained["base_value"] + sum(part["contribution"] for part in explained["contributions"]) - explained["output"]) < 1e-9
    wines = platform.folder / "wines.csv"
    wines.write_text("alcohol,acidity,organic,grape,good\n" + "9,5,yes,red,0\n16,,no,white,1\n" * 30)
    evaluated = json.loads(platform.modelyard("evaluate", FOURTH, "--data", str(wines), "--json").stdout)
    assert evaluated["metrics"]["roc_auc"]["value"] == 1


def test_the_fourth_model_keeps_the_contract(platform: Platform) -> None:
    """What its author would run; `uv.lock` and `pyproject.toml` are untouched."""
    said = platform.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", FOURTH, "tests/contract", check=False)
    assert said.returncode == 0, said.stdout
    assert " passed" in said.stdout


def test_processes_are_small_and_ready(platform: Platform) -> None:
    services = status(platform)["services"]
    assert all(service["ready"] for service in services.values()), services
    runners = {name: service["rss_mb"] for name, service in services.items() if name.startswith("runner-")}
    assert len(runners) == 4
    assert all(0 < float(str(size)) <= 170 for size in runners.values()), runners


def test_up_again_takes_seconds(platform: Platform) -> None:
    began = time.monotonic()
    assert "curl -s" in platform.run("make", "up").stdout
    assert time.monotonic() - began <= 20


def test_a_changed_version_is_seen_at_once_and_nobody_notices(platform: Platform) -> None:
    platform.modelyard("train", MODEL, "--rows", "1500", "--seed", "11")
    with caller(platform) as answers:
        time.sleep(0.5)
        if json.loads(platform.modelyard("predict", MODEL).stdout)["model_version"] == "1":
            platform.modelyard("promote", MODEL, "2", "--reason", "tried in a test", "--force")
            time.sleep(0.5)
        began = time.monotonic()
        platform.modelyard("rollback", MODEL, "--reason", "taken back in a test")
        time.sleep(0.5)
        again = time.monotonic()
        platform.modelyard("promote", MODEL, "2", "--reason", "and once more", "--force")
        time.sleep(0.5)
    assert set(Counter(code for _, code, _ in answers)) == {200}, Counter(answers)
    assert len(answers) > 200
    back = next(at for at, _, version in answers if at > began and version == "1") - began
    forth = next(at for at, _, version in answers if at > again and version == "2") - again
    assert max(back, forth) <= 3
    ledger = platform.modelyard("ledger", MODEL).stdout
    assert "taken back in a test" in ledger
    assert "and once more" in ledger


def test_killing_the_supervisor_leaves_nothing_behind_and_loses_nothing(platform: Platform) -> None:
    with psycopg.connect(str(status(platform)["database_url"])) as connection:
        before = connection.execute("SELECT count(*) FROM predictions").fetchone()
    document = json.loads(platform.modelyard("status", "--json").stdout)
    os.kill(int(document["supervisor"]["pid"]), signal.SIGKILL)
    deadline = time.monotonic() + 15
    while (left := processes_of(platform.folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, left
    platform.run("make", "up")
    with psycopg.connect(str(status(platform)["database_url"])) as connection:
        after = connection.execute("SELECT count(*) FROM predictions").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] >= before[0]
    assert json.loads(platform.modelyard("predict", MODEL).stdout)["model_version"] == "2"


def test_bad_data_is_listed_whole_and_changes_nothing(platform: Platform) -> None:
    bad = platform.folder / "bad"
    bad.mkdir()
    (bad / "wines.csv").write_text("alcohol,acidity,organic,grape,good\n" + "99,5,yes,red,0\n12,3,no,pink,1\n" * 300)
    failed = platform.modelyard("train", FOURTH, "--source", "files", "--data-dir", str(bad), check=False)
    assert failed.returncode != 0
    said = failed.stdout + failed.stderr
    assert "Traceback" not in said
    for words in ("alcohol", "grape", "pink"):
        assert words in said
    assert json.loads(platform.modelyard("predict", FOURTH).stdout)["model_version"] == "1"


def test_down_is_quick_and_leaves_nothing(platform: Platform) -> None:
    began = time.monotonic()
    platform.run("make", "down")
    assert time.monotonic() - began <= 10
    assert not processes_of(platform.folder)
    assert platform.modelyard("predict", MODEL, check=False).returncode == 1
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([platform.folder / ".venv/bin/modelyard", "token"], check=True, capture_output=True, env=platform.environment)
