"""Idempotency-Key: one recorded answer per key, however often, wherever and whenever the request is repeated."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psycopg
import pytest

from services.gateway.access import Role
from services.gateway.predictions import idempotency
from services.gateway.predictions.repository import KEY_HOURS
from tests.fakes import DatabaseProxy
from tests.gateway import CONTRACTS, EXAMPLE, Gateway, started
from tests.gateway_process import EXAMPLE as PROCESS_EXAMPLE
from tests.gateway_process import MODEL, gateway_process, until

ONE = "/predict/tiny"
BATCH = "/predict/tiny/batch"
SECRET = "what two gateways of one platform share"
KEY = {"Idempotency-Key": "order-7"}


async def ask(gateway: Gateway, headers: dict[str, str], body: Any = EXAMPLE, path: str = ONE) -> httpx.Response:
    return await gateway.client.post(path, json=body, headers=headers)


async def rows(gateway: Gateway) -> int:
    return int((await gateway.query("SELECT count(*) FROM predictions"))[0][0])


async def test_the_same_request_gets_the_same_answer_and_is_recorded_once(gateway: Gateway) -> None:
    ann = await gateway.user("ann") | KEY
    first = await ask(gateway, ann)
    gateway.runner.version = "4"
    second = await ask(gateway, ann)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert first.json()["model_version"] == "3"
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert await rows(gateway) == 1
    assert len(gateway.runner.calls) == 1
    bob = await gateway.user("bob") | KEY
    assert (await ask(gateway, bob)).json()["model_version"] == "4", "a key is one user's own"
    assert (await ask(gateway, ann | {"Idempotency-Key": "order-8"})).json()["model_version"] == "4"
    assert await rows(gateway) == 3


async def test_the_same_key_with_another_request_is_refused(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst) | KEY
    await ask(gateway, ann)
    for path, body in ((ONE, EXAMPLE | {"age": 42}), (BATCH, {"rows": [EXAMPLE]}), (ONE, EXAMPLE | {"age": -1})):
        answer = await ask(gateway, ann, body, path)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
        assert answer.json()["errors"][0]["value"] == "order-7"
    assert await rows(gateway) == 1


async def test_a_request_that_failed_leaves_its_key_free(gateway: Gateway) -> None:
    ann = await gateway.user("ann") | KEY
    assert (await ask(gateway, ann, {"age": "old"})).status_code == 422
    gateway.runner.refuse = (500, {}, {})
    assert (await ask(gateway, ann)).status_code == 502
    gateway.runner.refuse = None
    assert (await ask(gateway, ann)).status_code == 200
    assert await gateway.query("SELECT key FROM idempotency_keys") == [("order-7",)]


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, "schlüssel".encode()])
async def test_a_malformed_key_is_a_400_that_names_it(gateway: Gateway, value: str | bytes) -> None:
    ann = await gateway.user("ann", Role.analyst)
    for path, body in ((ONE, EXAMPLE), (BATCH, {"rows": [EXAMPLE]})):
        headers = [(name.encode(), text.encode()) for name, text in ann.items()] + [(b"Idempotency-Key", value if isinstance(value, bytes) else value.encode())]
        answer = await gateway.client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    twice = [(name.encode(), text.encode()) for name, text in ann.items()] + [(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")]
    assert (await gateway.client.post(ONE, json=EXAMPLE, headers=twice)).status_code == 400
    assert (await ask(gateway, ann | {"Idempotency-Key": "~" * 128})).status_code == 200


async def test_fifty_at_once_over_two_gateways_are_one(database_url: str) -> None:
    async with started(database_url, jwt_secret=SECRET) as left, started(database_url, jwt_secret=SECRET) as right:
        ann = await left.user("ann")
        for turn in range(3):
            headers = ann | {"Idempotency-Key": f"once-{turn}"}
            answers = await asyncio.gather(*(ask((left, right)[number % 2], headers) for number in range(50)))
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.content for answer in answers}) == 1
            assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
            assert await rows(left) == turn + 1
        others = await asyncio.gather(
            *(ask((left, right)[number % 2], ann | {"Idempotency-Key": "twice"}, EXAMPLE | {"age": number % 2}) for number in range(20))
        )
        assert {answer.status_code for answer in others} == {200, 422}
        assert await rows(left) == 4


async def test_a_key_means_nothing_after_a_day(gateway: Gateway) -> None:
    ann = await gateway.user("ann") | KEY
    first = await ask(gateway, ann)
    age = "UPDATE idempotency_keys SET created_at = now() - make_interval(hours => %s, secs => 1) RETURNING 1"
    assert await gateway.query(age, KEY_HOURS) == [(1,)]
    second = await ask(gateway, ann, EXAMPLE | {"age": 50})
    assert second.status_code == 200
    assert second.json()["prediction_id"] != first.json()["prediction_id"]
    assert (await ask(gateway, ann, EXAMPLE | {"age": 50})).content == second.content


async def test_old_keys_are_forgotten(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for hours, key in ((23, "young"), (25, "old")):
            connection.execute(
                "INSERT INTO idempotency_keys VALUES ('ann', %s, '', gen_random_uuid(), NULL, now() - make_interval(hours => %s))",
                [key, hours],
            )
    async with started(database_url) as gateway:
        assert await gateway.query("SELECT key FROM idempotency_keys") == [("young",)]


@pytest.mark.parametrize("body", [{"rows": [EXAMPLE] * 3}, {"rows": [EXAMPLE | {"age": age % 100} for age in range(5000)]}], ids=["small", "large"])
async def test_a_batch_is_given_again_in_any_form(gateway: Gateway, body: dict[str, Any]) -> None:
    ann = await gateway.user("ann", Role.analyst) | KEY
    first = await ask(gateway, ann, body, BATCH)
    assert first.status_code == 200, first.text
    gateway.runner.version = "4"
    again = await ask(gateway, ann, body, BATCH)
    assert again.content == first.content
    assert (again.headers["idempotency-replayed"], again.headers["x-batch-id"]) == ("true", first.headers["x-batch-id"])
    table = await ask(gateway, ann | {"Accept": "text/csv"}, body, BATCH)
    assert table.text.count("\r\n") == len(body["rows"]) + 1
    assert table.text.split("\r\n")[1].startswith(first.json()["predictions"][0]["prediction_id"])
    assert await rows(gateway) == len(body["rows"])
    other = await ask(gateway, ann, {"rows": body["rows"][1:]}, BATCH)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_failed_rows_are_told_again(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst) | KEY
    body = {"rows": [EXAMPLE, {"age": -3}, EXAMPLE, {"income": 4}]}
    first = await ask(gateway, ann, body, f"{BATCH}?on_error=skip")
    assert first.json()["rows_failed"] == 2
    for form in ("application/json", "text/csv", "application/x-ndjson"):
        again = await ask(gateway, ann | {"Accept": form}, body, f"{BATCH}?on_error=skip")
        assert again.headers["x-rows-failed"] == "2"
        if form == "application/json":
            assert again.content == first.content
    assert await rows(gateway) == 2
    assert (await ask(gateway, ann, body, BATCH)).status_code == 422


async def test_batches_at_once_are_one(database_url: str) -> None:
    async with started(database_url, jwt_secret=SECRET) as left, started(database_url, jwt_secret=SECRET) as right:
        ann = await left.user("ann", Role.analyst) | KEY
        body = {"rows": [EXAMPLE] * 300}
        answers = await asyncio.gather(*(ask((left, right)[number % 2], ann, body, BATCH) for number in range(12)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert await rows(left) == 300


async def test_a_long_batch_stops_nobody_by_its_key(gateway: Gateway, database_url: str) -> None:
    """Its transaction holds the key for as long as it lasts; the journal's commits do not wait for it."""
    ann = await gateway.user("ann", Role.analyst)
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended(E'ann\\norder-7', 7239002))")
        waiting = asyncio.create_task(ask(gateway, ann | KEY))
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(ask(gateway, ann) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        await other.rollback()
    assert (await waiting).status_code in (200, 504)


async def test_while_the_database_is_away_a_key_cannot_be_answered(database_url: str) -> None:
    async with started(database_url) as gateway, await psycopg.AsyncConnection.connect(database_url.rpartition("/")[0] + "/postgres", autocommit=True) as admin:
        ann = await gateway.user("ann")
        assert (await ask(gateway, ann)).status_code == 200
        name = database_url.rpartition("/")[2]
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            spooled, refused = await asyncio.gather(ask(gateway, ann), ask(gateway, ann | KEY))
        finally:
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert spooled.status_code == 200, "this model spools"
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True), refused.text


