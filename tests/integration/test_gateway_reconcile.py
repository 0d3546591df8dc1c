"""Reconciling finds what is missing, and accuses nobody else."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.gateway.predictions import repository
from services.gateway.predictions.rows import common, encode, identifier_of, split
from services.gateway.predictions.spool import Answered, Spool
from services.gateway.reconcile import Balance, is_sound, reconcile, settle, shown
from services.kit import postgres
from services.kit.ids import uuid7_block
from tests.conftest import ROOT

NODE, OTHER = "0000aaaa", "0000bbbb"
Look = Callable[[], Awaitable[dict[str, Balance]]]


def tuples(count: int, node: str = NODE) -> list[bytes]:
    shared = common("tiny", "3", 7, "ann", "request-1", bytes(16))
    return [encode(one[:12] + bytes.fromhex(node), shared, b'{"note":null}', b"{}", 0.5, None, 1.5, 3) for one in uuid7_block(count)]


async def connect(url: str) -> postgres.Connection:
    return await postgres.connect(url, "cli", autocommit=True)


@pytest.fixture
def look(tmp_path: Path, database_url: str) -> Look:
    async def looked() -> dict[str, Balance]:
        async with await connect(database_url) as connection:
            return {one.node: one for one in await reconcile(connection, tmp_path)}

    return looked


def test_joined_tuples_come_apart_again() -> None:
    rows = tuples(3)
    assert [*split(b"".join(rows))] == rows


async def test_stored_and_spooled_together_are_what_was_answered(tmp_path: Path, database_url: str, look: Look) -> None:
    Answered.open(tmp_path, OTHER).close()
    spool = await Spool.open(tmp_path, NODE, 1_000_000)
    rows, others = tuples(100), tuples(10, OTHER)
    async with await connect(database_url) as connection:
        await repository.store(connection, [*rows[:70], *others])
        await spool.append(rows[60:])  # a commit that came through although its connection was lost is in both
        spool.answered.add(98)
        await repository.tell_undelivered(connection, [identifier_of(rows[5]), identifier_of(others[0])], "deadline")
    found = await look()
    one = found[NODE]
    assert (one.answered, one.stored, one.spooled, one.undelivered, one.unheard, one.lost) == (98, 70, 30, 1, 1, 0)
    assert (one.runs, found[OTHER].runs) == (True, False)
    assert (found[OTHER].answered, found[OTHER].stored, found[OTHER].unheard) == (0, 10, 9)
    assert is_sound([*found.values()])
    async with await connect(database_url) as connection:
        await spool.replay(connection)
    one = (await look())[NODE]
    assert (one.stored, one.spooled, one.lost) == (100, 0, 0)
    await spool.close()


async def test_a_row_that_is_nowhere_is_a_loss(tmp_path: Path, database_url: str, look: Look) -> None:
    answered = Answered.open(tmp_path, NODE)
    rows = tuples(10)
    answered.add(10)
    async with await connect(database_url) as connection:
        await repository.store(connection, rows)
        assert is_sound([*(await look()).values()])
        await connection.execute("SET session_replication_role = replica")  # the table is append-only
        await connection.execute("DELETE FROM predictions WHERE id = %s", [identifier_of(rows[3]).hex()])
        assert (await look())[NODE].lost == 1
        # A row that nobody was told of does not make up for one that is missing.
        unheard = tuples(1)
        await repository.store(connection, unheard)
        await repository.tell_undelivered(connection, [identifier_of(unheard[0])], "deadline")
    found = await look()
    assert found[NODE].lost == 1
    assert "1 answered predictions are neither stored nor in the spool." in shown([*found.values()])
    answered.close()
    assert settle(tmp_path, [*found.values()]) == 0


async def test_rows_set_aside_are_no_loss_and_not_sound_either(tmp_path: Path, database_url: str, look: Look) -> None:
    spool = await Spool.open(tmp_path, NODE, 1_000_000)
    rows = tuples(3)
    for row in (rows[0], rows[1].replace(b'{"note":null}', b'{"note":nil!}'), rows[2]):
        await spool.append([row])
    spool.answered.add(3)
    async with await connect(database_url) as connection:
        await spool.replay(connection)
    one = (await look())[NODE]
    assert (one.answered, one.stored, one.spooled, one.set_aside, one.lost) == (3, 2, 0, 1, 0)
    assert not is_sound([one])
    await spool.close()


async def test_what_was_settled_is_forgotten(tmp_path: Path, database_url: str, look: Look) -> None:
    ended, running = Answered.open(tmp_path, OTHER), Answered.open(tmp_path, NODE)
    ended.add(2)
    ended.close()
    async with await connect(database_url) as connection:
        await repository.store(connection, tuples(2, OTHER))
    assert settle(tmp_path, [*(await look()).values()]) == 1
    assert [*(await look())] == [NODE]
    running.close()


async def test_months_that_were_dropped_accuse_nobody(tmp_path: Path, database_url: str, look: Look) -> None:
    answered = Answered.open(tmp_path, NODE)
    answered.add(5)
    answered.close()
    path = tmp_path / f"{NODE}.answered"
    started = int(datetime(2025, 1, 31, tzinfo=UTC).timestamp() * 1000)
    path.write_bytes(path.read_bytes()[:8] + started.to_bytes(8, "little") + path.read_bytes()[16:])
    one = (await look())[NODE]
    assert (one.dropped, one.lost) == (True, 0)


def test_the_command_says_it_in_columns_and_json_and_by_its_exit_code(tmp_path: Path, database_url: str) -> None:
    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        given = {"GATEWAY_DATABASE_URL": database_url, "GATEWAY_SPOOL_DIR": str(tmp_path)} | more
        command = [sys.executable, "-m", "services.gateway.reconcile", *arguments]
        return subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False)

    assert (run().returncode, run().stdout.splitlines()[-1]) == (0, "Every answered prediction is stored or in the spool.")
    answered = Answered.open(tmp_path, NODE)
    answered.add(2)
    table = run()
    assert table.returncode == 1
    assert [line.split()[0] for line in table.stdout.splitlines()[:3]] == ["process", NODE, "all"]
    said = json.loads(run("--json").stdout)
    assert (said["sound"], said["processes"][0]["lost"]) == (False, 2)
    answered.close()
    away = run(GATEWAY_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (away.returncode, away.stdout) == (2, "")
    assert away.stderr.startswith("reconcile cannot look: ")
