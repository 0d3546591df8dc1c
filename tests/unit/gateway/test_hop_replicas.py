"""The hop over several replicas: who is asked, who is not, and what is asked again."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from services.gateway.predictions.hop import Runner
from services.kit.errors import BadGateway, GatewayTimeout, TooManyRequests, Unavailable
from tests.fakes import RunnerServer, WireServer
from tests.unit.gateway.hops import GOOD, answer, begun, hop_to, row, within


async def ask(hop: Runner, times: int = 20) -> list[str]:
    return [(await hop.one(row(n), within(1))).version for n in range(times)]


async def until(well: Callable[[], bool], seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not well():  # noqa: ASYNC110 - somebody else's state
            await asyncio.sleep(0.01)


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[RunnerServer, RunnerServer]]:
    async with RunnerServer() as first, RunnerServer() as second:
        second.version = "4"
        yield first, second


async def test_calls_go_where_the_fewest_are_under_way() -> None:
    async with pair() as (slow, fast), hop_to(slow.url, fast.url, calls=2) as hop:
        slow.delay = 0.5
        answers = await begun(*(hop.one(row(n), within(2)) for n in range(4)))
        await until(lambda: len(slow.calls) == len(fast.calls) == 2)
        await asyncio.gather(*answers[1::2])
        await hop.many([row()], within(1))
        assert (len(slow.calls), len(fast.calls)) == (2, 3)
        await asyncio.gather(*answers)


async def test_each_replica_has_its_own_allowance() -> None:
    async with pair() as (first, second), hop_to(first.url, second.url, calls=2) as hop:
        first.delay = second.delay = 0.1
        await asyncio.gather(*await begun(*(hop.one(row(n), within(2)) for n in range(20))))
        assert [len(call) for server in (first, second) for call in server.calls] == [1, 1, 16, 1, 1]


async def test_one_that_refuses_connections_costs_nobody_anything_and_comes_back(free_port: int) -> None:
    async with RunnerServer() as there, hop_to(f"http://127.0.0.1:{free_port}", there.url) as hop:
        assert await ask(hop) == ["3"] * 20
        async with WireServer(*[answer(GOOD.replace(b'"3"', b'"back"'))] * 100, port=free_port) as back:
            await until(lambda: back.connections > 0)
            await asyncio.sleep(0.05)
            assert "back" in await ask(hop)


async def test_a_call_that_may_have_reached_the_model_is_not_made_again_elsewhere() -> None:
    async with WireServer(b"", afterwards="reset") as broken, RunnerServer() as other, hop_to(broken.url, other.url) as hop:
        broken.well = False
        with pytest.raises(Unavailable):
            await hop.one(row(), within(1))
        assert await ask(hop) == ["3"] * 20
        assert (broken.posts, len(other.calls)) == (1, 20)


@pytest.mark.parametrize("wrong", [answer(b"<html>"), answer(b"{}", b"500 Wrong"), b"nonsense\r\n\r\n"], ids=["HTML", "500", "not HTTP"])
async def test_one_that_answers_nonsense_is_put_out_at_once(wrong: bytes) -> None:
    async with WireServer(*[wrong] * 100) as broken, RunnerServer() as other, hop_to(broken.url, other.url) as hop:
        broken.well = False
        with pytest.raises(BadGateway):
            await hop.one(row(), within(1))
        assert await ask(hop) == ["3"] * 20
        assert broken.posts == 1


async def test_nonsense_is_asked_for_ever_less_often() -> None:
    """Its probes succeed: only the calls show it."""
    async with WireServer(*[answer(b"<html>")] * 100) as broken, RunnerServer() as other, hop_to(broken.url, other.url) as hop:
        ends = within(1.5)
        while asyncio.get_running_loop().time() < ends:
            await asyncio.gather(hop.one(row(), within(1)), return_exceptions=True)
            await asyncio.sleep(0.005)
        assert 2 <= broken.posts <= 5
        assert len(other.calls) > 50


async def test_one_that_drains_gets_no_more_calls_until_it_says_otherwise() -> None:
    async with pair() as (stopping, other), hop_to(stopping.url, other.url) as hop:
        await ask(hop, 2)
        stopping.draining = True
        before = len(stopping.calls)
        assert len(await ask(hop)) == 20
        assert len(stopping.calls) - before <= 1
        stopping.draining = False
        await until(lambda: hop._replicas.available == 2)
        both = await asyncio.gather(*(hop.many([row(n)], within(1)) for n in range(4)))
        assert {one.version for one in both} == {"3", "4"}


async def test_an_idle_one_that_drains_is_noticed_without_a_call() -> None:
    async with pair() as (stopping, other), hop_to(stopping.url, other.url) as hop:
        await asyncio.gather(*(hop.one(row(n), within(1)) for n in range(4)))
        stopping.draining = True
        await asyncio.sleep(0.9)
        before = len(stopping.calls)
        assert await ask(hop, 4) == ["4"] * 4
        assert len(stopping.calls) == before


async def test_the_last_one_answers_while_it_drains() -> None:
    async with RunnerServer() as server, hop_to(server.url) as hop:
        server.draining = True
        assert await ask(hop) == ["3"] * 20


@pytest.mark.parametrize(("status", "draining"), [(503, False), (503, True), (429, True)])
async def test_what_a_replica_refused_unseen_is_asked_of_another(status: int, draining: bool) -> None:
    async with pair() as (refusing, other), hop_to(refusing.url, other.url) as hop:
        refusing.refuse, refusing.draining = (status, {"detail": "not now"}, {"Retry-After": "3"}), draining
        assert await ask(hop) == ["4"] * 20
        other.refuse = 503, {"detail": "neither"}, {"Retry-After": "3"}
        with pytest.raises((Unavailable, TooManyRequests)) as refused:
            await hop.one(row(), within(1))
        assert refused.value.headers["Retry-After"] == "3"


async def test_a_busy_replica_is_believed() -> None:
    """Its 429 is an answer: asked elsewhere as well, an overload would double itself."""
    async with pair() as (busy, other), hop_to(busy.url, other.url) as hop:
        busy.refuse = 429, {"detail": "busy"}, {}
        results = await asyncio.gather(*(hop.many([row(n)], within(1)) for n in range(2)), return_exceptions=True)
        assert sum(isinstance(result, TooManyRequests) for result in results) == 1
        assert len(busy.calls) == len(other.calls) == 1


async def test_a_short_deadline_puts_nobody_out_but_a_hung_replica_is_found_out() -> None:
    async with WireServer() as hung, RunnerServer() as other, hop_to(hung.url, other.url) as hop:
        with pytest.raises(GatewayTimeout):
            await hop.one(row(), within(0.05))
        await asyncio.sleep(0.2)
        assert hop._replicas.available == 2
        hung.well = False
        with pytest.raises(GatewayTimeout):
            await hop.one(row(), within(0.05))
        await until(lambda: hop._replicas.available == 1)
        assert await ask(hop) == ["3"] * 20


class Names:
    """What the resolver says; one name."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self.away = False

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        if self.away:
            raise socket.gaierror("Temporary failure in name resolution")
        return self.addresses


