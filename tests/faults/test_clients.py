"""Clients that are slow, half gone, or ten thousand: each has a bounded time, and nobody else notices."""

import asyncio
import contextlib
import json
import os
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, find_free_port
from tests.faults.slow_service import SIZE
from tests.gateway_process import EXAMPLE, MODEL, GatewayProcess, Load, gateway_process, until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SECONDS = 1.0
"""What the tests' services give a client."""


def request(gateway: GatewayProcess, body: bytes, length: int | None = None) -> bytes:
    head = {"Host": "gateway", "Content-Type": "application/json", "Content-Length": str(len(body) if length is None else length)} | gateway.headers
    return f"POST /predict/{MODEL} HTTP/1.1\r\n".encode() + "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n" + body


async def rest(reader: asyncio.StreamReader, seconds: float = 10) -> bytes:
    """What comes until the server ends the connection."""
    async with asyncio.timeout(seconds):
        with contextlib.suppress(ConnectionResetError):
            return await reader.read()
    return b""


def problem(answer: bytes) -> dict[str, object]:
    return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_ten_thousand_idle_connections_hinder_nobody(database_url: str, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    number = min(10_000, hard - 500)  # where the machine's hard limit forbids more, as many as it allows
    idle: list[socket.socket] = []
    try:
        async with gateway_process(database_url, tmp_path, workers=1, client_seconds=120) as gateway:
            load = Load(gateway)
            async with load.running(4):
                await until(lambda: load.statuses[200] > 50)
                while len(idle) < number:
                    idle += [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(250)]
                    await asyncio.sleep(0)
                server = psutil.Process(gateway.process.pid)
                await until(lambda: server.num_fds() > number)
                answered, began = load.statuses[200], time.monotonic()
                await until(lambda: load.statuses[200] > answered + 500)
                assert time.monotonic() - began < 15
            assert load.broken == []
            assert set(load.statuses) == {200}
            assert len(idle) == number
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_slow_writers_are_told_so_and_counted(database_url: str, tmp_path: Path) -> None:
    body = json.dumps(EXAMPLE).encode()
    async with gateway_process(database_url, tmp_path, workers=1, client_seconds=SECONDS) as gateway, contextlib.AsyncExitStack() as stack:
        silent, headers, late, pausing = [await stack.enter_async_context(connected(gateway.port)) for _ in range(4)]
        load = Load(gateway)
        async with load.running(2):
            headers[1].write(request(gateway, body)[:40])
            late[1].write(request(gateway, body[:10], len(body)))
            began = time.monotonic()

            async def trickle() -> None:
                """A byte now and then keeps nobody waiting for longer than silence does."""
                with contextlib.suppress(OSError):
                    for byte in body[10:]:
                        await asyncio.sleep(0.2)
                        late[1].write(bytes([byte]))
                        await late[1].drain()

            trickling = asyncio.create_task(trickle())
            # A pause within the time is nothing wrong.
            pausing[1].write(request(gateway, body)[:-7])
            await asyncio.sleep(SECONDS / 2)
            pausing[1].write(body[-7:])
            assert (await pausing[0].readline()).startswith(b"HTTP/1.1 200")

            said = await rest(late[0])
            took = time.monotonic() - began
            assert SECONDS <= took < SECONDS * 5
            trickling.cancel()
            assert said.startswith(b"HTTP/1.1 408 ")
            assert b"content-type: application/problem+json" in said
            assert problem(said)["status"] == 408
            assert str(problem(said)["request_id"]).encode() in said.partition(b"\r\n\r\n")[0]
            assert (await rest(headers[0])).startswith(b"HTTP/1.1 408 ")
            assert await rest(silent[0]) == b"", "who has said nothing is told nothing"
            assert time.monotonic() - began < SECONDS * 8
        assert load.broken == []
        assert set(load.statuses) == {200}
        await asyncio.sleep(0.1)
        assert await gateway.total("modelyard_gateway_requests_total", 'status="408"') == 1
        assert gateway.logged("Traceback") == 0


async def test_a_client_that_has_closed_its_half_still_gets_its_answer(database_url: str, tmp_path: Path) -> None:
    body = json.dumps(EXAMPLE).encode()
    async with gateway_process(database_url, tmp_path, workers=1) as gateway:
        gateway.runner.delay = 0.2
        for _ in range(3):
            async with connected(gateway.port) as (reader, writer):
                writer.write(request(gateway, body))
                writer.write_eof()
                assert (await rest(reader)).startswith(b"HTTP/1.1 200 ")
        gateway.runner.delay = 0
        async with connected(gateway.port) as (reader, writer):
            writer.write(request(gateway, body[:-1], len(body)))
            writer.write_eof()
            assert await rest(reader) == b"", "half a body is no request"
        assert len(gateway.runner.calls) == 3
        assert await gateway.total("modelyard_audit_rows_total", 'outcome="stored"') == 3


@asynccontextmanager
async def slow_service() -> AsyncIterator[tuple[int, psutil.Process]]:
    port = find_free_port()
    command = [sys.executable, "-m", "tests.faults.slow_service", str(port), str(SECONDS)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:

        async def is_up() -> bool:
            async with connected(port):
                return True

        await until(is_up)
        yield port, psutil.Process(process.pid)
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("path", ["/large", "/streamed"])
async def test_who_does_not_read_the_answer_loses_the_connection(path: str) -> None:
    async with slow_service() as (port, process):
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", port))
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

            def is_open() -> bool:
                return any(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp") if one.laddr.port == port)

            await until(is_open)
            began = time.monotonic()
            await until(lambda: not is_open(), 10)
            assert SECONDS / 2 <= time.monotonic() - began < SECONDS * 5


async def test_a_slow_client_at_a_fair_rate_is_served() -> None:
    """More than 16 KiB a second, for much longer than the time that silence has."""
    async with slow_service() as (port, _), connected(port) as (reader, writer):
        body = bytes(150_000)
        writer.write(f"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for begin in range(0, len(body), 10_000):
            writer.write(body[begin : begin + 10_000])
            await asyncio.sleep(SECONDS / 4)
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_an_answer_that_is_read_in_pieces_arrives_whole() -> None:
    loop = asyncio.get_running_loop()
    async with slow_service() as (port, _):
        with socket.create_connection(("127.0.0.1", port)) as reader:
            reader.sendall(b"GET /streamed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            reader.setblocking(False)
            size, began = 0, time.monotonic()
            while part := await loop.sock_recv(reader, 1_000_000):
                size += len(part)
                if time.monotonic() < began + SECONDS * 3:
                    await asyncio.sleep(SECONDS / 10)
        assert size > SIZE
