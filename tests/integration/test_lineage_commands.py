"""`modelyard promote|rollback|policy|ledger|lineage|reproduce|proof` on a model that two real runners serve."""

import asyncio
import json
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from typer.testing import CliRunner

from bentos import contract
from services.cli import app
from services.local import launch
from tests.gateway import PASSWORD
from tests.whole import Whole, whole

MODEL = "attrition"


@pytest.fixture
async def served(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    async with whole(database_url, tmp_path, MODEL) as made:
        server = uvicorn.Server(uvicorn.Config(made.gateway.app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
        view = {"services": {"gateway": {"url": url}}, "password": PASSWORD, "started_at": "today", "control_token": "x"}
        monkeypatch.setattr(launch, "view", lambda _home: view)
        try:
            yield made
        finally:
            server.should_exit = True
            await task


async def modelyard(*words: object, code: int = 0) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.timeout(120)
async def test_the_past_is_asked_for_in_words(served: Whole, database_url: str, tmp_path: Path) -> None:
    said = await modelyard("promote", MODEL, "1", "--reason", "first")
    after = re.search(r"each of 2 replicas answers so, after (\d+\.\d+) s", said)
    assert after, said
    assert float(after[1]) < 3
    assert "ledger entry 1, head " in said
    assert "version 1 → 2" in await modelyard("promote", MODEL, "2", "--reason", "better")
    assert ", policy 3;" in await modelyard("policy", MODEL, "--threshold", "0.4")
    identifier = (await served.ask("POST", f"/predict/{MODEL}", json=contract.schema(MODEL).EXAMPLE))["prediction_id"]
    assert ", policy 2;" in await modelyard("rollback", MODEL, "--policy-only")
    assert "version 2 → 1" in await modelyard("rollback", MODEL, "--to", "1")
    assert "give --threshold" in await modelyard("policy", MODEL, code=2)

    table = await modelyard("ledger", MODEL)
    assert (table.count("rollback"), table.count(" s ")) == (2, 5), table
    then = json.loads(await modelyard("ledger", MODEL, "--json"))["entries"][2]["created_at"]
    past = await modelyard("ledger", MODEL, "--at", then)
    assert "version 2, policy 3 (threshold 0.4000), trained on synthetic data data-2" in past
    assert "by admin: better (ledger entry 2)" in past
    checked = await modelyard("ledger", "verify")
    assert f"{MODEL}: 5 entries, a whole chain, head " in checked
    head = checked.split("head ")[1].split()[0]

    traced = await modelyard("lineage", identifier)
    for words in ("trained     ", "data-2", "code        c0ffee", "gate        passed", "policy      3: threshold 0.4000", "deployed    ", "policy set  "):
        assert words in traced, traced
    print("\n" + traced)
    assert "Bit for bit the same" in await modelyard("reproduce", identifier)
    await modelyard("proof", identifier, "--out", tmp_path / "proof.zip")
    assert zipfile.ZipFile(tmp_path / "proof.zip").testzip() is None

    assert "is in it" in await modelyard("ledger", "verify", MODEL, "--head", head)
    assert "NOT in it" in await modelyard("ledger", "verify", MODEL, "--head", "f" * 64, code=1)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE deployments SET actor = 'mallory' WHERE id = 2")
    assert "entry 2: the entry, or the version or policy that it names, is not what was written" in await modelyard("ledger", "verify", MODEL, code=1)


async def test_a_version_that_no_replica_can_use_is_told_with_the_reason(served: Whole) -> None:
    await modelyard("promote", MODEL, "1")
    any_file = next((served.files.files / "2").glob("golden.json"))
    any_file.write_text("{}")
    said: Any = await modelyard("promote", MODEL, "2", code=1)
    assert "not every replica has answered with version 2" in said
    assert "refuses it" in said
