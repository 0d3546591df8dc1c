"""PostgreSQL killed, stopped and slow, the journal's disk full, the gateway killed: sent, answered and stored are counted, and the difference is 0.

MODELYARD_LONG_FAULTS=1 kills ten times and stops for 30 s, which is what the platform promises to bear.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from bentos import catalogue
from services.gateway.predictions.spool.files import of_kind
from tests.faults.database import REFUSES, SPOOLS, Count, Server, counted, server
from tests.gateway_process import until

KILLS, OUTAGE_SECONDS = (10, 30) if os.environ.get("MODELYARD_LONG_FAULTS") else (4, 4)


@pytest.fixture(scope="module")
def database() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def url(database: Server) -> str:
    """Of the server's database, without predictions and people."""
    with psycopg.connect(f"{database.url}/gateway", autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # the tables are append-only
        connection.execute("TRUNCATE predictions, undelivered, idempotency_keys, users CASCADE")
    return f"{database.url}/gateway"


async def test_killed_again_and_again_under_load(database: Server, url: str, tmp_path: Path) -> None:
    async with counted(url, tmp_path) as (count, spool):
        async with count.running():
            for _ in range(KILLS):
                answered = len(count.answered)
                await until(lambda answered=answered: len(count.answered) > answered + 30)
                await asyncio.to_thread(database.end, signal.SIGKILL)
                await asyncio.sleep(0.2)
                await asyncio.to_thread(database.run)
            answered = count.statuses[REFUSES][200]
            await until(lambda: count.statuses[REFUSES][200] > answered + 30)
        others = await count.settled(url, spool)
    assert count.statuses[SPOOLS].keys() == {200}, count.said
    assert count.statuses[REFUSES].keys() <= {200, 503}, "an outage that is shorter than the patience is only waited for"
    assert count.unanswered == 0
    assert len(others) <= count.statuses[REFUSES][503], "committed just when the connection was lost, and the caller was told to try again"


async def test_stopped_for_some_seconds(database: Server, url: str, tmp_path: Path) -> None:
    async with counted(url, tmp_path) as (count, spool):
        async with count.running():
            await until(lambda: count.statuses[REFUSES][200] > 50 and count.statuses[SPOOLS][200] > 50)
            await asyncio.to_thread(database.end, signal.SIGINT)
            spooled = count.statuses[SPOOLS][200]
            await asyncio.sleep(OUTAGE_SECONDS)
            assert count.statuses[SPOOLS][200] > spooled + 50 * OUTAGE_SECONDS
            assert await count.gateway.total("modelyard_spool_rows") > 50 * OUTAGE_SECONDS
            assert count.statuses[REFUSES][503] > 0
            await asyncio.to_thread(database.run)
            refused = count.statuses[REFUSES][200]
            await until(lambda: count.statuses[REFUSES][200] > refused + 50)
            await until(lambda: not [*of_kind(spool, "segment")], 30)
        await count.settled(url, spool)
        assert count.statuses[SPOOLS].keys() == {200}, count.said
        assert count.statuses[REFUSES].keys() == {200, 503}
        assert count.slowest < catalogue.load().models[REFUSES].timeout_seconds + 1, "nobody waits beyond the deadline"
        appended = await count.gateway.total("modelyard_spool_appended_total")
        assert await count.gateway.total("modelyard_spool_replayed_total") == appended > 0
        assert await count.gateway.total("modelyard_spool_rows") == 0


async def test_the_gateway_is_killed_under_load_with_rows_in_its_spool(database: Server, url: str, tmp_path: Path) -> None:
    """Two gateways one after the other: the second takes over what the first left, and what it answered is not lost."""
    (first_folder := tmp_path / "first").mkdir()
    (second_folder := tmp_path / "second").mkdir()
    spool = tmp_path / "spool"
    async with counted(url, first_folder, spool_dir=spool) as (first, _), first.running():
        await until(lambda: first.statuses[REFUSES][200] > 50)
        await asyncio.to_thread(database.end, signal.SIGKILL)
        spooled = first.statuses[SPOOLS][200]
        await until(lambda: first.statuses[SPOOLS][200] > spooled + 300)
        first.gateway.process.send_signal(signal.SIGKILL)
        await first.gateway.process.wait()
        await until(lambda: first.unanswered > 0)
    assert [*of_kind(spool, "segment")]
    await asyncio.to_thread(database.run)
    async with counted(url, second_folder, spool_dir=spool) as (second, _):
        async with second.running():
            await until(lambda: second.statuses[REFUSES][200] > 50)
        others = await first.settled(url, spool)
        assert others >= set(second.answered)
        assert len(others - set(second.answered)) <= first.unanswered
        assert first.unanswered + len(first.answered) <= first.sent


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 1 MB, where this account may mount one."""
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_refuses_and_loses_nothing(database: Server, url: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as mounted:
        async with counted(url, tmp_path, spool_dir=tmp_path / "disk") as (count, spool):
            if not mounted:
                psutil.Process(count.gateway.process.pid).rlimit(psutil.RLIMIT_FSIZE, (900_000, 900_000))
            async with count.running(models=(SPOOLS,)):
                await until(lambda: count.statuses[SPOOLS][200] > 50)
                await asyncio.to_thread(database.end, signal.SIGKILL)
                await until(lambda: count.statuses[SPOOLS][503] > 20, 60)
                assert await count.gateway.total("modelyard_spool_refused_total", 'reason="full"') > 0
                await asyncio.to_thread(database.run)
                refused = count.statuses[SPOOLS][503]
                await until(lambda: not [*of_kind(spool, "segment")], 30)
                answered = count.statuses[SPOOLS][200]
                await until(lambda: count.statuses[SPOOLS][200] > answered + 50)
            await count.settled(url, spool)
            assert count.statuses[SPOOLS].keys() == {200, 503}
            assert refused > 20


async def test_slow_commits_are_shared_and_those_beyond_the_patience_are_spooled(url: str, tmp_path: Path) -> None:
    async with counted(url, tmp_path, audit_patience_seconds=0.6) as (count, spool):
        with slow(url, 0.2):
            async with count.running(callers=32):
                await asyncio.sleep(3)
        assert await count.settled(url, spool) == set()
        assert [one.keys() for one in count.statuses.values()] == [{200}, {200}], count.said
        assert len(count.answered) > 32 * 3 / 0.6, "callers share commits: each waits for the one under way and its own"
        assert count.slowest < 1.5
        assert await count.gateway.total("modelyard_spool_appended_total") == 0

        async with count.running():
            with slow(url, 1.5):
                await until(lambda: count.statuses[REFUSES].keys() - {200}, 10)
            answered = count.statuses[REFUSES][200]
            await until(lambda: count.statuses[REFUSES][200] > answered + 50)
        await count.settled(url, spool)
        assert count.statuses[SPOOLS].keys() == {200}, count.said
        assert count.statuses[REFUSES].keys() <= {200, 503, 504}
        assert await count.gateway.total("modelyard_spool_appended_total") > 0


@contextlib.contextmanager
def slow(url: str, seconds: float) -> Iterator[None]:
    """Every commit of predictions takes that much longer."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"""CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END';
                CREATE TRIGGER slow AFTER INSERT ON predictions FOR EACH STATEMENT EXECUTE FUNCTION slow()"""
        )
        yield
        connection.execute("DROP FUNCTION slow CASCADE")


async def test_an_exhausted_pool_stops_no_prediction(url: str, tmp_path: Path) -> None:
    async with counted(url, tmp_path) as (count, spool):
        async with count.running():
            await until(lambda: count.statuses[REFUSES][200] > 20)
            async with await psycopg.AsyncConnection.connect(url) as blocking:
                await blocking.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
                asked = [asyncio.create_task(count.gateway.call("GET", "/auth/users/me")) for _ in range(24)]
                done, waiting = await asyncio.wait(asked, timeout=3.5)
                before = count.statuses[REFUSES][200]
                await until(lambda: count.statuses[REFUSES][200] > before + 50)
            assert {one.result()[0] for one in done} == {503}, "they waited 2 s for a connection"
            assert {(await one)[0] for one in waiting} == {200}, "they had the pool's connections, and waited for the lock"
            assert (len(done), len(waiting)) == (16, 8)
        assert await count.settled(url, spool) == set()
        assert [one.keys() for one in count.statuses.values()] == [{200}, {200}], count.said


async def test_a_clock_that_is_set_back_makes_no_id_twice_and_none_smaller(url: str, tmp_path: Path) -> None:
    """The gateway's Python tells another time: a sitecustomize of its own replaces the clock before anything else is imported."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(Path(__file__).with_name("clock")))
        environment.setenv("MODELYARD_CLOCK_OFFSET", str(offset))
        async with counted(url, tmp_path) as (count, spool):
            async with count.running(callers=1, models=(SPOOLS,)) as one:
                for hours in (0, -1, -48, 0, -1):
                    offset.write_text(str(hours * 3600))
                    answered = len(one.answered)
                    await until(lambda answered=answered: len(one.answered) > answered + 30)
            assert await count.settled(url, spool) == set()
    assert count.answered == sorted(count.answered)
    assert count.statuses[SPOOLS].keys() == {200}, count.said


def test_counting_would_notice() -> None:
    """The counts are not true by construction."""
    count = Count(None, sent=3, answered=["a", "a"])  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        asyncio.run(count.settled("", Path()))
