"""A real control on a real port, in the test's own loop."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from bentos import catalogue
from bentos.catalogue import Catalogue
from services.control.app import create_app
from services.control.settings import Settings
from tests.conftest import application

TOKEN = "a-token-for-tests-of-control-0123456789"
FAKE_PIPELINE = [sys.executable, "-S", str(Path(__file__).with_name("fake_pipeline.py"))]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Asks again and again; fails when time is up."""
    for _ in range(int(seconds / 0.02)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


async def step_pids(calls: Path) -> list[int]:
    """The ids of a hanging step's two processes, once it hangs. `calls` is its FAKE_CALLS."""
    file = Path(f"{calls}.pids")
    found: list[int] = []

    async def written() -> bool:
        found[:] = map(int, file.read_text().split()) if file.exists() else []  # noqa: ASYNC240 - a small local file
        return len(found) == 2

    await until(written)
    return found


@asynccontextmanager
async def control(
    database_url: str,
    log_dir: Path,
    models: Catalogue | None = None,
    pipeline: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the token; control has ended when the block has. `more` are settings."""
    settings = Settings(database_url=application(database_url), token=TOKEN, log_dir=log_dir, **{"kraken_url": "", "mlflow_url": "http://mlflow:5000"} | more)
    app = create_app(settings, models or catalogue.load(), pipeline=pipeline or ["false"], environment={"PATH": os.environ["PATH"], **(environment or {})})
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done(), "control did not start"
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, limits=httpx.Limits(max_connections=None)) as client:
            yield client
    finally:
        app.state.waiters.close()
        server.should_exit = True
        await task


def policy(threshold: float = 0.2) -> dict[str, Any]:
    return {"threshold": threshold, "costs": {"missed_positive": 4.0, "false_alarm": 1.0}, "risk_levels": {"medium": 0.5, "high": 1.5}}


def version(number: str, threshold: float = 0.2, value: float = 0.8, metric: str = "roc_auc") -> dict[str, Any]:
    """What the register step reports."""
    return {
        "version": number,
        "run_id": f"run-{number}",
        "artifact": f"1/run-{number}/artifacts/model",
        "sha256": number.rjust(64, "0"),
        "source": "synthetic",
        "data_hash": "abc",
        "engine": "gtil",
        "metrics": {"task": "classification", "holdout": {"rows": 100, "metrics": {metric: {"value": value, "low": value - 0.1, "high": value + 0.1}}}},
        "policy": policy(threshold),
    }


PASSED: dict[str, Any] = {"passed": True, "rules": [{"rule": "floor", "passed": True, "value": 0.8, "limit": 0.7, "words": "roc_auc 0.8 reaches 0.7"}]}
FAILED: dict[str, Any] = {
    "passed": False,
    "rules": [
        {"rule": "floor", "passed": False, "value": 0.6, "limit": 0.7, "words": "roc_auc 0.6 is below 0.7"},
        {"rule": "latency", "passed": True, "value": 30, "limit": 200, "words": "30 µs"},
    ],
}


async def registered(client: httpx.AsyncClient, model: str, *numbers: str, verdict: dict[str, Any] | None = PASSED) -> None:
    """Versions with thresholds of their own: 0.1 for version 1, 0.2 for version 2 …, 0.1 again for 10"""
    for number in numbers:
        assert (await client.post(f"/models/{model}/versions", json=version(number, threshold=(int(number) % 9 or 9) / 10))).status_code == 201
        if verdict is not None:
            assert (await client.post(f"/models/{model}/versions/{number}/verdict", json={"verdict": verdict})).status_code == 200


async def promote(client: httpx.AsyncClient, model: str, number: str, **more: Any) -> httpx.Response:
    return await client.post(f"/models/{model}/promote", json={"version": number, "reason": "tested", "actor": "ada"} | more)
