"""Versions and how good they are, told from the database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from services.control import deployments, health, registry, workflows
from services.kit.ids import uuid7
from tests.integration.control_server import FAILED, PASSED, control, policy, promote, registered, version

MODEL = "attrition"
URL = f"/models/{MODEL}"
PAGE = Path(__file__).resolve().parents[2] / "docs/control.md"


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path) as client:
        yield client


async def test_registering_twice_changes_nothing_and_differently_is_refused(client: httpx.AsyncClient) -> None:
    answers = [await client.post(f"{URL}/versions", json=version("1")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    other = await client.post(f"{URL}/versions", json=version("1") | {"engine": "trees", "data_hash": "xyz"})
    assert other.status_code == 409
    assert "another data_hash and engine" in other.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"version": ""}, "version"),
        ({"version": 1}, "version"),
        ({"policy": None}, "policy"),
        ({"policy": policy(1.5)}, "policy.threshold"),
        ({"policy": {"threshold": 0.5}}, "policy.costs"),
        ({"extra": 1}, "extra"),
        ({"run_id": "a\0b"}, "run_id"),
        ({"metrics": {"a": {"b\0": 1}}}, "metrics"),
    ],
)
async def test_a_bad_registration_names_the_field(client: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    answer = await client.post(f"{URL}/versions", json=version("1") | change)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_numbers_that_cannot_be_stored_are_refused_by_name(client: httpx.AsyncClient) -> None:
    body = httpx.Request("POST", "/", json=version("1")).content.replace(b'"rows":100', b'"rows":NaN')
    answer = await client.post(f"{URL}/versions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "holdout.rows is nan" in answer.json()["errors"][0]["rule"]


async def test_other_bodies_than_json_and_huge_ones_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{URL}/versions", content=b"a=1", headers={"Content-Type": "text/plain"})).status_code == 415
    assert (await client.post(f"{URL}/versions", json={"metrics": "x" * 2_000_000})).status_code == 413


async def test_versions_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2", "10")
    await promote(client, MODEL, "2")
    found = (await client.get(f"{URL}/versions")).json()["versions"]
    assert [(one["version"], one["champion"]) for one in found] == [("10", False), ("2", True), ("1", False)]
    assert found[1]["verdict"] == PASSED
    assert (found[1]["artifact"], found[1]["sha256"]) == ("1/run-2/artifacts/model", "2".rjust(64, "0"))
    assert found[1]["mlflow_url"] == f"http://mlflow:5000/#/models/{MODEL}/versions/2"
    assert (await client.get(f"{URL}/versions/2")).json() == found[1]
    assert (await client.get(f"{URL}/versions/3")).status_code == 404
    assert (await client.get(f"{URL}/versions/%00")).status_code == 422


async def test_a_verdict_belongs_to_a_version_and_must_agree_with_its_rules(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{URL}/versions/1/verdict", json={"verdict": PASSED})).status_code == 404
    await registered(client, MODEL, "1", verdict=None)
    assert (await client.post(f"{URL}/versions/1/verdict", json={"verdict": FAILED})).json()["verdict"] == FAILED
    wrong: list[dict[str, Any]] = [{"passed": True, "rules": FAILED["rules"]}, {"passed": "yes", "rules": []}, {"rules": []}]
    for bad in [*wrong, {"passed": False, "rules": [{"rule": "floor"}]}]:
        assert (await client.post(f"{URL}/versions/1/verdict", json={"verdict": bad})).status_code == 422


async def test_models_as_the_catalogue_and_the_ledger_say(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2", "3")
    await promote(client, MODEL, "1")
    promoted = (await promote(client, MODEL, "2")).json()
    await client.put(f"{URL}/policy", json={"threshold": 0.5, "reason": "r", "actor": "eve"})
    found = {one["name"]: one for one in (await client.get("/models")).json()["models"]}
    assert sorted(found) == ["attrition", "credit_scoring", "crypto_price"]
    one = found[MODEL]
    assert one == (await client.get(URL)).json()
    assert one["champion"] == {"version": "2", "since": promoted["created_at"], "by": "ada"}, "a change of policy put no version there"
    assert (one["policy"]["version"], one["policy"]["threshold"], one["latest_version"]) == (3, 0.5, "3")
    assert one["metrics"] == version("2")["metrics"]
    assert (one["title"], one["owner"], one["task"]) == ("Employee attrition", "people-analytics", "classification")
    nothing = found["crypto_price"]
    assert [nothing[name] for name in ("champion", "policy", "latest_version", "metrics", "replicas")] == [None, None, None, None, []]


async def test_evaluation_is_the_champions(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{URL}/evaluation")).status_code == 404
    await registered(client, MODEL, "1", "2")
    await promote(client, MODEL, "1")
    found = (await client.get(f"{URL}/evaluation")).json()
    assert (found["model"], found["version"], found["metrics"]) == (MODEL, "1", version("1")["metrics"])


async def test_best_is_by_the_gates_metric_and_of_a_regression_by_its_mse(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{URL}/best")).status_code == 404
    for number, value in (("1", 0.7), ("2", 0.9), ("3", 0.8)):
        await client.post(f"{URL}/versions", json=version(number, value=value))
        ratio = version(number, value=value, metric="mse") | {"policy": None}
        await client.post("/models/crypto_price/versions", json=ratio)
    highest, lowest = (await client.get(f"{URL}/best")).json(), (await client.get("/models/crypto_price/best")).json()
    assert (highest["version"], highest["metric"], highest["value"]) == ("2", "roc_auc", 0.9)
    assert (lowest["version"], lowest["metric"], lowest["value"]) == ("1", "mse", 0.7)
    await client.post(f"{URL}/versions", json=version("4", value=0.75) | {"source": "files"})
    real = (await client.get(f"{URL}/best")).json()
    assert (real["version"], real["value"]) == ("4", 0.75), "invented data is no measure of the world"


async def test_models_and_versions_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    await registered(client, MODEL, "1", "2", "3", "10")
    for path, name, key, expected in (
        ("/models", "models", "name", ["attrition", "credit_scoring", "crypto_price"]),
        (f"{URL}/versions", "versions", "version", ["10", "3", "2", "1"]),
    ):
        whole = (await client.get(path)).json()
        assert ([one[key] for one in whole[name]], whole["next"]) == (expected, None)
        first = (await client.get(path, params={"limit": 2})).json()
        second = (await client.get(path, params={"limit": 2, "cursor": first["next"]})).json()
        assert ([one[key] for one in first[name] + second[name]], second["next"]) == (expected, None)
    assert (await client.get(f"{URL}/versions", params={"cursor": "11"})).json() == {"versions": [], "next": None}


async def test_the_latest_prediction_is_the_newest_row_of_the_audit(client: httpx.AsyncClient, database_url: str) -> None:
    assert (await client.get(f"{URL}/latest-prediction")).status_code == 404
    insert = (
        "INSERT INTO predictions (id, created_at, model, model_version, policy_version, username, request_id, input, output, score, decision, latency_ms) "
        "VALUES (%s, now(), %s, '1', 1, 'ada', 'request-1', %s, %s, %s, 'stays', 1.5)"
    )
    ids = [uuid7() for _ in range(3)]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for identifier, score in zip(ids, (0.1, 0.2, 0.3), strict=True):
            await connection.execute(insert, (identifier, MODEL, Jsonb({"age": 30}), Jsonb({"probability": score}), score))
    found = (await client.get(f"{URL}/latest-prediction")).json()
    assert (found["id"], found["score"], found["input"], found["output"]) == (str(ids[-1]), 0.3, {"age": 30}, {"probability": 0.3})


def test_every_route_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    routes = [route for part in (health, deployments, registry, workflows) for route in part.router.routes]
    missing = [f"{method} {route.path}" for route in routes for method in route.methods if f"`{method} {route.path}`" not in page]
    assert not missing
