"""A model served for real, whose files and tables are scored by real steps: MLflow, control, runner and gateway as in production."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pyarrow as pa
import pytest
import uvicorn
from pyarrow import parquet as pq

from bentos import contract
from services.gateway.access import Role
from services.gateway.predictions.contracts import of_catalogue
from tests.conftest import find_free_port
from tests.gateway import Gateway, started
from tests.integration.control_server import TOKEN
from tests.integration.pipeline_steps import MODEL, Platform, running
from tests.whole import runner as served_by

PIPELINE = [sys.executable, "-m", "services.pipeline"]


@dataclass
class Scoring:
    platform: Platform
    gateway: Gateway
    database_url: str
    url: str
    """The gateway's."""

    async def count(self, what: str = "predictions") -> int:
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            return int((await (await connection.execute(f"SELECT count(*) FROM {what}")).fetchone())[0])  # type: ignore[index]

    async def steps(self, *given: str, audit: str = "summary", code: int = 0) -> dict[str, Any]:
        """All steps of a scoring in this process; what the last one said, with `run_id`."""
        run_id = (await self.platform.here("ingest", *given))["run_id"]
        planned = await self.platform.here("partition", "--run-id", run_id, "--audit", audit, *given)
        for number in planned["partitions"]:
            await self.platform.here("score", "--run-id", run_id, "--partition", number, *given)
        return {"run_id": run_id} | await self.platform.here("gather", "--run-id", run_id, *given, code=code)

    async def records(self, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.platform.control.get(f"/models/{MODEL}/scored/{run_id}")).json()["parts"]
        return found

    async def table(self, run_id: str) -> pa.Table:
        """All answers, in the order of the parts."""
        parts = []
        for record in await self.records(run_id):
            answer = await self.platform.control.get(f"/models/{MODEL}/scored/{run_id}/parts/{record['part']}/answers")
            assert answer.status_code == 200, answer.text
            parts.append(pq.read_table(pa.BufferReader(answer.content)))
        return pa.concat_tables(parts)


def environment(platform: Platform) -> dict[str, str]:
    return {**os.environ, **platform.addresses}


def people(rows: int, file: Path) -> Path:
    """A file with a column of its own."""
    frame = contract.data(MODEL).synthetic(rows, 3, 0.0).drop(columns=contract.train(MODEL).TARGET)
    frame.insert(0, "badge", [f"b{number}" for number in range(rows)])
    if file.suffix == ".csv":
        frame.to_csv(file, index=False)
    else:
        frame.to_parquet(file, index=False)
    return file


@asynccontextmanager
async def scoring(database_url: str, mlflow_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, served: bool = True) -> AsyncIterator[Scoring]:
    """Version 4 serves. `served`: with a runner and a gateway."""
    port = find_free_port()
    given = {"PIPELINE_GATEWAY_URL": f"http://127.0.0.1:{port}", "PIPELINE_PART_ROWS": "200"}
    steps = {"MLFLOW_TRACKING_URI": mlflow_url, "PIPELINE_CONTROL_TOKEN": TOKEN, "HOME": str(folder)} | given
    async with AsyncExitStack() as stack:
        known = folder / "known.sh"
        # Control's own address is known only when it is up, and the key only when the gateway is.
        pipeline = ["sh", "-c", f'. {known}; exec "$@"', "sh", *PIPELINE]
        platform = await stack.enter_async_context(running(database_url, mlflow_url, folder, monkeypatch, pipeline=pipeline, environment=steps))
        await platform.promoted("4", folder)
        runner = find_free_port()
        if served:
            await stack.enter_async_context(served_by(MODEL, runner, str(platform.control.base_url), mlflow_url, folder))
        more = {"runners": {MODEL: [f"http://127.0.0.1:{runner}"]}, "control_url": str(platform.control.base_url), "control_token": TOKEN}
        gateway = await stack.enter_async_context(started(database_url, of_catalogue(), **more))
        server = uvicorn.Server(uvicorn.Config(gateway.app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        analyst = await gateway.user("robot", Role.analyst)
        made = await gateway.client.post("/auth/api-keys", json={"name": "workflows"}, headers=analyst)
        found = {"PIPELINE_CONTROL_URL": str(platform.control.base_url), "PIPELINE_GATEWAY_KEY": made.json()["key"]}
        known.write_text("".join(f"export {name}={value}\n" for name, value in found.items()))
        platform.addresses |= given | found
        for name, value in platform.addresses.items():
            monkeypatch.setenv(name, value)
        try:
            yield Scoring(platform, gateway, database_url, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            await task


async def submitted(control: httpx.AsyncClient, **parameters: Any) -> str:
    asked = {"kind": "score", "model": MODEL, "parameters": parameters, "reason": "tested", "actor": "ada"}
    answer = await control.post("/workflows", json=asked)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
