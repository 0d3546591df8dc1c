"""The public clients of the Open Inference Protocol, as their users have them, against a runner and a gateway on real ports."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from bentos import contract
from services.gateway.access import Role
from services.gateway.predictions.contracts import of_catalogue
from services.kit.open_inference import rows
from tests.conftest import ROOT
from tests.gateway import started
from tests.integration.test_runner import Upstream, process

CLIENTS = ROOT / "tests" / "clients"
MODEL = "credit_scoring"
AWAY = re.compile(r"failed to fetch|error sending request|dns error|timed out|connection refused|network is unreachable|could not connect", re.IGNORECASE)


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of an environment with both clients: made once, kept for the next run, apart from the project's and its lock."""
    requirements = CLIENTS / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / ".tools" / f"clients-{wanted}"
    if not folder.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(part)], check=True)
        install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(part / "bin" / "python"), "-r", str(requirements)]
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            shutil.rmtree(part)
            assert AWAY.search(done.stderr), done.stderr
            pytest.skip(f"the clients could not be installed: {done.stderr.strip().splitlines()[0]}")
        part.rename(folder)
    return folder / "bin" / "python"


async def run(python: Path, script: str, job: dict[str, Any]) -> dict[str, Any]:
    program = await asyncio.create_subprocess_exec(
        str(python), str(CLIENTS / script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    async with asyncio.timeout(60):
        out, err = await program.communicate(json.dumps(job).encode())
    assert program.returncode == 0, err.decode()[-3000:]
    found: dict[str, Any] = json.loads(out)
    return found


@asynccontextmanager
async def on_a_port(app: FastAPI) -> AsyncIterator[str]:
    """Its lifespan is entered already."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done(), "the gateway did not start"
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def tensors(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    schema = contract.schema(MODEL)
    fields = rows.fields(schema.Input, contract.kinds(schema.Input))
    return [{"name": name, "datatype": field.datatype, "shape": [len(given)], "data": [row[name] for row in given]} for name, field in fields.items()]


def job(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Three clients of the bank, with missing values; and one of a wrong age."""
    example = contract.schema(MODEL).EXAMPLE
    given = [example, example | {"annuity": None, "ext_source_2": None, "income_total": 30_000.25}, example | {"age_years": 61.7, "own_car_age_years": 3.0}]
    return {
        "url": url,
        "headers": headers,
        "model": MODEL,
        "version": "1",
        "rows": given,
        "inputs": tensors(given),
        "outputs": [*contract.schema(MODEL).Output.model_fields],
        "wrong": tensors([example, example | {"age_years": 17.5}]),
    }


def transposed(answers: list[dict[str, Any]], names: list[str]) -> dict[str, list[Any]]:
    return {name: [answer[name] for answer in answers] for name in names}


def check(seen: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    """What every client has to have seen of every server."""
    assert (seen["live"], seen["ready"], seen["model_ready"]) == (True, True, True)
    assert (seen["json"]["id"], seen["json"]["version"], seen["json"]["parameters"]["policy_version"]) == ("42", "1", 1)
    for form in ("json", "binary"):
        assert {name: seen[form]["outputs"][name] for name in expected} == expected
    assert seen["wrong"][0] == "422"
    assert seen["wrong"][1].startswith("inputs.age_years[1]: Input should be greater than or equal to 18")


def check_triton(seen: dict[str, Any]) -> None:
    assert seen["version_ready"] == [True, False]
    assert seen["server"]["extensions"] == ["binary_tensor_data"]
    assert seen["metadata"]["versions"] == ["1"]
    assert [tensor["name"] for tensor in seen["metadata"]["inputs"]] == [*contract.schema(MODEL).Input.model_fields]
    assert seen["version"]["outputs"]["probability"] == seen["binary"]["outputs"]["probability"]
    assert seen["other_version"] == ["404", f"Version 999 of {MODEL} does not serve; version 1 does."]


async def test_both_clients_and_a_runner(python: Path, tmp_path: Path) -> None:
    with Upstream(tmp_path / "files", MODEL) as upstream, process(MODEL, upstream, tmp_path) as (_, url, _):
        asked = job(url, {})
        async with httpx.AsyncClient() as client:
            answers = (await client.post(f"{url}/rows", json={"rows": asked["rows"]})).json()["answers"]
        triton, kserve = await asyncio.gather(run(python, "triton.py", asked), run(python, "kserve_rest.py", asked))
    expected = transposed(answers, asked["outputs"])
    assert len(set(expected["probability"])) == 3
    check(triton, expected)
    check(kserve, expected)
    check_triton(triton)


async def test_both_clients_and_the_gateway(python: Path, tmp_path: Path, database_url: str) -> None:
    with Upstream(tmp_path / "files", MODEL) as upstream, process(MODEL, upstream, tmp_path) as (_, runner, _):
        async with started(database_url, contracts={MODEL: of_catalogue()[MODEL]}, runner_url=runner) as gateway, on_a_port(gateway.app) as url:
            headers = await gateway.user("ann", Role.analyst)
            asked = job(url, headers)
            answers = [(await gateway.client.post(f"/predict/{MODEL}", json=row, headers=headers)).json() for row in asked["rows"]]
            before = (await gateway.query("SELECT count(*) FROM predictions"))[0][0]
            triton, kserve = await asyncio.gather(run(python, "triton.py", asked), run(python, "kserve_rest.py", asked))
            stored = await gateway.query("SELECT id::text, batch_id::text, score FROM predictions WHERE batch_id IS NOT NULL ORDER BY batch_id, row_number")
    expected = transposed(answers, asked["outputs"])
    check(triton, expected)
    check(kserve, expected)
    check_triton(triton)
    assert triton["nobody"] == ["401", "No credentials: send an access token (Authorization: Bearer …) or an API key (X-API-Key: …)."]
    assert kserve["nobody"][0] == "401"
    assert before == 3
    assert len(stored) == 3 * 5, "three forms by one client, two by the other; nothing of what was refused"
    told = {(identifier, triton["binary"]["parameters"]["batch_id"]) for identifier in triton["binary"]["outputs"]["prediction_id"]}
    assert told <= {(identifier, batch) for identifier, batch, _ in stored}
    assert {score for _, _, score in stored} == set(expected["probability"])
