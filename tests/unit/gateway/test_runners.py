"""The hop, against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from services.gateway.predictions.runners import Runner
from services.kit.errors import GatewayTimeout, Invalid, Unavailable
from tests.fakes import RunnerServer


@asynccontextmanager
async def runner(server: RunnerServer, *, calls: int = 2, seconds: float = 5) -> AsyncIterator[Runner]:
    async with aiohttp.ClientSession() as session:
        yield Runner(session, "tiny", server.url, timeout=seconds, calls=calls)


async def test_rows_that_arrive_during_the_allowed_calls_go_together_in_the_next() -> None:
    async with RunnerServer() as server, runner(server) as hop:
        server.delay = 0.05
        scored = await asyncio.gather(*(hop.one(b'{"n": %d}' % n) for n in range(40)))
        assert sorted(len(call) for call in server.calls) == [1, 1, 38]
        assert sorted(row["n"] for call in server.calls for row in call) == list(range(40))
        assert all((one.version, one.scores, len(one.answers)) == ("3", [0.25], 1) for one in scored)


async def test_one_refused_row_is_told_to_its_own_caller_only() -> None:
    async with RunnerServer() as server, runner(server, calls=1) as hop:
        server.delay = 0.02
        server.refused_row = {"n": 3}
        results = await asyncio.gather(*(hop.one(b'{"n": %d}' % n) for n in range(6)), return_exceptions=True)
        assert [isinstance(result, Invalid) for result in results] == [n == 3 for n in range(6)]


async def test_waiting_has_an_end() -> None:
    async with RunnerServer() as server, runner(server, calls=1, seconds=0.2) as hop:
        server.delay = 1
        results = await asyncio.gather(*(hop.one(b"{}") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, GatewayTimeout) for result in results)
        server.delay = 0
        assert (await hop.one(b"{}")).version == "3"


async def test_a_caller_that_leaves_frees_its_place() -> None:
    async with RunnerServer() as server, runner(server, calls=1) as hop:
        server.delay = 0.1
        tasks = [asyncio.create_task(hop.one(b"{}")) for _ in range(3)]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        tasks[1].cancel()
        assert (await tasks[2]).version == "3"


async def test_an_absent_runner(free_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        hop = Runner(session, "tiny", f"http://127.0.0.1:{free_port}", timeout=1, calls=1)
        with pytest.raises(Unavailable):
            await hop.one(b"{}")
