"""Who proves a decision: every replica's own answer, told to control once, whoever decided; and what is kept when one does not follow."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from services.gateway.access import Role
from services.gateway.ledger import verifying
from tests.fakes import RunnerServer
from tests.gateway import Gateway, started


@pytest.fixture
async def second() -> AsyncIterator[RunnerServer]:
    async with RunnerServer() as runner:
        yield runner


@pytest.fixture
async def first() -> AsyncIterator[RunnerServer]:
    async with RunnerServer() as runner:
        yield runner


@pytest.fixture
async def two(database_url: str, first: RunnerServer, second: RunnerServer) -> AsyncIterator[Gateway]:
    async with started(database_url, runners={"tiny": [first.url, second.url]}) as gateway:
        gateway.control.otherwise = lambda _, path: (200, {"verification": {"kept": path}}) if path.endswith("/verification") else None
        yield gateway


def told(gateway: Gateway) -> list[Any]:
    return [body for asked, body, _ in gateway.control.asked if asked.endswith("/verification")]


async def promote(gateway: Gateway, number: int, version: str, policy: int = 2) -> Any:
    """As control answers."""
    gateway.control.answers["POST /models/tiny/promote"] = (200, {"id": number, "to_version": version, "to_policy": policy})
    async with gateway.state.pool.connection() as connection:
        found = await (await connection.execute("SELECT 1 FROM users WHERE username = 'eve'")).fetchone()
    headers = (await gateway.log_in("eve"))[0] if found else await gateway.user("eve", Role.engineer)
    answer = await gateway.client.post("/models/tiny/promote", json={"version": version, "reason": "better"}, headers=headers)
    assert answer.status_code == 200
    return answer.json()


async def test_each_replica_is_asked_at_its_own_address(two: Gateway, first: RunnerServer, second: RunnerServer) -> None:
    entry = await promote(two, 7, "3")
    assert entry["verification"] == {"kept": "/models/tiny/ledger/7/verification"}
    (said,) = told(two)
    assert said["complete"] is True
    assert {one["address"] for one in said["replicas"]} == {runner.url.removeprefix("http://") for runner in (first, second)}
    assert first.calls == second.calls == [[{"age": 41, "income": 1000.5, "note": "none"}]]
    assert await two.query("SELECT count(*) FROM predictions") == [(0,)]


async def test_the_change_is_answered_when_the_last_one_follows(two: Gateway, second: RunnerServer) -> None:
    second.version = "2"
    waiting = asyncio.create_task(promote(two, 7, "3"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    second.version = "3"
    assert (await waiting)["verification"]
    (said,) = told(two)
    assert said["complete"] is True
    assert 0.4 < said["seconds"] < 3
    assert sorted(one["seconds"] > 0.4 for one in said["replicas"]) == [False, True]


async def test_one_that_does_not_follow_is_kept_as_it_is(two: Gateway, second: RunnerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "PATIENCE_SECONDS", 0.4)
    second.policy_version = 1
    await promote(two, 7, "3")
    (said,) = told(two)
    assert said["complete"] is False
    assert sorted((one["version"], one["policy_version"]) for one in said["replicas"]) == [("3", 1), ("3", 2)]
    second.refuse = (503, {"detail": "not ready"}, {})
    await promote(two, 8, "3")
    assert [one["version"] for one in told(two)[1]["replicas"]] in (["3", None], [None, "3"])


async def test_who_waits_is_answered_before_it_is_proved(two: Gateway, second: RunnerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "WAIT_SECONDS", 0.2)
    second.version = "2"
    assert (await promote(two, 7, "3"))["verification"] is None
    second.version = "4"
    # The next decision ends the wait for the one before.
    await promote(two, 8, "3")
    async with asyncio.timeout(3):
        while not told(two):  # noqa: ASYNC110 - another server's doing
            await asyncio.sleep(0.02)
    assert told(two)[0]["complete"] is False


async def test_control_that_is_away_is_told_later(two: Gateway) -> None:
    two.control.answers["POST /models/tiny/ledger/7/verification"] = (503, {"detail": "restarting"})
    waiting = asyncio.create_task(promote(two, 7, "3"))
    await asyncio.sleep(0.5)
    del two.control.answers["POST /models/tiny/ledger/7/verification"]
    assert (await waiting)["verification"] == {"kept": "/models/tiny/ledger/7/verification"}


async def test_a_decision_of_anybody_is_heard_of(two: Gateway, database_url: str) -> None:
    """A rollback by control itself, say."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO model_versions (model, version, run_id, artifact, sha256, source, data_hash, engine, metrics)"
            " VALUES ('tiny', '3', '', '', '', '', '', '', '{}')"
        )
        await connection.execute("INSERT INTO policies VALUES ('tiny', 2, 0.5, '{}', '{}', 'ada', 'test')")
        statement = "INSERT INTO deployments (model, action, to_version, to_policy, actor, reason) VALUES ('tiny', %s, '3', 2, 'watch', 'errors')"
        await connection.execute(statement, ["rollback"])
        async with asyncio.timeout(5):
            while not told(two):  # noqa: ASYNC110 - another server's doing
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        (said,) = told(two)
        assert said["complete"] is True
        assert said["seconds"] < 5
