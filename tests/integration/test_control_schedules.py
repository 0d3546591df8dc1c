"""Control keeps the catalogue's schedules where nothing else does: each moment once, also by two controls and after kill -9."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bentos import catalogue
from bentos.catalogue import Catalogue
from tests.integration.control_server import FAKE_PIPELINE, control, until


def every_minute(**schedules: dict[str, str]) -> Catalogue:
    document = catalogue.load().model_dump()
    for model, entry in document["models"].items():
        entry["schedules"] = schedules.get(model, {})
    return Catalogue.model_validate(document)


def trained(database_url: str, model: str, moment: datetime) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """INSERT INTO model_versions (model, version, run_id, artifact, sha256, source, data_hash, engine, metrics, created_at)
               VALUES (%s, '1', 'run', 'artifact', '', 'synthetic', '', 'gtil', '{}', %s)""",
            [model, moment],
        )


async def runs(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/workflows")).json()["workflows"]
    return found


async def test_what_is_due_is_started_once_whoever_looks(database_url: str, tmp_path: Path) -> None:
    models = every_minute(crypto_price={"forecast": "* * * * *"}, attrition={"train": "* * * * *"})
    environment = {"FAKE_CALLS": str(tmp_path / "calls")}
    for model in ("crypto_price", "attrition"):
        trained(database_url, model, datetime.now(UTC) - timedelta(hours=1))
    began = datetime.now(UTC)
    for _ in range(2):  # the second one is there within the same minute, as a rule: it makes nothing anew
        async with (
            control(database_url, tmp_path, models, FAKE_PIPELINE, environment) as client,
            control(database_url, tmp_path, models, FAKE_PIPELINE, environment),
        ):

            async def all_there(client: httpx.AsyncClient = client) -> bool:
                return {"forecast", "train"} <= {one["kind"] for one in await runs(client)} and all(one["status"] == "succeeded" for one in await runs(client))

            await until(all_there, 20)
            found = await runs(client)
            decided = (await client.get("/models/attrition/retrainings")).json()["retrainings"]
    minutes = 1 + int((datetime.now(UTC) - began).total_seconds() // 60) + 1
    forecasts = [one for one in found if one["kind"] == "forecast"]
    assert 1 <= len(forecasts) <= minutes
    assert (forecasts[-1]["model"], forecasts[-1]["actor"], forecasts[-1]["reason"]) == ("crypto_price", "schedule", "schedule * * * * *")
    trainings = [one for one in found if one["kind"] == "train"]
    assert [(one["actor"], one["reason"], one["parameters"]) for one in trainings] == [("schedule", "schedule: * * * * *", {})]
    assert (decided[-1]["reason"], decided[-1]["decision"], decided[-1]["run_id"]) == ("schedule", "submitted", trainings[0]["id"])


async def test_what_was_due_before_the_first_version_is_not_made_up_for(database_url: str, tmp_path: Path) -> None:
    models = every_minute(crypto_price={"forecast": "* * * * *"}, attrition={"forecast": "* * * * *"})
    trained(database_url, "attrition", datetime.now(UTC) + timedelta(minutes=5))
    async with control(database_url, tmp_path, models, FAKE_PIPELINE, {"FAKE_CALLS": str(tmp_path / "calls")}) as client:
        await asyncio.sleep(1.5)
        assert await runs(client) == []


async def test_a_forecast_is_for_a_model_with_a_feed(database_url: str, tmp_path: Path) -> None:
    async with control(database_url, tmp_path, pipeline=FAKE_PIPELINE, environment={"FAKE_CALLS": str(tmp_path / "calls")}) as client:
        body = {"kind": "forecast", "model": "attrition", "parameters": {}, "reason": "r", "actor": "ada"}
        answer = await client.post("/workflows", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "model")
        run = (await client.post("/workflows", json=body | {"model": "crypto_price", "parameters": {"interval": 1440}})).json()

        async def ended() -> bool:
            return (await client.get(f"/workflows/{run['id']}")).json()["status"] == "succeeded"

        await until(ended)
    assert f'["forecast", "--model=crypto_price", "--interval=1440", "--key={run["id"]}"]' in (tmp_path / "calls").read_text()
