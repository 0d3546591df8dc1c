"""The desired state as a runner meets it: ETags, long polls, its own reports."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY

from services.control import metrics
from tests.integration.control_server import control, promote, registered, until

MODEL = "attrition"
URL = f"/serving/{MODEL}"
WAKE_SECONDS = 0.3


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path) as client:
        await until_listening(database_url)
        yield client


async def until_listening(database_url: str, gone: int = 0) -> int:
    """The server process of the connection that listens, another one than `gone`."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'modelyard-control-listen' AND pid <> %s"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for _ in range(200):
            row = await (await connection.execute(query + " AND query LIKE 'LISTEN%%'", (gone,))).fetchone()
            if row is not None:
                return int(row[0])
            await asyncio.sleep(0.05)
    raise AssertionError("control does not listen")


async def poll(client: httpx.AsyncClient, etag: str, wait: float) -> tuple[httpx.Response, float]:
    """The answer and when it came."""
    answer = await client.get(URL, params={"wait": wait}, headers={"If-None-Match": etag})
    return answer, time.monotonic()


async def test_nothing_serves_at_first(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL)
    assert answer.headers["etag"] == '"0"'
    assert answer.json() == {
        "model": MODEL,
        "deployment": None,
        "champion": None,
        "challenger": None,
        "challenger_policy": None,
        "shadow_percent": 0,
        "canary_percent": 0,
        "watch_seconds": 0,
        "policy": None,
    }
    assert (await client.get("/serving/nothing")).status_code == 404


