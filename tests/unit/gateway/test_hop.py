"""The hop to one runner, against a real server."""

import asyncio

import pytest

from services.gateway.predictions.hop import Moved, One
from services.kit.errors import BadGateway, GatewayTimeout, Invalid, TooManyRequests, Unavailable
from tests.fakes import RunnerServer, WireServer
from tests.unit.gateway.hops import GOOD, answer, begun, hop_to, row, within


async def test_a_row_is_answered_by_the_runners_own_bytes() -> None:
    async with RunnerServer() as server, hop_to(server.url) as hop:
        said = b'{"prediction": 0, "probability": 0.25, "decision": "stays", "risk_level": "low"}'
        assert await hop.one(b'{"age": 1}', within(0.5)) == One("3", 2, 0.25, "stays", said)
        assert server.calls == [[{"age": 1}]]
        assert 0.4 < server.timeouts[0] <= 0.5


async def test_rows_that_arrive_during_the_allowed_calls_go_together_in_the_next() -> None:
    async with RunnerServer() as server, hop_to(server.url, calls=2) as hop:
        server.delay = 0.05
        first = await begun(*(hop.one(row(n), within(2)) for n in range(2)))
        scored = await asyncio.gather(*first, *(hop.one(row(n), within(2)) for n in range(2, 300)))
        assert [len(call) for call in server.calls] == [1, 1, 256, 42]
        assert [row["n"] for call in server.calls for row in call] == list(range(300))
        assert all((one.version, one.score) == ("3", 0.25) for one in scored)


async def test_rows_that_arrive_together_go_together() -> None:
    async with RunnerServer() as server, hop_to(server.url) as hop:
        await asyncio.gather(*(hop.one(row(n), within(2)) for n in range(20)))
        assert [len(call) for call in server.calls] == [20]


async def test_one_connection_carries_the_calls_of_one_caller() -> None:
    async with WireServer(*[answer(GOOD)] * 20) as server, hop_to(server.url) as hop:
        for _ in range(20):
            await hop.one(row(), within(1))
        assert (server.posts, server.connections) == (20, 1)


async def test_one_refused_row_is_told_to_its_own_caller_only() -> None:
    async with RunnerServer() as server, hop_to(server.url, calls=1) as hop:
        server.delay = 0.02
        server.refused_row = {"n": 3}
        results = await asyncio.gather(*(hop.one(row(n), within(2)) for n in range(9)), return_exceptions=True)
        assert [isinstance(result, Invalid) for result in results] == [n == 3 for n in range(9)]
        assert len(server.calls) <= 1 + 1 + 2 * 3


async def test_waiting_ends_at_each_rows_own_deadline() -> None:
    async with RunnerServer() as server, hop_to(server.url, calls=1) as hop:
        server.delay = 0.4
        began = asyncio.get_running_loop().time()
        [first] = await begun(hop.one(row(1), within(5)))
        with pytest.raises(GatewayTimeout):
            await hop.one(row(2), within(0.1))
        assert 0.1 <= asyncio.get_running_loop().time() - began < 0.3
        await first
        assert (await hop.one(row(3), within(5))).version == "3"
        assert server.calls == [[{"n": 1}], [{"n": 3}]], "a row whose caller was told 504 is not asked for"


async def test_a_call_ends_at_its_deadline_and_its_late_answer_reaches_nobody() -> None:
    async with RunnerServer() as server, hop_to(server.url, calls=1) as hop:
        server.delay, server.version = 0.3, "late"
        with pytest.raises(GatewayTimeout):
            await hop.one(row(), within(0.1))
        server.delay, server.version = 0.0, "next"
        assert (await hop.one(row(), within(1))).version == "next"
        await asyncio.sleep(0.3)
        assert (await hop.one(row(), within(1))).version == "next"


async def test_a_caller_that_leaves_frees_its_place() -> None:
    async with RunnerServer() as server, hop_to(server.url, calls=1) as hop:
        server.delay = 0.1
        tasks = await begun(*(hop.one(row(n), within(2)) for n in range(3)))
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        tasks[1].cancel()
        assert (await tasks[2]).version == "3"
        assert server.calls == [[{"n": 0}], [{"n": 2}]]


