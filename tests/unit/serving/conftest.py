import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bentos.serving import walker
from bentos.serving.settings import RunnerSettings
from tests.conftest import ROOT
from tests.fakes import DeploymentServer
from tests.versions import Version, build

MODEL = "attrition"


@pytest.fixture(scope="session", autouse=True)
def _walker() -> None:
    """Built as `make up` does it."""
    subprocess.run(["make", "-s", str(walker.LIBRARY.relative_to(ROOT))], cwd=ROOT, check=True)


@pytest.fixture
def native() -> None:
    """Skips the test where there is no compiler."""
    try:
        walker.library()
    except walker.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    """Versions 1 and 2, read only."""
    folder = tmp_path_factory.mktemp("versions")
    return {name: build(folder / name, MODEL, seed=int(name)) for name in ("1", "2")}


@pytest.fixture
async def control(built: dict[str, Version], tmp_path: Path) -> AsyncIterator[DeploymentServer]:
    """Knows versions 1 and 2; its files may be changed."""

    async with DeploymentServer(tmp_path / "mlflow") as server:
        for name, version in built.items():
            shutil.copytree(version.folder, server.files / name)
            server.add(name, version.sha256)
        yield server


@pytest.fixture
def settings(control: DeploymentServer, tmp_path: Path) -> RunnerSettings:
    return RunnerSettings(
        model=MODEL, control_url=control.url, mlflow_url=control.url, control_token=SecretStr(control.TOKEN), cache_dir=tmp_path / "cache", replica="r1"
    )


async def until(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Fails when the condition does not become true in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