async def test_what_serves_after_a_promotion(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1")
    row = (await promote(client, MODEL, "1")).json()
    answer = await client.get(URL, params={"wait": 30}, headers={"If-None-Match": '"0"'})
    state = answer.json()
    assert (answer.status_code, answer.headers["etag"], state["deployment"]) == (200, f'"{row["id"]}"', row["id"])
    assert state["champion"] == {"version": "1", "artifact": "1/run-1/artifacts/model", "sha256": "1".rjust(64, "0")}
    assert (state["policy"]["version"], state["policy"]["threshold"]) == (1, 0.1)


async def test_unchanged_is_304_at_once_or_after_the_wait(client: httpx.AsyncClient) -> None:
    begin = time.monotonic()
    at_once, after = await poll(client, '"0"', 0)
    assert (at_once.status_code, at_once.headers["etag"], at_once.content) == (304, '"0"', b"")
    assert after - begin < 0.5
    waited, end = await poll(client, 'W/"0"', 0.6)
    assert waited.status_code == 304
    assert 0.55 < end - after < 1.2
    assert (await client.get(URL, params={"wait": "nan"})).status_code == 422
    assert (await client.get(URL, params={"wait": -1})).status_code == 422


async def test_a_change_wakes_who_waits_for_that_model(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, *map(str, range(1, 9)))
    await registered(client, "credit_scoring", "1")
    seconds, etag = [], '"0"'
    for number in map(str, range(1, 9)):
        waiting = asyncio.create_task(poll(client, etag, 20))
        await asyncio.sleep(0.1)
        if number == "1":
            await promote(client, "credit_scoring", "1")
            await asyncio.sleep(0.2)
            assert not waiting.done()
        row = (await promote(client, MODEL, number)).json()
        committed = time.monotonic()
        answer, woken = await waiting
        etag = answer.headers["etag"]
        assert (answer.json()["champion"]["version"], etag) == (number, f'"{row["id"]}"')
        seconds.append(woken - committed)
    print(f"woken after the promotion's answer: median {statistics.median(seconds) * 1000:.1f} ms, most {max(seconds) * 1000:.1f} ms")
    assert max(seconds) < WAKE_SECONDS


async def test_many_wait_without_holding_connections(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1")
    waiting = [asyncio.create_task(poll(client, '"0"', 20)) for _ in range(100)]
    await asyncio.sleep(0.5)
    begin = time.monotonic()
    assert (await promote(client, MODEL, "1")).status_code == 200
    assert time.monotonic() - begin < 4, "a promotion that found no free connection would take the pool's 5 s"
    assert {answer.status_code for answer, _ in await asyncio.gather(*waiting)} == {200}


async def test_a_change_made_past_a_broken_connection_is_not_missed(client: httpx.AsyncClient, database_url: str) -> None:
    """The connection that listens is cut and the change comes in before it is back: waiters read again when it is."""
    await registered(client, MODEL, "1")
    waiting = asyncio.create_task(poll(client, '"0"', 20))
    await asyncio.sleep(0.2)
    listener = await until_listening(database_url)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute("SELECT pg_terminate_backend(%s)", (listener,))
    await promote(client, MODEL, "1")
    answer, _ = await asyncio.wait_for(waiting, 5)
    assert answer.json()["champion"]["version"] == "1"
    assert await until_listening(database_url, gone=listener) != listener


def slots(**more: Any) -> dict[str, Any]:
    """As a runner's /slots says it."""
    champion = {"version": "1", "engine": "gtil", "loaded_at": "2026-11-21T09:00:00Z", "source": "mlflow"}
    return {"model": MODEL, "replica": "host-1", "champion": champion, "challenger": None, "policy": {"version": 3, "threshold": 0.2}, "refused": []} | more


async def replicas(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/models/{MODEL}")).json()["replicas"]
    return found


async def test_replicas_report_and_are_forgotten_when_silent(client: httpx.AsyncClient, database_url: str) -> None:
    refused = {"version": "2", "reason": "engine.tl: sha256 is ab…, expected cd…", "at": "2026-11-21T09:01:00Z"}
    assert (await client.post(f"{URL}/replicas", json=slots())).status_code == 204
    assert (await client.post(f"{URL}/replicas", json=slots(refused=[refused]))).status_code == 204
    assert (await client.post(f"{URL}/replicas", json=slots(replica="host-2", champion=None, policy=None))).status_code == 204
    first, second = await replicas(client)
    assert (first["replica"], first["version"], first["policy_version"], first["engine"], first["refused"]) == ("host-1", "1", 3, "gtil", [refused])
    assert (second["replica"], second["version"], second["policy_version"], second["engine"], second["refused"]) == ("host-2", None, None, None, [])
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("UPDATE replicas SET reported_at = now() - interval '61 seconds' WHERE replica = 'host-1'")
    assert [one["replica"] for one in await replicas(client)] == ["host-2"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (slots(model="credit_scoring"), "model"),
        (slots(replica=""), "replica"),
        (slots(champion={"engine": "gtil"}), "champion.version"),
        ({"model": MODEL}, "replica"),
        (slots(note="a\0b"), "note"),
    ],
)
async def test_a_bad_report_names_the_field(client: httpx.AsyncClient, document: dict[str, Any], field: str) -> None:
    answer = await client.post(f"{URL}/replicas", json=document)
    assert answer.status_code == 422
    assert field in str(answer.json()["errors"])


async def test_metrics_tell_what_serves(client: httpx.AsyncClient) -> None:
    def told() -> list[dict[str, str]]:
        return [one.labels for metric in metrics.SERVING.collect() for one in metric.samples if one.labels["model"] == MODEL]

    async def told_is(expected: list[dict[str, str]]) -> bool:
        return told() == expected

    await registered(client, MODEL, "1", "2")
    counted = REGISTRY.get_sample_value("modelyard_deployments_total", {"model": MODEL, "action": "promote"}) or 0
    for number in ("1", "2"):
        await promote(client, MODEL, number)
        expected = [{"model": MODEL, "version": number, "policy": number}]
        await until(partial(told_is, expected), 3)
    assert REGISTRY.get_sample_value("modelyard_deployments_total", {"model": MODEL, "action": "promote"}) == counted + 2
