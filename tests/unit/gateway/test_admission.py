"""Refusing early, and only then."""

import asyncio
import time
from typing import cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from services.gateway.admission import FEWEST, Admission
from services.kit.connections import Protocol
from services.kit.errors import GatewayTimeout, Problem, Unavailable
from tests.fakes import RunnerServer
from tests.unit.gateway.hops import hop_to, row, within


async def test_sixty_four_callers_of_an_ordinary_model_are_never_refused() -> None:
    """Neither after a quiet time, in which rows came one by one, nor in the crowd that follows."""
    async with RunnerServer() as server, hop_to(server.url, max_wait=0.05) as hop:
        server.delay = 0.002
        for n in range(30):
            hop.check(within(1))
            await hop.one(row(n), within(1))

        async def caller() -> None:
            for n in range(20):
                hop.check(within(1))
                await hop.one(row(n), within(1))

        await asyncio.gather(*(caller() for _ in range(64)))


async def crowd(server: RunnerServer, max_wait: float, timeout: float, rows: int) -> list[float | Problem]:
    """So many callers at once, of a runner that takes 10 ms for each row and one call at a time; the seconds that each waited, or why it did not."""
    turn = asyncio.Lock()
    answered = server._answer

    async def one_at_a_time(request):  # type: ignore[no-untyped-def]
        if request.path == "/slots":
            return await answered(request)
        async with turn:
            await asyncio.sleep(0.01 * len((await request.json())["rows"]))
            return await answered(request)

    server._answer = one_at_a_time  # type: ignore[method-assign]
    async with hop_to(server.url, max_wait=max_wait) as hop:
        for n in range(1, 9):  # what it has learned before
            await asyncio.gather(*(hop.one(row(n), within(5)) for _ in range(n)))

        refusals: list[float] = []

        async def caller(n: int) -> float | Problem:
            began = time.perf_counter()
            try:
                hop.check(within(timeout))
                await hop.one(row(n), within(timeout))
            except Unavailable as problem:
                refusals.append(time.perf_counter() - began)
                return problem
            except GatewayTimeout as problem:
                return problem
            return time.perf_counter() - began

        results = await asyncio.gather(*(caller(n) for n in range(rows)))
        assert max(refusals) < 0.05
        return results


@pytest.mark.parametrize(("max_wait", "timeout"), [(0.3, 5), (9, 0.3)], ids=["the bound", "the deadline"])
async def test_who_would_wait_too_long_is_told_at_once(max_wait: float, timeout: float) -> None:
    async with RunnerServer() as server:
        results = await crowd(server, max_wait, timeout, 200)
    accepted = [result for result in results if isinstance(result, float)]
    refused = [result for result in results if isinstance(result, Problem)]
    assert {type(problem) for problem in refused} <= {Unavailable, GatewayTimeout}
    assert sum(isinstance(problem, Unavailable) for problem in refused) >= 150
    assert len(accepted) >= 5
    assert max(accepted) < 0.6
    assert all(problem.headers["Retry-After"] == "1" for problem in refused if isinstance(problem, Unavailable))


async def test_a_gateway_that_is_busy_beyond_its_bound_refuses() -> None:
    async with hop_to("http://127.0.0.1:9") as hop:
        admission = Admission(0.05, {"tiny": hop})
        measuring = asyncio.create_task(admission.run())
        assert admission.turn_away(b"POST", b"/predict/tiny") is None
        for _ in range(FEWEST + 2000):
            admission.enter(hop, within(5))
        for _ in range(20):  # 1000 a second, without a pause in which the loop could come to its timers
            time.sleep(0.03)  # noqa: ASYNC251
            for _ in range(30):
                admission.leave()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert admission.expected() > 0.05
        with pytest.raises(Unavailable, match="overloaded"):
            admission.enter(hop, within(5))
        assert admission.turn_away(b"POST", b"/predict/tiny") is not None
        for method, url in ((b"GET", b"/predict/tiny"), (b"POST", b"/predict/tiny/batch"), (b"POST", b"/predict/other"), (b"POST", b"/auth/login")):
            assert admission.turn_away(method, url) is None
        await asyncio.sleep(0.1)
        admission.enter(hop, within(5))  # whatever is under way: nothing waits for this process any more
    measuring.cancel()
    await asyncio.gather(measuring, return_exceptions=True)


class Connection:
    """What a doorkeeper sees of one."""

    def __init__(self) -> None:
        self.transport = self
        self.flow = FlowControl(cast(asyncio.Transport, self))
        self.heard = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.heard = False

    def resume_reading(self) -> None:
        self.heard = True


async def test_a_refused_connection_is_not_heard_while_the_gateway_is_busy_and_for_a_second_at_most() -> None:
    admission = Admission(0.05, {})
    measuring = asyncio.create_task(admission.run())
    calm, first, later = Connection(), Connection(), Connection()
    admission.hold(cast(Protocol, calm))
    assert calm.heard, "nothing waits for this process"

    async def busy(seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            time.sleep(0.03)  # noqa: ASYNC251
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    await busy(0.1)
    admission.hold(cast(Protocol, first))
    await busy(0.7)
    assert not first.heard
    admission.hold(cast(Protocol, later))
    await busy(0.5)
    assert (first.heard, later.heard) == (True, False)
    await asyncio.sleep(0.1)
    assert later.heard
    measuring.cancel()
    await asyncio.gather(measuring, return_exceptions=True)
