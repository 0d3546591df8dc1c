"""A trial and its promotion while control is killed again and again, with a real runner: what it answers with is what the ledger says."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from tests import trials
from tests.conftest import find_free_port
from tests.fakes import DeploymentServer
from tests.integration.control_server import PASSED, promote, until
from tests.integration.control_server import version as registration
from tests.integration.test_control_process import environment, started
from tests.versions import build
from tests.whole import runner

MODEL = "attrition"
LIVES = 14
SETTLED = 10.0
"""Seconds after control's return until a replica follows: its long poll is asked again with pauses between."""


async def test_ledger_desired_state_and_answers_agree_after_every_kill(database_url: str, tmp_path: Path, free_port: int) -> None:
    rows, port = trials.rows_of(MODEL, 300), find_free_port()
    variables = environment(database_url, free_port, tmp_path, KRAKEN_URL="")
    entries: list[dict[str, Any]] = []
    seen: list[tuple[str, str | None]] = []
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as replica:
        files = await stack.enter_async_context(DeploymentServer(tmp_path / "files"))
        versions = {number: await asyncio.to_thread(build, tmp_path / "files" / number, MODEL, seed=int(number)) for number in ("1", "2")}

        async def answers() -> str:
            answer = await replica.post("/rows", json={"rows": rows[:1]})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["version"])

        for life in range(LIVES):
            async with started(["-m", "tests.faults.rollout_control"], variables, tmp_path) as (control, client):
                if life == 0:
                    for number, built in versions.items():
                        document = registration(number) | {"artifact": number, "sha256": built.sha256}
                        assert (await client.post(f"/models/{MODEL}/versions", json=document)).status_code == 201
                        assert (await client.post(f"/models/{MODEL}/versions/{number}/verdict", json={"verdict": PASSED})).status_code == 200
                    assert (await promote(client, MODEL, "1")).status_code == 200
                    await stack.enter_async_context(runner(MODEL, port, str(client.base_url), files.url, tmp_path))
                    asked = {"version": "2", "mode": "shadow", "reason": "tested", "actor": "ada"}
                    assert (await client.post(f"/models/{MODEL}/challenger", json=asked)).status_code == 200
                    truth = versions["1"].examples.target[:300].tolist()
                    trials.answer(database_url, MODEL, rows, trials.scores_of(versions["1"], MODEL, rows), ago=-0.4, outcomes=truth)
                entries = (await client.get(f"/models/{MODEL}/ledger")).json()["entries"]
                served = entries[0]["to_version"]

                async def followed(wanted: str = served) -> bool:
                    return await answers() == wanted

                await until(followed, SETTLED)
                serving = (await client.get(f"/serving/{MODEL}")).json()
                assert serving["champion"]["version"] in {served, "2"}, "it may have gone on meanwhile, and never goes back"
                seen.append((served, entries[0]["challenger"]))
                if len(entries) == 3:
                    assert (serving["deployment"], serving["challenger"]) == (entries[0]["id"], None)
                    break
                await asyncio.sleep(0.4 + 0.31 * life)
                control.kill()
    assert [(entry["action"], entry["actor"]) for entry in entries] == [("promote", "rollout"), ("shadow", "ada"), ("promote", "ada")]
    assert seen == [*[("1", "2")] * (len(seen) - 1), ("2", None)]
    print(f"\ncontrol was killed {len(seen) - 1} times before its promotion was seen")
