"""A model served as in production: a real control, real runner processes and the real gateway; only MLflow's file server is a stand-in."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bentos import catalogue
from services.gateway.access import Role
from services.gateway.predictions.contracts import of_catalogue
from tests.conftest import ROOT, find_free_port
from tests.fakes import DeploymentServer
from tests.gateway import Gateway, started
from tests.integration.control_server import PASSED, TOKEN, control, policy
from tests.versions import build


@dataclass
class Whole:
    model: str
    gateway: Gateway
    control: httpx.AsyncClient
    files: DeploymentServer
    runners: list[str]
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, role: str = "engineer", status: int = 200, **more: Any) -> Any:
        answer = await self.gateway.client.request(method, path, headers=self.headers[role], **more)
        assert answer.status_code == status, answer.text
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer

    async def change(self, action: str, **body: Any) -> dict[str, Any]:
        method = "PUT" if action == "policy" else "POST"
        entry: dict[str, Any] = await self.ask(method, f"/models/{self.model}/{action}", json={"reason": "tested", **body})
        return entry


@asynccontextmanager
async def whole(database_url: str, folder: Path, model: str, replicas: int = 2) -> AsyncIterator[Whole]:
    """Versions 1 and 2 are registered; nothing serves yet."""
    decides = catalogue.load().models[model].task == "classification"
    async with AsyncExitStack() as stack:
        files = await stack.enter_async_context(DeploymentServer(folder / "files"))
        plane = await stack.enter_async_context(control(database_url, folder))
        for version in ("1", "2"):
            made = await asyncio.to_thread(build, folder / "files" / version, model, seed=int(version))
            document = {
                **{"version": version, "run_id": f"run-{version}", "artifact": version, "sha256": made.sha256, "source": "synthetic"},
                **{"data_hash": f"data-{version}", "engine": made.engine.kind, "policy": policy(0.1 * int(version)) if decides else None},
                "metrics": {"code_revision": "c0ffee", "holdout": {"rows": 100, "metrics": {}}},
            }
            assert (await plane.post(f"/models/{model}/versions", json=document)).status_code == 201
            assert (await plane.post(f"/models/{model}/versions/{version}/verdict", json={"verdict": PASSED})).status_code == 200
        ports = [find_free_port() for _ in range(replicas)]
        for port in ports:
            await stack.enter_async_context(runner(model, port, str(plane.base_url), files.url, folder))
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        given = {"runners": {model: urls}, "control_url": str(plane.base_url), "control_token": TOKEN}
        gateway = await stack.enter_async_context(started(database_url, of_catalogue(), **given))
        served = Whole(model, gateway, plane, files, urls)
        for role in Role:
            served.headers[role.name] = await gateway.user(role.name, role)
        yield served


@asynccontextmanager
async def runner(model: str, port: int, plane: str, files: str, folder: Path) -> AsyncIterator[None]:
    given = {"PORT": str(port), "HOST": "127.0.0.1", "CONTROL_URL": plane, "CONTROL_TOKEN": TOKEN, "MLFLOW_URL": files}
    given |= {"CACHE_DIR": str(folder / f"cache-{port}"), "REPLICA": str(port)}
    environment = os.environ | {f"RUNNER_{name}": value for name, value in given.items()} | {"BENTOML_DO_NOT_TRACK": "true"}
    log = folder / f"runner-{port}.log"
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bentos.serving", "--model", model, cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(40), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        break
                assert running.returncode is None, log.read_text()[-3000:]
                await asyncio.sleep(0.1)
        yield
    finally:
        running.terminate()
        await running.wait()
