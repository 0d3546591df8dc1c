"""Trials: begun and ended in the ledger, scored under a lease, promoted, withdrawn and rolled back by themselves."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from bentos import catalogue
from bentos.catalogue import CanaryRules, Rollout, ShadowRules, WatchRules
from bentos.serving.tallies import BOUNDS
from tests import trials
from tests.integration.control_server import FAILED, control, promote, registered, until
from tests.versions import build

MODEL = "attrition"
AUTOMATIC = Rollout(shadow=ShadowRules(rows=300, minutes=0, max_flips=0.5, max_latency_ratio=50, max_cost_increase=2.0))
BY_HAND = Rollout(automatic=False)


def models(rollout: Rollout) -> catalogue.Catalogue:
    found = catalogue.load()
    return found.model_copy(update={"models": {name: one.model_copy(update={"rollout": rollout}) for name, one in found.models.items()}})


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path, models(BY_HAND)) as client:
        yield client


async def challenge(client: httpx.AsyncClient, version: str = "2", mode: str = "shadow", **more: Any) -> httpx.Response:
    asked = {"version": version, "mode": mode, "reason": "tested", "actor": "ada"} | more
    return await client.post(f"/models/{MODEL}/challenger", json=asked)


async def withdraw(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post(f"/models/{MODEL}/withdraw", json={"reason": "tested", "actor": "ada"})


async def ledger(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/models/{MODEL}/ledger")).json()["entries"]
    return found


async def serving(client: httpx.AsyncClient) -> tuple[str | None, str | None]:
    found = (await client.get(f"/serving/{MODEL}")).json()
    return found["champion"] and found["champion"]["version"], found["challenger"] and found["challenger"]["version"]


async def test_a_trial_is_rows_of_the_ledger(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2")
    await registered(client, MODEL, "3", verdict=FAILED)
    assert (await challenge(client)).json()["detail"].startswith("Nothing serves")
    assert (await promote(client, MODEL, "1")).status_code == 200
    assert (await withdraw(client)).status_code == 409
    for version, words in (("1", "serves already"), ("3", "The gate refused"), ("9", "has no version")):
        refused = await challenge(client, version)
        assert (refused.status_code, words in refused.json()["detail"]) == (404 if version == "9" else 409, True)
    begun = (await challenge(client)).json()
    assert (begun["action"], begun["from_version"], begun["to_version"], begun["challenger"]) == ("shadow", "1", "1", "2")
    assert (begun["challenger_policy"], begun["shadow_percent"], begun["canary_percent"]) == (2, 100, 0)
    assert (await challenge(client)).status_code == 409
    canary = (await challenge(client, mode="canary", percent=25)).json()
    assert (canary["action"], canary["shadow_percent"], canary["canary_percent"]) == ("canary", 100, 25)
    assert await serving(client) == ("1", "2")
    changed = await client.put(f"/models/{MODEL}/policy", json={"threshold": 0.4, "reason": "tested", "actor": "ada"})
    assert (changed.json()["challenger"], changed.json()["canary_percent"]) == ("2", 25)
    ended = (await withdraw(client)).json()
    assert (ended["action"], ended["to_version"], ended["challenger"]) == ("withdraw", "1", None)
    assert await serving(client) == ("1", None)
    assert [entry["action"] for entry in await ledger(client)] == ["withdraw", "policy", "canary", "shadow", "promote"]


@pytest.mark.parametrize(
    ("payload", "field"),
    [({"mode": "both"}, "mode"), ({"percent": 0}, "percent"), ({"percent": 1.5}, "percent"), ({"version": ""}, "version"), ({"more": 1}, "more")],
)
async def test_what_is_wrong_is_named(client: httpx.AsyncClient, payload: dict[str, Any], field: str) -> None:
    refused = await challenge(client, **{"version": "2", **payload})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


async def test_one_replica_scores_at_a_time_and_told_twice_counts_once(client: httpx.AsyncClient, database_url: str, tmp_path: Path) -> None:
    await registered(client, MODEL, "1", "2")
    taking = {"version": "2", "replica": "r1"}
    assert (await client.post(f"/shadow/{MODEL}/next", json=taking)).status_code == 409
    await promote(client, MODEL, "1")
    await challenge(client)
    rows = trials.rows_of(MODEL, 40)
    made = trials.answer(database_url, MODEL, rows, [0.1] * 40, ago=-1)

    async def settled() -> bool:
        found.extend((await client.post(f"/shadow/{MODEL}/next", json=taking)).content.splitlines())
        return bool(found)

    found: list[bytes] = []
    await until(settled, 5)
    taken = [orjson.loads(line) for line in found]
    assert taken[0] == {"id": made[0], "input": rows[0]}
    other = taking | {"replica": "r2"}
    assert (await client.post(f"/shadow/{MODEL}/next", json=other)).status_code == 409
    scores = {"scores": [{"id": row["id"], "score": 0.3, "decision": "leaves", "latency_us": 20.0, "champion_us": 10.0} for row in taken]}
    assert (await client.post(f"/shadow/{MODEL}/scores", json=other | scores)).status_code == 409
    for _ in range(2):
        assert (await client.post(f"/shadow/{MODEL}/scores", json=taking | scores)).status_code == 204
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM shadow_scores").fetchone() == (len(taken),)
        connection.execute("UPDATE shadow_progress SET until = now()")
    again = (await client.post(f"/shadow/{MODEL}/next", json=other)).content.splitlines()
    assert {orjson.loads(line)["id"] for line in again}.isdisjoint({row["id"] for row in taken})
    bad = await client.post(f"/shadow/{MODEL}/scores", json=other | {"scores": [{"id": "x"}]})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "scores.0.id")
    assert (await client.post(f"/shadow/{MODEL}/next", json=other, headers={"Authorization": ""})).status_code == 401


async def grown(client: httpx.AsyncClient, entries: int, seconds: float = 25) -> dict[str, Any]:
    """The newest entry, once there are so many."""

    async def there() -> bool:
        return len(await ledger(client)) >= entries

    await until(there, seconds)
    return (await ledger(client))[0]


@asynccontextmanager
async def tried(database_url: str, folder: Path, rollout: Rollout) -> AsyncIterator[httpx.AsyncClient]:
    """Version 1 serves and answers 300 rows whose truth is known, 2 is tried in its shadow by the real process."""
    versions = {number: build(folder / number, MODEL, seed=int(number)) for number in ("1", "2")}
    rows = trials.rows_of(MODEL, 300)
    truth = versions["1"].examples.target[:300].tolist()
    async with control(database_url, folder, models(rollout)) as client:
        await trials.registered(client, MODEL, versions)
        await promote(client, MODEL, "1")
        await challenge(client)
        trials.answer(database_url, MODEL, rows, trials.scores_of(versions["1"], MODEL, rows), ago=-0.4, outcomes=truth)
        with trials.shadow(trials.orders(MODEL, str(client.base_url).rstrip("/"), versions["1"], versions["2"]), folder / "shadow.log"):
            yield client


async def test_a_challenger_that_does_no_harm_is_promoted(database_url: str, tmp_path: Path) -> None:
    async with tried(database_url, tmp_path, AUTOMATIC) as client:
        entry = await grown(client, 3)
        shown = (await client.get(f"/models/{MODEL}/shadow", params={"version": "2"})).json()
        assert (entry["action"], entry["actor"], entry["from_version"], entry["to_version"]) == ("promote", "rollout", "1", "2")
        assert entry["reason"].startswith("it does no harm: 300 rows scored by both")
        assert entry["verdict"]["passed"] is True
        assert entry["verdict"]["shadow"]["judgement"]["verdict"] == "promote"
        assert await serving(client) == ("2", None)
    found = shown["report"]
    assert (found["rows"], found["errors"]["rows"], shown["scored"], shown["trial"]) == (300, 0, 300, None)
    assert 0 <= found["flips"]["low"] <= found["flips"]["share"] <= found["flips"]["high"]
    assert found["cost"]["known"]["rows"] == 300
    assert 30 <= found["latency"]["rows"] <= 40, "one row in ten of each block"
    assert {one["feature"] for one in found["segments"]} > {"age"}
    assert sum(one["champion"] for one in found["score"]["bins"]) == 300


async def test_one_that_does_harm_is_withdrawn(database_url: str, tmp_path: Path) -> None:
    harmless = AUTOMATIC.shadow.model_copy(update={"max_latency_ratio": 0.001})
    async with tried(database_url, tmp_path, AUTOMATIC.model_copy(update={"shadow": harmless})) as client:
        shown: dict[str, Any] = {}

        async def judged() -> bool:
            shown.update((await client.get(f"/models/{MODEL}/shadow")).json())
            return shown.get("judgement") is not None

        await until(judged, 20)
        assert [rule["rule"] for rule in shown["judgement"]["rules"]] == ["rows", "minutes", "errors", "flips", "latency", "cost"]
        assert [(one["version"], one["rows"]) for one in shown["live"]] == [("1", 300), ("2", 0)]
        assert shown["judgement"]["verdict"] == "withdraw"
        entry = await grown(client, 3)
    assert (entry["action"], entry["actor"], entry["to_version"], entry["challenger"]) == ("withdraw", "rollout", "1", None)
    assert "times the champion's time" in entry["reason"]


async def test_a_canary_comes_before_everybody(database_url: str, tmp_path: Path) -> None:
    rules = AUTOMATIC.model_copy(update={"canary": CanaryRules(percent=20, rows=50, minutes=0)})
    async with tried(database_url, tmp_path, rules) as client:
        entry = await grown(client, 3)
        assert (entry["action"], entry["actor"], entry["challenger"], entry["canary_percent"]) == ("canary", "rollout", "2", 20)
        rows = trials.rows_of(MODEL, 60)
        trials.answer(database_url, MODEL, rows, [0.15] * 60, version="2", ago=-0.1)
        entry = await grown(client, 4)
        assert (entry["action"], entry["to_version"], entry["challenger"]) == ("promote", "2", None)


async def test_who_is_not_automatic_waits_for_a_person(client: httpx.AsyncClient, database_url: str, tmp_path: Path) -> None:
    await registered(client, MODEL, "1", "2")
    assert (await client.get(f"/models/{MODEL}/shadow")).status_code == 404
    await promote(client, MODEL, "1")
    await challenge(client)
    shown = (await client.get(f"/models/{MODEL}/shadow")).json()
    assert (shown["trial"]["champion"], shown["trial"]["shadow_percent"], shown["report"], shown["judgement"]) == ("1", 100, None, None)
    assert (await client.get(f"/models/{MODEL}/shadow", params={"version": "7"})).status_code == 404


def replica(version: str, *, failed: int = 0, bucket: int = 5, before: int = 5) -> dict[str, Any]:
    """What a runner reports: version 1 had answered 200 rows."""

    def tally(answered: int, failed: int, bucket: int) -> dict[str, Any]:
        return {"answered": answered, "failed": failed, "calls": [answered if place == bucket else 0 for place in range(len(BOUNDS) + 1)]}

    counts = {"bounds": list(BOUNDS), "versions": {"1": tally(200, 0, before), version: tally(100, failed, bucket)}}
    return {"model": MODEL, "replica": "r1", "champion": {"version": version}, "refused": [], "counts": counts}


HARM = {
    "errors": (replica("2", failed=20), 0.1, None),
    "latency": (replica("2", bucket=15), 0.1, None),
    "score shift": (replica("2"), 0.9, None),
    "cost": (replica("2"), 0.1, 1.0),
}


async def test_one_row_asked_again_and_again_is_no_shift(database_url: str, tmp_path: Path) -> None:
    """Each version has its own opinion of it, which is what versions are for."""
    rules = BY_HAND.model_copy(update={"watch": WatchRules(minutes=10)})
    row = trials.rows_of(MODEL, 1)
    async with control(database_url, tmp_path, models(rules)) as client:
        await registered(client, MODEL, "1", "2")
        await promote(client, MODEL, "1")
        trials.answer(database_url, MODEL, row * 200, [0.59] * 200)
        await promote(client, MODEL, "2")
        await client.post(f"/serving/{MODEL}/replicas", json=replica("2"))
        trials.answer(database_url, MODEL, row * 200, [0.4] * 200, version="2", policy=2, ago=-0.2)
        await asyncio.sleep(5)
        assert len(await ledger(client)) == 2


@pytest.mark.parametrize("kind", [*HARM, "none"])
async def test_a_new_champion_that_does_harm_is_rolled_back(database_url: str, tmp_path: Path, kind: str) -> None:
    said, score, outcome = HARM.get(kind, (replica("2"), 0.1, None))
    rules = BY_HAND.model_copy(update={"watch": WatchRules(minutes=10, max_score_shift=5)})
    rows = trials.rows_of(MODEL, 200)
    async with control(database_url, tmp_path, models(rules)) as client:
        await registered(client, MODEL, "1", "2")
        await promote(client, MODEL, "1")
        usual = [0.1 + 0.001 * (n % 50) for n in range(200)]
        trials.answer(database_url, MODEL, rows, usual, outcomes=[0.0] * 200)
        await promote(client, MODEL, "2")
        assert (await client.get(f"/serving/{MODEL}")).json()["watch_seconds"] == pytest.approx(600, abs=20)
        await client.post(f"/serving/{MODEL}/replicas", json=said)
        came = [score + 0.001 * (n % 50) for n in range(100)]
        truth = None if outcome is None else [outcome] * 100
        trials.answer(database_url, MODEL, rows[:100], came, version="2", policy=2, threshold=0.2, ago=-0.2, outcomes=truth)
        began = time.monotonic()
        if kind == "none":
            await asyncio.sleep(5)
            assert len(await ledger(client)) == 2
            return
        entry = await grown(client, 3)
        assert time.monotonic() - began < 10
        assert (entry["action"], entry["actor"], entry["from_version"], entry["to_version"], entry["to_policy"]) == ("rollback", "watch", "2", "1", 1)
        assert entry["reason"].startswith(f"version 2 did harm: {kind}")
        assert await serving(client) == ("1", None)
        await asyncio.sleep(3)
        assert len(await ledger(client)) == 3, "once"
