"""What the images' Dockerfiles say. What is in the images: tests/e2e/test_images.py."""

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bentos import catalogue
from services.cluster import images
from services.cluster.images import OPTIONAL, SERVICES
from services.local.failure import Failure
from tests.conftest import ROOT

DOCKERFILES = ("services/Dockerfile", "bentos/Dockerfile")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@dataclass
class Stage:
    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and the rest."""

    def all(self, instruction: str) -> list[str]:
        return [rest for found, rest in self.lines if found == instruction]


def stages(path: str) -> tuple[list[str], list[Stage]]:
    """What stands before the first FROM, and the stages."""
    text = "\n".join(line for line in (ROOT / path).read_text().splitlines() if line and not line.lstrip().startswith("#"))
    before: list[str] = []
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(name, base))
        elif found:
            found[-1].lines.append((instruction, rest))
        else:
            before.append(line)
    return before, found


def last_stages(path: str) -> list[Stage]:
    """Those that become images."""
    _, found = stages(path)
    return [stage for stage in found if stage.all("ENTRYPOINT")]


def ancestry(path: str, stage: Stage) -> list[Stage]:
    _, found = stages(path)
    known = {one.name: one for one in found}
    return [stage, *(ancestry(path, known[stage.base]) if stage.base in known else [])]


@pytest.mark.parametrize("path", DOCKERFILES)
def test_every_stage_begins_with_the_one_base_or_another_stage(path: str) -> None:
    before, found = stages(path)
    assert before == ["ARG PYTHON=python:3.11-slim"]
    names = {stage.name for stage in found}
    assert all(stage.base in names | {"${PYTHON}"} for stage in found)
    text = (ROOT / path).read_text()
    assert "latest" not in text
    assert not text.startswith("# syntax"), "a builder without a registry could not fetch it"


@pytest.mark.parametrize("path", DOCKERFILES)
def test_images_run_as_a_number_and_carry_labels(path: str) -> None:
    for stage in last_stages(path):
        line = ancestry(path, stage)
        assert [user for one in line for user in one.all("USER")] == ["10001:10001"]
        labels = " ".join(rest for one in line for rest in one.all("LABEL"))
        for label in ("title", "description", "version", "revision", "licenses"):
            assert f"org.opencontainers.image.{label}=" in labels, (stage.name, label)
        assert line[-1].base == "${PYTHON}"
        assert all(source.startswith("--from=") for one in line for source in one.all("COPY")), "what is copied from outside has its own time stamps"
        assert not [rest for one in line for rest in one.all("RUN")]


def test_every_source_exists_and_is_let_through() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    _, found = stages("services/Dockerfile")
    for stage in found:
        for rest in stage.all("COPY"):
            for source in rest.split()[:-1]:
                if not rest.startswith("--from="):
                    assert (ROOT / source).exists(), source
                    assert included(source, ignored), f"{source} is hidden by .dockerignore"
    _, found = stages("bentos/Dockerfile")
    outside = {source for stage in found for rest in stage.all("COPY") if not rest.startswith("--from=") for source in rest.split()[:-1]}
    assert outside == {"src", "env/python/requirements.txt", "src/bentos/serving/finish_image.sh"}
    assert (ROOT / "bentos/serving/finish_image.sh").exists()


def included(path: str, patterns: list[str]) -> bool:
    """As Docker decides: the last pattern that fits the path or a folder above it."""
    parents = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    hidden = False
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(
            (fnmatch(one, bare) and (bare.startswith("**") or one.count("/") == bare.count("/"))) or fnmatch("/" + one, bare.replace("**", "*"))
            for one in parents
        ):
            hidden = not pattern.startswith("!")
    return not hidden


@pytest.mark.parametrize("path", [".git", ".venv", ".venv/bin/python", "tests", "tests/conftest.py", ".modelyard", "docs", "charts", ".env", "services/cli.py"])
def test_what_no_image_needs_is_hidden(path: str) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert not included(path, ignored)


def test_each_image_installs_its_own_group_with_the_pinned_uv() -> None:
    _, found = stages("services/Dockerfile")
    synced = {stage.name.removesuffix("-packages"): run for stage in found for run in stage.all("RUN") if "uv sync" in run}
    assert set(synced) == {*SERVICES, *OPTIONAL}
    for name, run in synced.items():
        assert "--locked --no-default-groups --no-install-project" in run
        assert re.findall(r"--group (\S+)", run) == [name]
        assert name in PROJECT["dependency-groups"]
    (pinned,) = (one for one in PROJECT["dependency-groups"]["dev"] if str(one).startswith("uv=="))
    assert f"ARG UV={pinned.removeprefix('uv==')}\n" in (ROOT / "bentos/Dockerfile").read_text()


def test_the_walker_is_compiled_as_on_this_machine() -> None:
    def flags(text: str) -> list[list[str]]:
        return [sorted(re.findall(r"-(?:O\d|std=\S+|f\S+|shared|l\w+)", line)) for line in text.splitlines() if "-std=c11" in line]

    (here,) = flags((ROOT / "Makefile").read_text())
    assert here
    for path in ("services/Dockerfile", "bentos/Dockerfile"):
        assert flags((ROOT / path).read_text()) == [here], path


@pytest.mark.parametrize("service", SERVICES)
def test_the_files_of_an_image_suffice(service: str, tmp_path: Path) -> None:
    """The module that it starts is imported from a copy of them alone."""
    _, found = stages("services/Dockerfile")
    (copied,) = next(stage for stage in found if stage.name == f"{service}-code").all("RUN")
    patterns = copied.split("--parents ")[1].split(" /app")[0].split()
    for pattern in patterns:
        for path in ROOT.glob(pattern):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(path, target)
    modules = {"gateway": "services.gateway.main", "control": "services.control.main, services.migrations.__main__", "mlflow": "services.mlflow_server.store"}
    modules["frontend"] = "frontend.server, frontend.contracts"
    # The environment's own path to the repository is taken out.
    program = (
        "import sys, pathlib; sys.path = [''] + [p for p in sys.path if p and not pathlib.Path(p, 'pyproject.toml').exists()];"
        f"import {modules.get(service, 'services.pipeline.__main__, services.pipeline.train, services.pipeline.promote')};"
        "from bentos import catalogue; catalogue.load()"
    )
    if service == "gateway":
        program += "; from services.gateway.predictions.contracts import of_catalogue; of_catalogue()"
    program = program if service not in ("mlflow", "frontend") else program.partition("from bentos")[0]
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_target_of_the_makefile_is_documented() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)", text, re.MULTILINE)
    documented = set(re.findall(r"^([a-z0-9-]+):.*?## ", text, re.MULTILINE))
    assert set(phony.split()) == documented
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert documented == set(re.findall(r"^  make ([a-z0-9-]+) ", shown, re.MULTILINE))


def test_an_unknown_image_names_the_known_ones() -> None:
    with pytest.raises(Failure, match="there is no image of 'weather'") as caught:
        images.chosen(["gateway", "weather"])
    assert all(name in caught.value.hint for name in (*SERVICES, *catalogue.names()))
    assert [image.name for image in images.chosen([])][: len(SERVICES)] == list(SERVICES)


def test_an_optional_image_is_built_when_it_is_named() -> None:
    assert not {image.name for image in images.chosen([])} & set(OPTIONAL)
    assert [image.name for image in images.chosen(list(OPTIONAL))] == list(OPTIONAL)
