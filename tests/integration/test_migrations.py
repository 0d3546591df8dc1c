"""The migrations make the schema that schema.sql shows, twice is once, and the database itself keeps the ledger's promise."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from services.kit import ids
from services.local import programs

ROOT = Path(__file__).resolve().parents[2]


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.migrations"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True, check=False)


@pytest.fixture
def empty_database_url(postgres_url: str) -> str:
    name = f"empty_{uuid4().hex[:8]}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{postgres_url}/{name}"


def dump(url: str) -> list[str]:
    command = [programs.find_programs() / "pg_dump", "--schema-only", "--exclude-table=modelyard_version", "--no-owner", "--no-privileges", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in text.splitlines() if not line.startswith(("--", "\\"))]


def test_schema_file_is_what_migrations_make(database_url: str, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute((ROOT / "services/migrations/schema.sql").read_text().encode())
    assert dump(empty_database_url) == dump(database_url)


def test_migrating_again_changes_nothing(database_url: str) -> None:
    answer = migrate(database_url)
    assert answer.returncode == 0
    assert "already there" in answer.stdout


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    """After a rollback of the programs: the schema stays, and the older ones work on it."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE modelyard_version SET version_num = 'of_next_year'")
    answer = migrate(database_url)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == "schema of_next_year is newer than this version, which works on it as it is; nothing was changed\n"


def test_several_at_once_take_turns(empty_database_url: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(migrate, [empty_database_url] * 3))
    assert [answer.returncode for answer in answers] == [0, 0, 0], answers
    assert sorted("already there" in answer.stdout for answer in answers) == [False, True, True]


def test_unreachable_database_is_told_in_a_sentence(free_port: int) -> None:
    answer = migrate(f"postgresql://nobody@127.0.0.1:{free_port}/nothing")
    assert answer.returncode == 1
    assert "could not be reached" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_database_that_starts_is_waited_for(empty_database_url: str, postgres_url: str) -> None:
    name = sql.Identifier(empty_database_url.rpartition("/")[2])
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        environment = os.environ | {"DATABASE_URL": empty_database_url, "MIGRATIONS_WAIT_SECONDS": "60"}
        command = [sys.executable, "-m", "services.migrations"]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("Waiting for the database: ")
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            said, rest = process.communicate(timeout=60)
        assert (process.returncode, said[:7], rest) == (0, "schema ", "")


@pytest.mark.parametrize("statement", ["UPDATE policies SET threshold = 0.9", "DELETE FROM policies", "TRUNCATE policies CASCADE"])
def test_ledger_refuses_changes(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO policies VALUES ('m', 1, 0.5, '{}', '{}', 'someone', 'test')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(statement.encode())
        assert connection.execute("SELECT threshold FROM policies").fetchall() == [(0.5,)]


def test_id_and_time_agree_in_database_and_python(database_url: str) -> None:
    identifier = ids.uuid7()
    moment = ids.timestamp_of(identifier)
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT uuid7_floor(%s)", [moment]).fetchone()
    assert row is not None
    assert row[0] == ids.floor_of(moment)
    assert row[0] <= identifier < UUID(int=row[0].int + (1 << 80))


def test_partitions_are_made_once_and_rows_find_theirs(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        made = [connection.execute("SELECT ensure_prediction_partitions(5)").fetchone() for _ in range(2)]
        assert made == [(3,), (0,)]
        identifier = ids.uuid7()
        connection.execute(
            "INSERT INTO predictions VALUES (%s, now(), 'm', '1', NULL, 'u', 'r', NULL, NULL, '{}', '{}', NULL, NULL, 1)",
            [identifier],
        )
        row = connection.execute("SELECT tableoid::regclass::text FROM predictions").fetchone()
    assert row == (f"predictions_{ids.timestamp_of(identifier):%Y_%m}",)