async def test_a_client_whose_gateway_was_killed_after_the_commit_gets_the_first_answer(database_url: str, tmp_path: Path) -> None:
    async with DatabaseProxy(database_url) as proxy:
        (tmp_path / "first").mkdir()
        (tmp_path / "second").mkdir()
        body = json.dumps(PROCESS_EXAMPLE)
        path = f"/predict/{MODEL}"
        async with gateway_process(proxy.url, tmp_path / "first", workers=1, jwt_secret=SECRET) as first:
            headers = first.headers | KEY | {"Content-Type": "application/json"}
            proxy.holds_commits = True
            asking = asyncio.create_task(first.call("POST", path, data=body, headers=headers))
            with psycopg.connect(database_url, autocommit=True) as connection:

                def is_stored() -> bool:
                    return bool(connection.execute("SELECT 1 FROM predictions").fetchone())

                await until(is_stored)
                assert not asking.done()
                first.process.send_signal(signal.SIGKILL)
                with pytest.raises(aiohttp.ClientError):
                    await asking
        async with gateway_process(database_url, tmp_path / "second", workers=2, jwt_secret=SECRET) as second:
            answers = [await second.call("POST", path, data=body, headers=headers) for _ in range(6)]
            with psycopg.connect(database_url, autocommit=True) as connection:
                stored = connection.execute("SELECT id, model_version FROM predictions").fetchall()
        assert [(str(identifier), version) for identifier, version in stored] == [(answers[0][1]["prediction_id"], answers[0][1]["model_version"])]
        assert answers == answers[:1] * 6


def test_an_output_is_written_alike_whether_it_comes_from_the_runner_or_from_jsonb() -> None:
    contract = CONTRACTS["tiny"]
    said = {"risk_level": "low", "probability": 1e22, "decision": "stays", "prediction": 0}
    kept = {"decision": "stays", "prediction": 0, "risk_level": "low", "probability": 10**22}
    assert idempotency.settled(contract, said) == idempotency.settled(contract, kept)
    assert list(json.loads(idempotency.settled(contract, kept))) == ["prediction", "probability", "decision", "risk_level"]
    zero = [idempotency.settled(contract, {"probability": value}) for value in (-0.0, 0.0, 0)]
    assert zero == [b'{"probability":0.0}'] * 3
