"""Runner processes as they are started in production, and the control plane and MLflow that they need, for tests."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bentos import catalogue
from tests.conftest import ROOT, find_free_port, wait_until
from tests.fakes import DeploymentServer
from tests.versions import POLICY, build


class Upstream(threading.Thread):
    """DeploymentServer on an event loop of its own, so that synchronous tests can use it."""

    def __init__(self, files: Path, model: str) -> None:
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.server = DeploymentServer(files)
        self.policy = POLICY if catalogue.load().models[model].task == "classification" else None
        for version in ("1", "2"):
            self.server.add(version, build(files / version, model, seed=int(version)).sha256)
        self.server.promote("1", policy=self.policy)

    def run(self) -> None:
        self.loop.run_forever()

    def __enter__(self) -> "Upstream":
        self.start()
        asyncio.run_coroutine_threadsafe(self.server.__aenter__(), self.loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.__aexit__(None, None, None), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(5)
        self.loop.close()

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