def named(version: bytes, host: str, port: int) -> WireServer:
    """A runner on a loopback address of its own, so that one name can stand for several."""
    return WireServer(*[answer(GOOD.replace(b'"3"', b'"%s"' % version))] * 1000, host=host, port=port)


async def test_replicas_come_and_go_with_the_name(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    names = Names("127.0.0.1")
    servers = [named(version, f"127.0.0.{n}", free_port) for n, version in enumerate((b"one", b"two", b"three"), 1)]
    async with servers[0], servers[1], servers[2], hop_to(f"http://runner-tiny:{free_port}", resolve=names) as hop:
        assert set(await ask(hop)) == {"one"}
        names.addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
        await asyncio.sleep(1.2)
        both = await asyncio.gather(*(hop.many([row(n)], within(1)) for n in range(2)))
        assert {one.version for one in both} == {"one", "two"}
        names.away = True
        await asyncio.sleep(2.3)
        assert set(await ask(hop)) <= {"one", "two"}
        assert [record.message for record in caplog.records].count("a runner's name cannot be looked up") == 1, "once, not at every look-up"
        names.away, names.addresses = False, ["127.0.0.3"]
        await asyncio.sleep(1.1)
        assert set(await ask(hop)) == {"three"}


async def test_a_moved_replica_is_looked_up_within_the_call(free_port: int) -> None:
    names = Names("127.0.0.1")
    async with hop_to(f"http://runner-tiny:{free_port}", resolve=names) as hop:
        async with named(b"one", "127.0.0.1", free_port):
            assert await ask(hop, 3) == ["one"] * 3
        names.addresses = ["127.0.0.2"]
        async with named(b"two", "127.0.0.2", free_port):
            assert await ask(hop, 3) == ["two"] * 3


async def test_a_name_that_stands_for_nothing() -> None:
    names = Names()
    async with hop_to("http://runner-tiny:3000", resolve=names) as hop:
        with pytest.raises(Unavailable):
            await hop.one(row(), within(1))
        names.away = True
        with pytest.raises(Unavailable):
            await hop.one(row(), within(1))