async def test_an_absent_runner_is_used_as_soon_as_it_is_there(free_port: int) -> None:
    async with hop_to(f"http://127.0.0.1:{free_port}") as hop:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await hop.one(row(), within(1))
        async with WireServer(answer(GOOD), port=free_port):
            assert (await hop.one(row(), within(1))).version == "3"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<html>Bad gateway</html>", "HTML"),
        (GOOD[:-20], "cut off"),
        (GOOD.replace(b"[0.25]", b"[0.25, 0.5]"), "a score too many"),
        (GOOD.replace(b'["stays"]', b"[]"), "no decision"),
        (GOOD.replace(b'[{"prediction":0,"probability":0.25}]', b"[]"), "no answer"),
        (GOOD.replace(b"[0.25]", b'["0.25"]'), "a text for a score"),
        (GOOD.replace(b"[0.25]", b"[NaN]"), "no number for a score"),
        (GOOD.replace(b"[0.25]", b"[null]"), "no score"),
        (GOOD.replace(b'"3"', b"3"), "a number for a version"),
        (GOOD.replace(b'"3"', b'""'), "an empty version"),
        (GOOD.replace(b'"policy_version":2', b'"policy_version":"2"'), "a text for a policy"),
        (GOOD.replace(b'[{"prediction":0,"probability":0.25}]', b"[0.25]"), "no object for an answer"),
        (GOOD.replace(b'"tiny"', b'"other"'), "another model"),
        (b"[1, 2]", "another document"),
        (b"\xff\xfe", "no text"),
        (b"", "nothing"),
    ],
)
async def test_a_wrong_answer_is_never_passed_on(document: bytes, reason: str) -> None:
    async with WireServer(answer(document), answer(GOOD)) as server, hop_to(server.url) as hop:
        with pytest.raises(BadGateway):
            await hop.one(row(), within(1))
        assert server.posts == 1, f"{reason}: it may have been computed, so it is not asked for again"
        assert (await hop.one(row(), within(1))).answer == b'{"prediction":0,"probability":0.25}'


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", BadGateway),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", BadGateway),
        (b"HTTP/1.1 200 OK\r\n" + b"x: %s\r\n" % (b"y" * 1000) * 1000 + b"\r\n", BadGateway),
        (answer(bytes(65 * 2**20)), BadGateway),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", BadGateway),
        (b"HTTP/1.1 200 OK\r\n\r\n" + GOOD, Unavailable),
        (answer(GOOD)[:-10], Unavailable),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{", Unavailable),
        (b"", Unavailable),
        (answer(b"{}", b"500 Internal Server Error"), BadGateway),
        (answer(b"{}", b"301 Moved"), BadGateway),
        (answer(b"{}", b"404 Not Found"), BadGateway),
    ],
    ids=["not HTTP", "negative length", "long head", "huge body", "upgrade", "until the end", "cut off", "chunk cut off", "nothing", "500", "301", "404"],
)
async def test_a_broken_answer_is_told_once_and_not_asked_for_again(wire: bytes, problem: type[Exception]) -> None:
    async with WireServer(wire, afterwards="close") as server, hop_to(server.url) as hop:
        with pytest.raises(problem):
            await hop.one(row(), within(2))
        assert server.posts == 1
        server.answers, server.afterwards = [answer(GOOD)], "keep"
        assert (await hop.one(row(), within(1))).version == "3"


async def test_two_answers_for_one_call_end_the_connection() -> None:
    """The second one would be taken for the answer to the next caller's row."""
    stray = GOOD.replace(b'"3"', b'"of somebody else"')
    async with WireServer(answer(GOOD) + answer(stray), answer(GOOD)) as server, hop_to(server.url) as hop:
        assert [(await hop.one(row(), within(1))).version for _ in range(2)] == ["3", "3"]
        assert server.connections == 2


@pytest.mark.parametrize("unasked", [b"", answer(GOOD.replace(b'"3"', b'"of nobody"'))], ids=["closed", "spoken on"])
async def test_an_idle_connection_that_the_runner_ended_costs_no_request(unasked: bytes) -> None:
    """Without a pause: the event loop had no occasion to hear of it."""
    async with WireServer(*[answer(GOOD)] * 30) as server, hop_to(server.url) as hop:
        for _ in range(30):
            assert (await hop.one(row(), within(1))).version == "3"
            server.hang_up(unasked)
        assert server.connections == 30


async def test_chunked_answers() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (20, GOOD[:20], len(GOOD) - 20, GOOD[20:])
    async with WireServer(chunked, answer(GOOD)) as server, hop_to(server.url) as hop:
        assert [(await hop.one(row(), within(1))).version for _ in range(2)] == ["3", "3"]
        assert server.connections == 1


async def test_what_a_busy_runner_says_reaches_the_caller() -> None:
    async with RunnerServer() as server, hop_to(server.url) as hop:
        server.refuse = 429, {"detail": "64 calls are under way already."}, {"Retry-After": "7"}
        with pytest.raises(TooManyRequests, match="64 calls") as refused:
            await hop.one(row(), within(1))
        assert refused.value.headers == {"Retry-After": "7"}


async def test_blocks_of_columns_pass_untouched() -> None:
    block = bytes(range(256)) * 1000
    said = [answer(block), answer(b'{"detail":"gone"}', b"409 Conflict"), answer(b'{"detail":"a gap"}', b"422 Wrong")]
    async with WireServer(*said) as server, hop_to(server.url) as hop:
        assert await hop.columns(block * 10, within(1)) == block
        with pytest.raises(Moved):
            await hop.columns(block, within(1))
        with pytest.raises(Invalid, match="a gap"):
            await hop.columns(block, within(1))
