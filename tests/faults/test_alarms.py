"""Control is killed between the commit of a drift report with an alarm and the decision about a retraining: the next one decides, once."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.integration.control_server import until
from tests.integration.control_server import version as registration
from tests.integration.test_control_process import environment, started

MODEL = "attrition"
WINDOW = {"from": "2026-11-22T00:00:00+00:00", "to": "2026-11-22T01:00:00+00:00", "rows": 900}
ALARM: dict[str, Any] = {
    **{"version": "1", "window": WINDOW, "policy": {}, "score": None, "tests": 3, "performance": None, "alarm": True, "words": "age drifted"},
    "features": [{"feature": "age", "verdict": "drift"}],
}


async def decisions(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/models/{MODEL}/retrainings")).json()["retrainings"]
    return found


async def test_an_alarm_is_decided_about_whenever_control_is_killed(database_url: str, tmp_path: Path, free_port: int) -> None:
    variables = environment(database_url, free_port, tmp_path, KRAKEN_URL="")
    async with started(["-m", "services.control"], variables, tmp_path) as (control, client):
        assert (await client.post(f"/models/{MODEL}/versions", json=registration("1"))).status_code == 201
        with psycopg.connect(database_url) as held:
            # Every decision about the model waits for this lock: control dies after the report, and before the decision.
            held.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [MODEL])
            telling = asyncio.create_task(client.post(f"/models/{MODEL}/drift", json=ALARM))

            async def stored() -> bool:
                return bool((await client.get(f"/models/{MODEL}/drift")).json()["reports"])

            await until(stored)
            control.kill()
            assert isinstance((await asyncio.gather(telling, return_exceptions=True))[0], httpx.TransportError)
    with psycopg.connect(database_url) as connection:
        # Two minutes pass.
        connection.execute("ALTER TABLE drift_reports DISABLE TRIGGER USER")
        connection.execute("UPDATE drift_reports SET created_at = created_at - interval '2 minutes'")
        connection.execute("ALTER TABLE drift_reports ENABLE TRIGGER USER")
    for life in range(2):
        async with started(["-m", "services.control"], variables, tmp_path) as (control, client):

            async def decided(asked: httpx.AsyncClient = client) -> bool:
                return bool(await decisions(asked))

            await until(decided, 20)
            if life:
                await asyncio.sleep(2)
            (decision,) = await decisions(client)
            assert (decision["reason"], decision["rule"], decision["times"]) == ("drift", "outcomes", 1)
            assert decision["detail"] == {"report": 1, "version": "1", "drifted": ["age"], "words": "age drifted"}
            (report,) = (await client.get(f"/models/{MODEL}/drift")).json()["reports"]
            assert report["id"] == 1
            control.kill()
