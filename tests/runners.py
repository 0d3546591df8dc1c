"""Runner processes as they are started in production, and the control plane and MLflow that they need, for tests."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bentos import catalogue
from tests.beside import beside
from tests.conftest import ROOT, find_free_port, wait_until
from tests.fakes import DeploymentServer
from tests.versions import POLICY, build


class Upstream:
    """DeploymentServer beside a synchronous test."""

    def __init__(self, files: Path, model: str) -> None:
        self.server = DeploymentServer(files)
        self.policy = POLICY if catalogue.load().models[model].task == "classification" else None
        for version in ("1", "2"):
            self.server.add(version, build(files / version, model, seed=int(version)).sha256)
        self.server.promote("1", policy=self.policy)

    def __enter__(self) -> "Upstream":
        self._running = ExitStack()
        self.loop = self._running.enter_context(beside(self.server))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def promote(self, version: str) -> None:
        self.loop.call_soon_threadsafe(self.server.promote, version)

    def environment(self, cache: Path) -> dict[str, str]:
        url = self.server.url
        return {
            "RUNNER_CONTROL_URL": url,
            "RUNNER_MLFLOW_URL": url,
            "RUNNER_CONTROL_TOKEN": DeploymentServer.TOKEN,
            "RUNNER_CACHE_DIR": str(cache),
            "RUNNER_HOST": "127.0.0.1",
            "BENTOML_DO_NOT_TRACK": "true",
        }


@contextmanager
def process(model: str, upstream: Upstream, folder: Path, cwd: Path = ROOT, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """A running process, its address, and the seconds that it took to become ready."""
    port = port or find_free_port()
    environment = os.environ | upstream.environment(folder / "cache") | {"RUNNER_PORT": str(port)}
    log = folder / "log"
    with log.open("ab") as output:
        started = time.monotonic()
        running = subprocess.Popen([sys.executable, "-m", "bentos.serving", "--model", model], cwd=cwd, env=environment, stdout=output, stderr=output)
        try:
            wait_until(f"http://127.0.0.1:{port}/readyz", running, log, 30)
            yield running, f"http://127.0.0.1:{port}", time.monotonic() - started
        finally:
            running.terminate()
            running.wait(10)
