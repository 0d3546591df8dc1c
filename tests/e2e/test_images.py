"""The images that a cluster runs, each built and looked into. Needs a Docker engine, and a cluster as the others do."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bentos import catalogue
from services.cluster import images
from services.cluster.bento import Sources
from services.cluster.images import SERVICES, Built, Wishes
from tests.conftest import ROOT
from tests.e2e.platforms import cluster_only
from tests.runners import Upstream

pytestmark = cluster_only

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LARGEST = {"gateway": 130, "control": 130, "runner": 300, "frontend": 450}
"""Megabytes on top of the base image."""
TAG = "tested"
CONFINED = ("--rm", "--read-only", "--tmpfs=/tmp", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""As the chart lets them run."""


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def engine() -> None:
    if shutil.which("docker") is None or docker("version", check=False).returncode:
        pytest.skip("there is no Docker engine on this machine")
    if docker("image", "inspect", images.BASE, check=False).returncode:
        pytest.skip(f"the Docker engine has no {images.BASE}: `docker pull {images.BASE}`")


@pytest.fixture(scope="session")
def built(engine: None) -> Iterator[dict[str, Built]]:
    """All services, and the runner of one model: the others differ by their code alone."""
    wanted = [one for one in images.declared().values() if one.model in (None, catalogue.names()[0])]
    found = {one.name.partition("-")[0]: images.build(one, Wishes(TAG), lambda _: None) for one in wanted}
    yield found
    docker("image", "rm", *(one.reference for one in found.values()), check=False)


NAMES = (*SERVICES, "runner")


@pytest.mark.parametrize("name", sorted(LARGEST))
def test_images_are_small(name: str, built: dict[str, Built]) -> None:
    assert 10 < built[name].megabytes <= LARGEST[name]


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_confined_and_without_tools(name: str, built: dict[str, Built]) -> None:
    tools = "for tool in uv gcc cc make; do command -v $tool; done; ls /var/cache/uv /app/.venv/bin | grep -E '^(pip[0-9.]*|uvx?)$'"
    looks = f"id -u; id -g; {tools}; touch /app/x; echo end"
    done = docker("run", *CONFINED, "--entrypoint", "sh", built[name].reference, "-c", looks)
    assert done.stdout.split() == ["10001", "10001", "end"], done.stdout
    assert "Read-only file system" in done.stderr
    without_pip = docker("run", *CONFINED, "--entrypoint", "python", built[name].reference, "-m", "pip", check=False)
    assert "No module named pip" in without_pip.stderr


IMPORTS = {
    "gateway": "services.gateway.main, arro3.core, arro3.io",
    "control": "services.control.main, services.migrations.__main__",
    "pipeline": "services.pipeline.train, services.pipeline.evaluate, services.pipeline.register, services.pipeline.promote, matplotlib.pyplot",
    "mlflow": "services.mlflow_server.store, mlflow.server.fastapi_app",
    "frontend": "frontend.server, streamlit.testing.v1, plotly.graph_objects, pandas",
}


@pytest.mark.parametrize("name", NAMES)
def test_what_it_starts_can_be_imported(name: str, built: dict[str, Built]) -> None:
    model = catalogue.names()[0]
    modules = IMPORTS.get(name, f"bentos.{model}.service, sklearn.ensemble, sklearn.linear_model, skops.io, treelite, scipy.special")
    program = f"import warnings; warnings.simplefilter('ignore'); import {modules}"
    if name in ("runner", "pipeline"):
        program += "; from bentos.serving import walker; walker.library()"
    docker("run", *CONFINED, "--entrypoint", "python", built[name].reference, "-c", program)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "frontend"])  # which lacks nothing: its settings have defaults
def test_it_says_in_a_line_what_it_lacks(name: str, built: dict[str, Built]) -> None:
    done = docker("run", *CONFINED, built[name].reference, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_labels_say_what_it_is(built: dict[str, Built]) -> None:
    for name, one in built.items():
        labels = json.loads(docker("image", "inspect", "-f", "{{json .Config.Labels}}", one.reference).stdout)
        assert labels["org.opencontainers.image.version"] == PROJECT["project"]["version"]
        assert labels["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]
        assert name in labels["org.opencontainers.image.title"].lower()


def test_a_runner_with_a_baked_version_needs_nobody(engine: None, tmp_path: Path) -> None:
    model = catalogue.names()[0]
    python = docker("run", "--rm", "--entrypoint", "python3", images.BASE, "-c", "import sys; print(*sys.version_info[:2])").stdout.split()
    if python != [str(part) for part in sys.version_info[:2]]:
        pytest.skip(f"versions made here are for Python {sys.version_info[0]}.{sys.version_info[1]}, the image has {'.'.join(python)}")
    with Upstream(tmp_path / "files", model) as upstream:
        url = upstream.server.url
        done = images.build(images.declared()[model], Wishes(f"{TAG}-baked", version="1", sources=Sources(url, url)), lambda _: None)
    name = f"modelyard-{TAG}-{int(time.time())}"
    docker("run", "-d", *CONFINED, "--name", name, "-e", f"RUNNER_CONTROL_TOKEN={'x' * 32}", done.reference)
    try:
        ask = (
            "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:3000/readyz').status, urlopen('http://127.0.0.1:3000/slots').read().decode())"
        )
        deadline = time.monotonic() + 60
        while (said := docker("exec", name, "python", "-c", ask, check=False).stdout) == "" and time.monotonic() < deadline:
            time.sleep(0.5)
        assert said.startswith("200 "), docker("logs", name).stderr
        champion = json.loads(said.removeprefix("200 "))["champion"]
        assert (champion["version"], champion["source"]) == ("1", "baked")
    finally:
        docker("rm", "-f", name, check=False)
        docker("image", "rm", done.reference, check=False)


def test_the_same_commit_gives_the_same_layers(built: dict[str, Built], tmp_path: Path) -> None:
    """Built once more from nothing, from a copy whose files have other time stamps and modes."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        if (ROOT / line).is_file() and line.split("/")[0] in {"bentos", "frontend", "services", "pyproject.toml", "uv.lock", "LICENSE", ".dockerignore"}:
            (tmp_path / line).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / line, tmp_path / line)
            (tmp_path / line).chmod(0o700 if os.access(ROOT / line, os.X_OK) else 0o600)
    reference = f"modelyard/gateway:{TAG}-again-{int(time.time())}"
    arguments = ["--no-cache", "-f", str(tmp_path / "services/Dockerfile"), "--target", "gateway", "-t", reference, str(tmp_path)]
    docker("build", "-q", *arguments)
    try:
        layers = [docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", one).stdout for one in (built["gateway"].reference, reference)]
        assert layers[0] == layers[1]
    finally:
        docker("image", "rm", reference, check=False)
