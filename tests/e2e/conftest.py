"""A fresh copy of the repository, brought up as the README says, with a model more than it comes with."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.beside import beside
from tests.kraken import KrakenServer
from tests.receivers import Posts, discord

ROOT = Path(__file__).resolve().parents[2]
FOURTH = "wine_quality"


@dataclass
class Platform:
    folder: Path
    environment: dict[str, str]
    said: str
    """What the first `make up` printed."""
    told: Posts
    """What has arrived in the team's channel."""

    def run(self, *command: str, check: bool = True, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0 or not check, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def modelyard(self, *arguments: str, check: bool = True, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        return self.run(".venv/bin/modelyard", *arguments, check=check, seconds=seconds)


class Receiver:
    """The team's channel, which takes messages as Discord does."""

    def __init__(self) -> None:
        self.posts = Posts()
        self._server = discord()

    async def __aenter__(self) -> Self:
        self.posts = await self._server.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._server.__aexit__(*raised)


def copied(folder: Path) -> None:
    """What a clone would have, plus changes not committed yet."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def add_fourth_model(folder: Path) -> None:
    """The two places that a new model touches: its folder and its entry of the catalogue."""
    shutil.copytree(ROOT / "tests/e2e/fourth_model", folder / "bentos" / FOURTH, ignore=shutil.ignore_patterns("catalogue_entry.yaml", "__pycache__"))
    (folder / "bentos" / FOURTH / "__init__.py").touch()
    with (folder / "bentos/catalogue.yaml").open("a") as catalogue:
        catalogue.write((ROOT / "tests/e2e/fourth_model/catalogue_entry.yaml").read_text())


def pytest_report_header() -> str:
    from tests.e2e.platforms import NAMESPACE, ON_CLUSTER

    return f"platform: {f'the cluster of the current KUBECONFIG, namespace {NAMESPACE}' if ON_CLUSTER else 'brought up on this machine'}"


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform") / "modelyard"
    copied(folder)
    add_fourth_model(folder)
    dropped = re.compile(r"^(VIRTUAL_ENV|UV_PROJECT_ENVIRONMENT|MODELYARD_.*|DATABASE_URL|PYTEST_.*)$")
    environment = {name: value for name, value in os.environ.items() if not dropped.match(name)}
    kraken, team = KrakenServer(), Receiver()
    channels = folder / "channels.yaml"
    channels.write_text("channels:\n  team:\n    kind: discord\n    url_env: TEAM_URL\n")
    with beside(kraken), beside(team):
        given = {"CONTROL_KRAKEN_URL": kraken.url, "CONTROL_NOTIFICATIONS": str(channels), "TEAM_URL": team.posts.url}
        running = Platform(folder, environment | given, "", team.posts)
        try:
            running.said = running.run("make", "up", seconds=600).stdout
            yield running
        finally:
            running.run("make", "down", check=False)
            shutil.rmtree(folder, ignore_errors=True)
