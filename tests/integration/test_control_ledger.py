"""Promotion, rollback, policies: what the ledger says afterwards is what serves."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bentos import catalogue
from tests.integration.control_server import FAILED, control, policy, promote, registered, version

MODEL = "attrition"


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path) as client:
        yield client


async def rollback(client: httpx.AsyncClient, to: str | None = None) -> httpx.Response:
    return await client.post(f"/models/{MODEL}/rollback", json={"reason": "worse", "actor": "bob", "to": to})


async def serving(client: httpx.AsyncClient) -> tuple[str, float]:
    state = (await client.get(f"/serving/{MODEL}")).json()
    return state["champion"]["version"], state["policy"]["threshold"]


async def change_policy(client: httpx.AsyncClient, **values: Any) -> httpx.Response:
    return await client.put(f"/models/{MODEL}/policy", json={"reason": "budget", "actor": "eve"} | values)


async def test_a_promotion_is_one_row_with_version_policy_and_verdict(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2")
    first, second = (await promote(client, MODEL, "1")).json(), (await promote(client, MODEL, "2")).json()
    assert (first["from_version"], first["to_version"], first["from_policy"], first["to_policy"]) == (None, "1", None, 1)
    assert (second["from_version"], second["to_version"], second["from_policy"], second["to_policy"]) == ("1", "2", 1, 2)
    assert (second["actor"], second["reason"], second["action"], second["verdict"]["passed"]) == ("ada", "tested", "promote", True)
    assert await serving(client) == ("2", 0.2)


async def test_the_same_policy_is_not_numbered_twice(client: httpx.AsyncClient) -> None:
    for number in ("1", "2"):
        await client.post(f"/models/{MODEL}/versions", json=version(number, threshold=0.3))
    assert (await promote(client, MODEL, "1", force=True)).json()["to_policy"] == 1
    assert (await promote(client, MODEL, "2", force=True)).json()["to_policy"] == 1
    assert (await change_policy(client, threshold=0.4)).json()["to_policy"] == 2
    assert (await promote(client, MODEL, "1", force=True)).json()["to_policy"] == 1


async def test_the_gate_is_heeded_unless_forced(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", verdict=None)
    await registered(client, MODEL, "2", verdict=FAILED)
    unjudged, refused = await promote(client, MODEL, "1"), await promote(client, MODEL, "2")
    assert unjudged.status_code == refused.status_code == 409
    assert "has not judged" in unjudged.json()["detail"]
    assert "floor: roc_auc 0.6 is below 0.7" in refused.json()["detail"]
    assert "latency" not in refused.json()["detail"]
    assert refused.headers["content-type"] == "application/problem+json"
    forced = await promote(client, MODEL, "2", force=True)
    assert forced.status_code == 200
    assert forced.json()["verdict"]["passed"] is False


async def test_what_cannot_be_promoted(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1")
    assert (await promote(client, MODEL, "9")).status_code == 404
    await promote(client, MODEL, "1")
    again = await promote(client, MODEL, "1")
    assert (again.status_code, "serves already" in again.json()["detail"]) == (409, True)
    unknown = await promote(client, "nothing", "1")
    assert unknown.status_code == 404
    assert "attrition, credit_scoring, crypto_price" in unknown.json()["detail"]


async def test_rollbacks_go_further_back_each_time(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2", "3")
    for number in ("1", "2", "3"):
        await promote(client, MODEL, number)
    assert (await rollback(client)).json()["to_version"] == "2"
    assert await serving(client) == ("2", 0.2)
    assert (await rollback(client)).json()["to_version"] == "1"
    end = await rollback(client)
    assert (end.status_code, end.json()["detail"]) == (409, "There is nothing to roll attrition back to: no version served before 1.")
    assert await serving(client) == ("1", 0.1)


async def test_a_rollback_restores_the_policy_that_the_version_had_at_the_end(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2")
    await promote(client, MODEL, "1")
    await change_policy(client, threshold=0.15)
    await promote(client, MODEL, "2")
    await change_policy(client, threshold=0.25)
    row = (await rollback(client)).json()
    assert (row["from_version"], row["to_version"], row["from_policy"], row["to_policy"], row["actor"]) == ("2", "1", 4, 2, "bob")
    assert await serving(client) == ("1", 0.15)


async def test_rollback_to_a_named_version(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2", "3", "4")
    assert (await rollback(client)).status_code == 409
    for number in ("1", "2", "3"):
        await promote(client, MODEL, number)
    assert (await rollback(client, "9")).status_code == 404
    never, same = await rollback(client, "4"), await rollback(client, "3")
    assert (never.status_code, "has never served" in never.json()["detail"]) == (409, True)
    assert (same.status_code, "serves already" in same.json()["detail"]) == (409, True)
    assert (await rollback(client, "1")).json()["to_policy"] == 1
    assert (await rollback(client)).status_code == 409, "what was undone does not come back by undoing more"
    assert (await rollback(client, "3")).json()["to_policy"] == 3
    assert (await rollback(client)).json()["to_version"] == "1", "going to an undone version is a change that can be undone"


async def test_two_promotions_at_once_take_turns(client: httpx.AsyncClient) -> None:
    numbers = [str(number) for number in range(1, 9)]
    await registered(client, MODEL, *numbers)
    answers = await asyncio.gather(*(promote(client, MODEL, number) for number in numbers), *(promote(client, MODEL, "1") for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    entries = (await client.get(f"/models/{MODEL}/ledger?limit=500")).json()["entries"][::-1]
    assert len(entries) == sum(answer.status_code == 200 for answer in answers) >= 8
    assert entries[0]["from_version"] is None
    for before, after in itertools.pairwise(entries):
        assert (after["from_version"], after["from_policy"]) == (before["to_version"], before["to_policy"])
        assert after["to_version"] != before["to_version"]


async def test_a_policy_change_is_a_new_policy_and_a_row(client: httpx.AsyncClient) -> None:
    assert (await change_policy(client, threshold=0.4)).status_code == 409
    await registered(client, MODEL, "1")
    await promote(client, MODEL, "1")
    row = (await change_policy(client, threshold=0.4)).json()
    assert (row["action"], row["from_version"], row["to_version"], row["from_policy"], row["to_policy"]) == ("policy", "1", "1", 1, 2)
    state = (await client.get(f"/serving/{MODEL}")).json()
    assert state["policy"] == policy(0.4) | {"version": 2}
    assert (await change_policy(client, threshold=0.4)).status_code == 409


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1}, "threshold"),
        ({"threshold": "0.5"}, "threshold"),
        ({"costs": {"missed_positive": -1, "false_alarm": 1}}, "costs.missed_positive"),
        ({"costs": {"missed_positive": 1}}, "costs.false_alarm"),
        ({"risk_levels": {"medium": 2, "high": 1}}, "risk_levels"),
        ({"treshold": 0.5}, "treshold"),
        ({}, "body"),
        ({"threshold": 0.5, "reason": ""}, "reason"),
        ({"threshold": 0.5, "actor": "a\0b"}, "actor"),
    ],
)
async def test_a_bad_policy_names_the_field(client: httpx.AsyncClient, values: dict[str, Any], field: str) -> None:
    answer = await change_policy(client, **values)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("body", ['{"costs": {"missed_positive": Infinity, "false_alarm": 1}, "reason": "r", "actor": "a"}', "{", "[" * 100_000])
async def test_a_body_that_is_no_policy_is_refused(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.put(f"/models/{MODEL}/policy", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}


async def test_a_regression_has_no_policy(client: httpx.AsyncClient) -> None:
    new = version("1", metric="rmse_ratio") | {"policy": None}
    assert (await client.post("/models/crypto_price/versions", json=new)).status_code == 201
    assert (await promote(client, "crypto_price", "1", force=True)).json()["to_policy"] is None
    assert (await client.get("/serving/crypto_price")).json()["policy"] is None
    answer = await client.put("/models/crypto_price/policy", json={"threshold": 0.5, "reason": "r", "actor": "a"})
    assert answer.status_code == 422


async def test_the_ledger_comes_in_pages(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2", "3")
    for number in ("1", "2", "3"):
        await promote(client, MODEL, number)
    page = (await client.get(f"/models/{MODEL}/ledger?limit=2")).json()
    assert [entry["to_version"] for entry in page["entries"]] == ["3", "2"]
    rest = (await client.get(f"/models/{MODEL}/ledger", params={"limit": 2, "cursor": page["next"]})).json()
    assert ([entry["to_version"] for entry in rest["entries"]], rest["next"]) == (["1"], None)
    assert (await client.get(f"/models/{MODEL}/ledger?limit=0")).status_code == 422
    assert (await client.get(f"/models/{MODEL}/ledger?cursor=x")).status_code == 422


@pytest.mark.parametrize("table", ["deployments", "policies"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET reason = 'better'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_nobody_rewrites_the_ledger(client: httpx.AsyncClient, database_url: str, table: str, statement: str) -> None:
    await registered(client, MODEL, "1")
    await promote(client, MODEL, "1")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            await connection.execute(statement.format(table))


async def test_a_pinned_model_is_neither_promoted_nor_rolled_back(database_url: str, tmp_path: Path) -> None:
    models = catalogue.load()
    pinned = models.model_copy(update={"models": models.models | {MODEL: models.models[MODEL].model_copy(update={"pin": "3"})}})
    async with control(database_url, tmp_path, pinned) as client:
        await registered(client, MODEL, "1")
        for answer in (await promote(client, MODEL, "1", force=True), await rollback(client)):
            assert (answer.status_code, "pinned to version 3" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models/attrition/promote"),
        ("POST", "/models/attrition/rollback"),
        ("PUT", "/models/attrition/policy"),
        ("POST", "/models/attrition/versions"),
        ("POST", "/models/attrition/versions/1/verdict"),
        ("POST", "/serving/attrition/replicas"),
        ("POST", "/workflows"),
        ("POST", "/workflows/01890000-0000-7000-8000-000000000000/stop"),
    ],
)
async def test_every_change_needs_the_token(client: httpx.AsyncClient, method: str, path: str) -> None:
    for header in ("", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer é"):
        answer = await client.request(method, path, json={}, headers={b"Authorization": header.encode()})
        assert answer.status_code == 401
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
