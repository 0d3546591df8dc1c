"""Control as a process: how it starts, and what is left when it ends."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.conftest import application
from tests.integration.control_server import TOKEN, step_pids, until
from tests.integration.test_control_workflows import alive, submit

ROOT = Path(__file__).resolve().parents[2]
QUICK = 3.0
"""Seconds; a long poll, or the grace of a step, would take longer."""


def environment(database_url: str, port: int, folder: Path, **more: str) -> dict[str, str]:
    ours = {"HOST": "127.0.0.1", "PORT": str(port), "METRICS_PORT": "0", "DATABASE_URL": application(database_url), "MLFLOW_URL": "http://m", "TOKEN": TOKEN}
    ours |= {"LOG_DIR": str(folder / "logs"), **more}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **{f"CONTROL_{name}": value for name, value in ours.items()}}


@asynccontextmanager
async def started(command: list[str], variables: dict[str, str], folder: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], httpx.AsyncClient]]:
    with (folder / "control.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=variables, stdout=log, stderr=log)  # noqa: ASYNC220 - returns at once
    try:
        url = f"http://127.0.0.1:{variables['CONTROL_PORT']}"
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=15) as client:
            await until_answered(client, "/livez")
            yield process, client
    finally:
        process.kill()
        process.wait()


async def until_answered(client: httpx.AsyncClient, path: str, seconds: float = 15) -> None:
    async def answered() -> bool:
        try:
            return (await client.get(path)).status_code == 200
        except httpx.TransportError:
            return False

    await until(answered, seconds)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_step_and_no_waiter_outlives_control(database_url: str, tmp_path: Path, free_port: int, number: signal.Signals) -> None:
    variables = environment(database_url, free_port, tmp_path) | {"FAKE_CALLS": str(tmp_path / "calls"), "FAKE_INGEST": "hangs"}
    async with started(["-m", "tests.integration.control_process"], variables, tmp_path) as (process, client):
        await submit(client)
        step, helper = await step_pids(tmp_path / "calls")
        assert alive([step, helper]) == [step, helper]
        poll = asyncio.create_task(client.get("/serving/attrition", params={"wait": 50}, headers={"If-None-Match": '"0"'}))
        await asyncio.sleep(0.3)
        begin = time.monotonic()
        process.send_signal(number)
        if number == signal.SIGTERM:
            assert (await poll).status_code == 304
            assert time.monotonic() - begin < 3
        else:
            poll.cancel()
        await asyncio.to_thread(process.wait, 10)
        assert time.monotonic() - begin < QUICK
        await asyncio.sleep(0.2)
        assert not alive([step])
        if number == signal.SIGTERM:
            assert not alive([helper])
        for pid in alive([helper]):
            os.kill(pid, signal.SIGKILL)


async def test_it_starts_without_the_database_and_goes_on_when_it_is_there(postgres_url: str, template: str, tmp_path: Path, free_port: int) -> None:
    name = f"test_later_{free_port}"
    variables = environment(f"{postgres_url}/{name}", free_port, tmp_path)
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        async with started(["-m", "services.control"], variables, tmp_path) as (_, client):
            away = await client.get("/readyz")
            assert (away.status_code, away.json()["detail"]) == (503, "The database does not answer; try again.")
            assert away.headers["retry-after"]
            admin.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
            await until_answered(client, "/readyz", 10)
            assert (await client.get("/serving/attrition")).status_code == 200
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert "does not exist" in (tmp_path / "control.log").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TOKEN": ""}, "CONTROL_TOKEN"),
        ({"ENVIRONMENT": "production", "TOKEN": "short"}, "CONTROL_TOKEN must have at least 32 characters outside local mode"),
        ({"PORT": "http"}, "CONTROL_PORT"),
        ({"WORKFLOWS": "airflow"}, "CONTROL_WORKFLOWS"),
    ],
)
def test_bad_settings_are_said_in_a_line(tmp_path: Path, change: dict[str, str], said: str) -> None:
    variables = environment("postgresql://127.0.0.1:1/x", 0, tmp_path, **change)
    ended = subprocess.run([sys.executable, "-m", "services.control"], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_queries_of_the_documentation_work(database_url: str) -> None:
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) >= 4
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for query in queries:
            await connection.execute(query)


def test_control_stays_light() -> None:
    heavy = "sklearn", "bentoml", "mlflow", "pandas", "numpy", "services.gateway", "services.pipeline", "services.local"
    code = f"import sys, services.control.main; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
