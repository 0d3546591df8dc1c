"""When a model is retrained and when it is not: each decision is a row, and a broken feed makes no storm."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from bentos import catalogue
from bentos.catalogue import Catalogue
from services.kit.ids import uuid7
from tests.integration.control_server import FAKE_PIPELINE, control, until

MODEL = "attrition"


def models(**limits: Any) -> Catalogue:
    """With these limits for the model."""
    document = catalogue.load().model_dump()
    document["models"][MODEL]["retraining"] |= limits
    return Catalogue.model_validate(document)


def answered(database_url: str, count: int, days: float = 0) -> None:
    """Rows of the model with outcomes."""
    with psycopg.connect(database_url) as connection:
        for _ in range(count):
            identifier = uuid7()
            connection.execute(
                "INSERT INTO predictions (id, created_at, model, model_version, username, request_id, input, output, latency_ms) "
                "VALUES (%s, now(), %s, '1', 'ada', 'r', '{}', '{}', 1)",
                [identifier, MODEL],
            )
            connection.execute("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, 1, 'bob')", [identifier])


def trained(database_url: str, minutes_ago: float, status: str = "succeeded", exit_code: int = 0, reason: str = "r") -> None:
    steps = [{"name": "ingest", "status": "succeeded", "exit_code": 0}, {"name": "validate", "status": status, "exit_code": exit_code}]
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status, steps, created_at, finished_at) VALUES (%s, 'train', %s, '{}', %s, "
            "'ada', %s, %s, now() - make_interval(secs => %s), now() - make_interval(secs => %s))",
            [uuid7(), MODEL, reason, status, Jsonb(steps), minutes_ago * 60, minutes_ago * 60 - 1],
        )


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path, models(daily_limit=2), FAKE_PIPELINE, {"FAKE_CALLS": str(tmp_path / "calls")}) as client:
        yield client


async def asked(client: httpx.AsyncClient, reason: str = "drift", **more: Any) -> httpx.Response:
    body = {"reason": reason, "words": "age has moved", "actor": "retraining", "detail": {"psi": 0.4}} | more
    return await client.post(f"/models/{MODEL}/retrain", json=body)


async def idle(client: httpx.AsyncClient) -> None:
    async def nothing_runs() -> bool:
        return not any(one["status"] in ("queued", "running") for one in (await client.get("/workflows")).json()["workflows"])

    await until(nothing_runs)


async def rows(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/models/{MODEL}/retrainings")).json()["retrainings"]
    return found


async def test_drift_trains_from_recent_rows_when_there_are_enough(client: httpx.AsyncClient, database_url: str) -> None:
    refused = await asked(client)
    assert (refused.status_code, refused.json()["retraining"]["rule"]) == (409, "outcomes")
    assert "0 answered rows of the last 90 days have an outcome, and 500 are needed" in refused.json()["detail"]
    answered(database_url, 500)
    answer = await asked(client)
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert (run["kind"], run["parameters"], run["reason"], run["actor"]) == ("train", {"source": "recent"}, "drift: age has moved", "retraining")
    assert run["retraining"]["run_id"] == run["id"]
    assert run["retraining"]["detail"] == {"psi": 0.4}
    assert "number 1 of 2 within 24 hours; at least 500 recent rows have an outcome" in run["retraining"]["why"]
    assert [(one["decision"], one["rule"]) for one in await rows(client)] == [("submitted", None), ("refused", "outcomes")]


async def test_one_at_a_time_a_pause_after_each_and_so_many_a_day(client: httpx.AsyncClient, database_url: str) -> None:
    answered(database_url, 500)
    assert (await asked(client)).status_code == 202
    assert (await asked(client, "manual")).json()["retraining"]["rule"] == "under way"
    await idle(client)
    assert (await asked(client, "performance")).json()["retraining"]["rule"] == "cooldown"
    by_hand = await asked(client, "manual", actor="ada", parameters={"source": "synthetic", "seed": 3})
    assert by_hand.status_code == 202
    assert by_hand.json()["parameters"] == {"source": "synthetic", "seed": 3}
    assert "the cooldown does not hold for people" in by_hand.json()["retraining"]["why"]
    await idle(client)
    refused = await asked(client, "manual")
    assert refused.json()["retraining"]["why"] == "2 retrainings were submitted within 24 hours, and 2 are the most"


async def test_what_people_and_make_up_train_holds_no_alarm_back_but_a_schedule_does(client: httpx.AsyncClient, database_url: str) -> None:
    """A platform that was brought up minutes ago, and meets other data than its first versions learned from, does not wait for the hour to end."""
    answered(database_url, 500)
    trained(database_url, 5)
    first = await asked(client)
    assert first.status_code == 202, first.text
    assert "it was never retrained before" in first.json()["retraining"]["why"]
    await idle(client)
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE workflow_runs CASCADE")
    trained(database_url, 5, reason="schedule 30 3 * * 0")
    assert (await asked(client)).json()["retraining"]["rule"] == "cooldown"


async def test_nobody_looks_at_an_alarm_while_the_data_is_bad(client: httpx.AsyncClient, database_url: str) -> None:
    answered(database_url, 500)
    trained(database_url, 140, "failed", 2)
    for reason in ("drift", "performance", "data"):
        assert (await asked(client, reason)).json()["retraining"]["rule"] == "bad data"
    assert "the data failed its validation 2 hours ago" in (await asked(client)).json()["detail"]
    assert (await asked(client, "schedule")).status_code == 202
    await idle(client)
    trained(database_url, 90)
    assert (await asked(client)).json()["retraining"]["rule"] == "cooldown", "a run has passed it since"


async def test_a_failed_validation_holds_back_for_a_day(client: httpx.AsyncClient, database_url: str) -> None:
    answered(database_url, 500)
    trained(database_url, 25 * 60, "failed", 2)
    assert (await asked(client)).status_code == 202


async def test_a_model_with_a_feed_learns_from_that(database_url: str, tmp_path: Path) -> None:
    async with control(database_url, tmp_path, pipeline=FAKE_PIPELINE, environment={"FAKE_CALLS": str(tmp_path / "calls")}) as client:
        body = {"reason": "drift", "words": "volume has moved", "actor": "retraining"}
        assert (await client.post("/models/crypto_price/retrain", json=body)).json()["retraining"]["rule"] == "outcomes"
        with psycopg.connect(database_url) as connection:
            connection.execute("INSERT INTO assets (symbol, pair, base, quote, added_by) VALUES ('XBTUSD', 'XXBTZUSD', 'XBT', 'USD', 'ada')")
            connection.execute("INSERT INTO candles SELECT id, 60, 3600, 1, 1, 1, 1, 1, 1 FROM assets")
        assert (await client.post("/models/crypto_price/retrain", json=body)).json()["parameters"] == {"source": "live"}
        wrong = {"reason": "manual", "words": "w", "actor": "ada", "parameters": {"source": "recent"}}
        answer = await client.post("/models/crypto_price/retrain", json=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parameters.source")


async def test_a_thousand_alarms_at_once_are_one_training(client: httpx.AsyncClient, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """At once and one after the other: one run, one row for it, and one row for each rule that refused the others, with their number."""
    answered(database_url, 500)
    gate = asyncio.Semaphore(100)

    async def alarm(number: int) -> int:
        async with gate:
            return (await asked(client, detail={"alarm": number})).status_code

    codes = await asyncio.gather(*(alarm(number) for number in range(1000)))
    await idle(client)
    with psycopg.connect(database_url) as connection:
        runs = connection.execute("SELECT count(*) FROM workflow_runs WHERE kind = 'train'").fetchone()
        told = connection.execute("SELECT event, count(*) FROM notifications WHERE event LIKE 'retraining%' GROUP BY event ORDER BY event").fetchall()
    decided = [(one["decision"], one["rule"], one["times"]) for one in await rows(client)]
    with capsys.disabled():
        print(f"\n1000 alarms: {codes.count(202)} submitted, {codes.count(409)} refused; runs {runs}; rows {decided}; notifications {told}")
    assert (codes.count(202), codes.count(409), runs) == (1, 999, (1,))
    assert sum(times for _, _, times in decided) == 1000
    assert len(decided) <= 3, "submitted, under way, cooldown"
    assert dict(told)["retraining_submitted"] == 1
    assert dict(told)["retraining_refused"] <= 2


async def test_the_decision_and_its_run_are_there_together_or_not_at_all(client: httpx.AsyncClient, database_url: str) -> None:
    answered(database_url, 500)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$;"
            "CREATE TRIGGER broken BEFORE INSERT ON notifications FOR EACH ROW WHEN (NEW.event LIKE 'retraining%') EXECUTE FUNCTION broken()"
        )
    assert (await asked(client)).status_code >= 500
    assert (await client.get("/workflows")).json()["workflows"] == await rows(client) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE retrainings SET why = 'x'",
        "UPDATE retrainings SET times = 1",
        "UPDATE retrainings SET times = 9, why = 'x'",
        "DELETE FROM retrainings",
        "TRUNCATE retrainings",
    ],
)
def test_decisions_cannot_be_changed(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO retrainings (model, reason, decision, rule, why, detail, actor) VALUES ('m', 'drift', 'refused', 'r', 'w', '{}', 'a')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(statement.encode())
        connection.execute("UPDATE retrainings SET times = 2, last_at = now()")


async def test_bad_requests_are_told_in_words(client: httpx.AsyncClient) -> None:
    for body, field in [
        ({"reason": "boredom"}, "reason"),
        ({"words": ""}, "words"),
        ({"detail": {"a": "\0"}}, "detail"),
        ({"parameters": {"rows": 3}}, "rows"),
    ]:
        answer = await asked(client, **body)
        assert answer.status_code == 422, body
        assert field in answer.json()["errors"][0]["field"]
    answer = await asked(client, "drift", parameters={"seed": 3})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parameters")
    assert (await client.post("/models/nothing/retrain", json={})).status_code == 404
    assert (await client.post(f"/models/{MODEL}/retrain", json={}, headers={"Authorization": ""})).status_code == 401
