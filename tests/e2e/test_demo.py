"""`modelyard demo drift`, and what can be asked afterwards: the closed loop on a whole platform, in less than five minutes."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import ROOT, Platform
from tests.e2e.platforms import ON_CLUSTER, Anywhere, Laptop, cluster, laptop_only, token

MODEL = "credit_scoring"
"""The other tests count the versions of another one."""
STORY_SECONDS, WHOLE_SECONDS = 300.0, 480.0
pytestmark = pytest.mark.timeout(1200)
Command = Callable[..., str]


@pytest.fixture(scope="module")
def where(request: pytest.FixtureRequest) -> Iterator[Anywhere]:
    if ON_CLUSTER:
        with cluster() as found:
            yield found
    else:
        yield Laptop(request.getfixturevalue("platform"))


@pytest.fixture(scope="module")
def modelyard(where: Anywhere, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command line, which is told where the gateway is: as for a cluster, so for the platform of this machine."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, seconds: float = 120) -> str:
        environment = os.environ | {"MODELYARD_URL": where.url, "MODELYARD_PASSWORD": where.password, "MODELYARD_HOME": str(home)}
        program = [sys.executable, "-m", "services.cli", *arguments]
        done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def story(modelyard: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo said, and its folder."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    said = modelyard("demo", "drift", "--model", MODEL, "--rows", "2500", "--out", str(folder), seconds=WHOLE_SECONDS)
    print(said)
    return said, folder


@pytest.fixture
def client(where: Anywhere) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=where.url, headers=token(where), timeout=60) as opened:
        yield opened


def document(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def test_the_whole_loop_takes_less_than_five_minutes(story: tuple[str, Path]) -> None:
    said, folder = story
    promoted = next(line for line in said.splitlines() if "after the first drifted request" in line)
    assert float(promoted.split()[0]) < STORY_SECONDS, promoted
    assert (folder / "transcript.md").read_text().count("\n## ") >= 6


def test_the_alarm_the_decision_the_training_and_the_trial_are_kept(story: tuple[str, Path], client: httpx.Client) -> None:
    _, folder = story
    drift, decision, training = (document(folder, name) for name in ("drift", "retraining", "training"))
    assert drift["alarm"]
    assert any(one["verdict"] == "drift" for one in drift["features"])
    assert decision["reason"] == "drift"
    assert decision["detail"]["report"] == drift["id"] or decision["times"] > 1
    if decision["decision"] == "submitted":
        assert (decision["run_id"], training["actor"], training["reason"][:6]) == (training["id"], "retraining", "drift:")
    else:
        assert decision["rule"] in ("cooldown", "daily limit"), "the demo was made here not long ago"
    assert training["parameters"]["source"] == "recent"
    version = training["result"]["version"]
    stored = client.get(f"/models/{MODEL}/versions/{version}").json()
    assert (stored["source"], stored["verdict"]["passed"]) == ("recent", True)
    shadow = document(folder, "shadow")
    assert (shadow["version"], shadow["failed"], shadow["report"]["errors"]["rows"]) == (version, 0, 0)
    assert shadow["report"]["rows"] >= 500
    assert shadow["report"]["flips"]["rows"] == shadow["report"]["rows"]
    assert shadow["report"]["latency"]["ratio"] > 0
    assert shadow["report"]["cost"]["known"]["rows"] >= 500


def test_the_ledger_says_who_and_why_and_its_chain_is_whole(story: tuple[str, Path], modelyard: Command) -> None:
    _, folder = story
    shadow, promotion = document(folder, "ledger")["entries"][-2:]
    version = document(folder, "training")["result"]["version"]
    assert (shadow["action"], shadow["challenger"], promotion["action"], promotion["actor"]) == ("shadow", version, "promote", "rollout")
    assert (promotion["to_version"], promotion["from_version"]) == (version, shadow["to_version"])
    assert promotion["verdict"]["shadow"]["judgement"]["verdict"] == "promote"
    assert promotion["verification"]["complete"]
    assert all(one["version"] == version for one in promotion["verification"]["replicas"])
    assert "a whole chain" in modelyard("ledger", "verify", MODEL, "--head", promotion["hash"])


def test_people_are_told(story: tuple[str, Path]) -> None:
    events = [one["event"].partition("_")[0] for one in document(story[1], "notifications")]
    assert [event for event in events if event not in {"rolled", "watch"}] == ["drift", "retraining", "version", "shadow", "promoted"]


@laptop_only
def test_and_it_arrives(story: tuple[str, Path], platform: Platform) -> None:
    told = document(story[1], "notifications")
    assert all(one["deliveries"] == [one["deliveries"][0] | {"channel": "team", "status": "sent", "error": None}] for one in told)
    arrived = {body["embeds"][0]["title"].replace("\\", "") for body in platform.told.bodies}
    assert {one["title"] for one in told} <= arrived


def test_an_answer_of_the_story_can_be_traced_proved_and_made_again(story: tuple[str, Path], modelyard: Command, tmp_path: Path) -> None:
    with zipfile.ZipFile(story[1] / "proof.zip") as archive:
        archive.extractall(tmp_path)
    checked = subprocess.run([sys.executable, "-I", "check.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    prediction = json.loads((tmp_path / "proof.json").read_text())["prediction"]["prediction_id"]
    lineage = modelyard("lineage", prediction)
    assert "gate        passed" in lineage
    assert "ledger      head" in lineage
    assert "Bit for bit the same" in modelyard("reproduce", prediction)


def test_and_undone_with_every_replica_asked(story: tuple[str, Path], modelyard: Command, client: httpx.Client) -> None:
    before = document(story[1], "ledger")["entries"][-1]["from_version"]
    began = time.monotonic()
    said = modelyard("rollback", MODEL, "--reason", "the demo is over")
    print(f"{time.monotonic() - began:.2f} s: {said}")
    row = client.get(f"/models/{MODEL}/ledger", params={"limit": 1}).json()["entries"][0]
    assert (row["action"], row["to_version"], row["verification"]["complete"]) == ("rollback", before, True)
    assert row["verification"]["seconds"] <= 3
    assert row["verification"]["replicas"]
    assert all(one["version"] == before for one in row["verification"]["replicas"])


def test_the_same_report_can_be_made_of_the_audit_afterwards(story: tuple[str, Path], modelyard: Command) -> None:
    """Last: a version that serves is not compared with itself."""
    version = document(story[1], "training")["result"]["version"]
    assert f"version {version} beside" in modelyard("replay", MODEL, "--version", version, "--limit", "2000")
    assert f"version {version} is not tried now" in modelyard("shadow-report", MODEL, "--version", version)
