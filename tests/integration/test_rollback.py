"""Decisions about what serves, proved by the answers of each of two real runner replicas."""

import asyncio
import time
from pathlib import Path

from bentos import contract
from tests.whole import Whole, whole

MODEL = "attrition"
BOUND = 3.0
"""Seconds until every replica's answers come from the old version."""


async def answers(served: Whole) -> set[tuple[str, int]]:
    """Of both replicas: asked often enough that each has its turn."""
    example = contract.schema(MODEL).EXAMPLE
    found = await asyncio.gather(*(served.ask("POST", f"/predict/{MODEL}", json=example) for _ in range(20)))
    return {(one["model_version"], one["policy_version"]) for one in found}


async def test_each_replica_proves_each_decision(database_url: str, tmp_path: Path) -> None:
    async with whole(database_url, tmp_path, MODEL) as served:
        first = await served.change("promote", version="1")
        assert first["verification"]["complete"]
        second = await served.change("promote", version="2")
        assert {one["address"] for one in second["verification"]["replicas"]} == {url.removeprefix("http://") for url in served.runners}
        assert {(one["version"], one["policy_version"]) for one in second["verification"]["replicas"]} == {("2", 2)}
        began = time.monotonic()
        back = await served.change("rollback")
        took = time.monotonic() - began
        assert await answers(served) == {("1", 1)}
        assert back["verification"]["complete"]
        assert back["verification"]["seconds"] <= BOUND
        print(f"\nrolled back in {back['verification']['seconds']:.3f} s, answered after {took:.3f} s")
        assert (await served.ask("GET", f"/models/{MODEL}/ledger"))["entries"][0] == back
        # The probes are nobody's predictions.
        assert await served.gateway.query("SELECT count(*) FROM predictions") == [(20,)]

        # MLflow away: the artifact is still in the runners' caches.
        await served.change("promote", version="2")
        served.files.mlflow_away = True
        away = await served.change("rollback")
        assert (away["verification"]["complete"], away["verification"]["seconds"] <= BOUND) == (True, True)
        print(f"without MLflow in {away['verification']['seconds']:.3f} s")
        assert await answers(served) == {("1", 1)}

        # The policy alone.
        assert (await served.change("policy", threshold=0.6))["verification"]["complete"]
        assert await answers(served) == {("1", 3)}
        policy = await served.change("rollback", policy_only=True)
        assert (policy["verification"]["complete"], policy["verification"]["seconds"] <= BOUND) == (True, True)
        assert await answers(served) == {("1", 1)}
