"""The queue of workflow runs, taken from by several controls at once: while one replaces another, both are there."""

import asyncio
from uuid import uuid4

import psycopg
import pytest

from services.control.workflows.repository import RunsRepository
from services.kit.postgres import open_pool

INSERT = "INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status) VALUES (%s, 'train', %s, '{}', 'r', 'a', 'queued')"


@pytest.mark.parametrize("at_once", [1, 3])
async def test_controls_together_take_what_one_may_take(database_url: str, at_once: int) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for number in range(20):
            await connection.execute(INSERT, (uuid4(), f"model_{number // 2}"))
    pools = [await open_pool(database_url, "control", max_size=4) for _ in range(3)]
    try:
        controls = [RunsRepository(pool) for pool in pools]
        for _ in range(3):
            claimed = [run for run in await asyncio.gather(*(control.claim(at_once) for control in controls * 4)) if run is not None]
            assert len(claimed) == at_once
            assert len({run.model for run in claimed}) == at_once
            assert await controls[0].claim(at_once) is None
            for run in claimed:
                run.status = "succeeded"
                saved = await asyncio.gather(*(control.save(run) for control in controls))
                assert sorted(saved) == [False, False, True], "the end of a run is counted by one of them"
    finally:
        for pool in pools:
            await pool.close()
