"""What a runner's image is made of: the Bento of its model, and a version that is baked into it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from services.cluster import programs
from services.local import bootstrap_uv
from services.local.failure import Failure


@dataclass(frozen=True)
class Sources:
    """Where a version comes from; what is None is left to RUNNER_CONTROL_URL and RUNNER_MLFLOW_URL."""

    control: str | None = None
    mlflow: str | None = None


def build(model: str, home: Path, version: str) -> Path:
    """`bentoml build` in a store of its own. Returns the Bento's folder."""
    program = str(Path(sys.executable).with_name("bentoml"))
    command = [program, "build", "-f", f"bentos/{model}/bentofile.yaml", "--version", version, "-o", "tag", "."]
    environment = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true", "PATH": _path_with_uv()}
    programs.run(*command, what=f"the Bento of {model} could not be built", environment=environment)
    return home / "bentos" / model / version


def _path_with_uv() -> str:
    """bentoml asks for a uv, and where there is none installs one with pip, which our environment has not. Raises Failure."""
    try:
        folder = Path(bootstrap_uv.find()).parent
    except bootstrap_uv.Impossible as reason:
        raise Failure(str(reason)) from None
    return os.pathsep.join((str(folder), os.environ.get("PATH", "")))


def bake(model: str, version: str, folder: Path, sources: Sources) -> None:
    """Fills a new folder with a version and the state that it serves in. Raises Failure, with what control or MLflow said."""
    given = {"RUNNER_CONTROL_URL": sources.control, "RUNNER_MLFLOW_URL": sources.mlflow}
    # Nothing secret is sent: versions are read by anybody who reaches control.
    environment = {name: value for name, value in given.items() if value} | {"RUNNER_ENVIRONMENT": os.environ.get("RUNNER_ENVIRONMENT", "local")}
    command = [sys.executable, "-m", "bentos.serving.bake", "--model", model, "--version", version, str(folder)]
    programs.run(*command, what=f"version {version} of {model} could not be fetched", environment=environment)
