"""The platform's images: which there are, how one is built, what is in it."""

import hashlib
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bentos import catalogue
from services.cluster import bento, programs
from services.local.failure import Failure
from services.local.paths import ROOT

SERVICES = ("gateway", "control", "pipeline", "mlflow", "frontend")
OPTIONAL = ("evidently",)
"""Built when they are asked for by name."""
BASE = "python:3.11-slim"
Heard = Callable[[str], None]
"""Is told each step that begins."""
_STEP = re.compile(r"#(\d+) \[([\w-]+) \d+/\d+\] (.*)")
_OPTIONS = re.compile(r"^RUN |--mount=\S+ ")
_SAID = re.compile(r"#(\d+) \d+\.\d+ ")


REPOSITORY = "modelyard/"


@dataclass(frozen=True)
class Image:
    name: str
    """As in `modelyard/gateway`."""
    model: str | None = None
    """Of a runner."""

    def reference(self, tag: str) -> str:
        return f"{REPOSITORY}{self.name}:{tag}"


@dataclass(frozen=True)
class Built:
    image: Image
    reference: str
    megabytes: float
    """On top of the base image."""
    content: str
    """The same for the same layers and configuration, whichever commit they were built from."""


def declared() -> dict[str, Image]:
    """By the name that a person gives: a service's, or a model's for its runner."""
    runners = {model: Image(f"runner-{model.replace('_', '-')}", model) for model in catalogue.names()}
    return {name: Image(name) for name in (*SERVICES, *OPTIONAL)} | runners


def chosen(names: list[str]) -> list[Image]:
    """All that a platform needs when none is named. Raises Failure for a name that is none."""
    there = declared()
    for name in names:
        if name not in there:
            raise Failure(f"there is no image of {name!r}", f"there are {', '.join(there)}", code=2)
    return [there[name] for name in names or there if names or name not in OPTIONAL]


@dataclass(frozen=True)
class Wishes:
    """How images are to be made."""

    tag: str = "dev"
    base: str = BASE
    version: str | None = None
    """Of the model, to be baked into its runner."""
    sources: bento.Sources = field(default_factory=bento.Sources)


def build(image: Image, wishes: Wishes, heard: Heard) -> Built:
    """Raises Failure."""
    if image.model is None:
        _docker(image, wishes, "services/Dockerfile", ROOT, ["--target", image.name], heard)
    else:
        with TemporaryDirectory(prefix="modelyard-bento-") as folder:
            heard("bentoml build")
            context = bento.build(image.model, Path(folder), project_version())
            if wishes.version is not None:
                heard(f"fetching version {wishes.version}")
                bento.bake(image.model, wishes.version, context / "src" / "baked", wishes.sources)
            _docker(image, wishes, "bentos/Dockerfile", context, ["--build-arg", f"MODEL={image.model}"], heard)
    return inspect(image, wishes)


def _docker(image: Image, wishes: Wishes, dockerfile: str, context: Path, options: list[str], heard: Heard) -> None:
    steps: dict[str, str] = {}

    def listen(line: str) -> None:
        """All steps are listed when the build begins; one that says something is under way."""
        if step := _STEP.match(line):
            steps[step[1]] = f"{step[2]}: {_OPTIONS.sub('', step[3])[:80]}"
        elif (said := _SAID.match(line)) and said[1] in steps:
            heard(steps[said[1]])

    heard("docker build")
    given = {"PYTHON": wishes.base, "VERSION": project_version(), "REVISION": revision()}
    arguments = [part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "--progress=plain", "-f", str(ROOT / dockerfile), "-t", image.reference(wishes.tag), *options, *arguments, str(context)]
    programs.follow(command, f"{image.name} could not be built", listen, {"DOCKER_BUILDKIT": "1"})


def inspect(image: Image, wishes: Wishes) -> Built:
    reference = image.reference(wishes.tag)
    found = document(reference)
    config = {name: found["Config"].get(name) for name in ("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts")}
    # A commit that changes nothing in the image changes no image.
    config["Env"] = [one for one in config["Env"] or [] if not one.startswith("PIPELINE_REVISION=")]
    content = hashlib.sha256(json.dumps([found["RootFS"]["Layers"], config], sort_keys=True).encode()).hexdigest()
    return Built(image, reference, (found["Size"] - _base_size(wishes.base)) / 1e6, content)


def document(reference: str) -> dict[str, Any]:
    (found,) = json.loads(programs.run("docker", "image", "inspect", reference, what=f"there is no image {reference}"))
    return dict(found)


@cache
def _base_size(base: str) -> int:
    """BuildKit fetches a base image without giving it a name; fetching it once more by name costs nothing then."""
    try:
        return int(document(base)["Size"])
    except Failure:
        programs.run("docker", "pull", "--quiet", base, what=f"there is no image {base}")
        return int(document(base)["Size"])


@cache
def project_version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


@cache
def revision() -> str:
    """The commit, with a mark when files differ from it; `unknown` outside a clone."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit
