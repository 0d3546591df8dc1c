"""The database itself: the chain of the ledger, and records that cannot be rewritten."""

import hashlib
import json
import re
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from services.kit import ids
from services.migrations.__main__ import HERE

Connection = psycopg.Connection[tuple[Any, ...]]
SHA = "a" * 64


def connect(url: str, options: str = "") -> Connection:
    return psycopg.connect(url, autocommit=True, options=options)


def fill(connection: Connection, model: str = "m") -> None:
    """Two versions, two policies, three decisions."""
    for version in ("1", "2"):
        connection.execute(
            "INSERT INTO model_versions (model, version, run_id, artifact, sha256, source, data_hash, engine, metrics)"
            " VALUES (%s, %s, 'r', 'a', %s, 'synthetic', 'd', 'gtil', '{}')",
            [model, version, SHA],
        )
        connection.execute("INSERT INTO policies VALUES (%s, %s, 0.1, '{\"false_alarm\": 1}', '{}', 'ada', 'test')", [model, int(version)])
    for action, to, policy in (("promote", "1", 1), ("promote", "2", 2), ("rollback", "1", 1)):
        statement = "INSERT INTO deployments (model, action, to_version, to_policy, actor, reason, verdict) VALUES (%s, %s, %s, %s, 'ada', 'é', %s)"
        connection.execute(statement, [model, action, to, policy, '{"b": 0.1}'])


def chain(connection: Connection, model: str = "m") -> list[tuple[str | None, str, str]]:
    statement = "SELECT encode(previous_hash, 'hex'), encode(hash, 'hex'), ledger_text(d) FROM deployments d WHERE model = %s ORDER BY id"
    return connection.execute(statement, [model]).fetchall()  # type: ignore[return-value]


def is_whole(rows: list[tuple[str | None, str, str]]) -> bool:
    """As anybody can compute it."""
    before = None
    for previous, found, text in rows:
        if previous != before or hashlib.sha256(f"{before or 64 * '0'}\n{text}".encode()).hexdigest() != found:
            return False
        before = found
    return True


def test_each_entry_is_bound_to_the_one_before_it_and_to_what_it_refers_to(database_url: str) -> None:
    with connect(database_url) as connection:
        fill(connection)
        fill(connection, "other")
        rows = chain(connection)
        assert len(rows) == 3
        assert is_whole(rows)
        assert is_whole(chain(connection, "other"))
        said = json.loads(rows[2][2])
        assert (said["to_version"], said["artifact"]["sha256"], said["policy"]["threshold"]) == ("1", SHA, 0.1)
        with psycopg.connect(database_url) as rewriter:
            rewriter.execute("SET LOCAL session_replication_role = replica")
            rewriter.execute("UPDATE deployments SET reason = 'another' WHERE id = 2")
        assert not is_whole(chain(connection))


def test_nobody_chooses_a_hash(database_url: str) -> None:
    with connect(database_url) as connection:
        fill(connection)
        connection.execute(
            "INSERT INTO deployments (model, action, to_version, actor, reason, hash, previous_hash) VALUES ('m', 'promote', '1', 'eve', 'forged', %s, %s)",
            [b"forged", b"forged"],
        )
        assert is_whole(chain(connection))


def test_the_text_of_an_entry_depends_on_no_setting(database_url: str) -> None:
    with connect(database_url) as connection:
        fill(connection)
        known = chain(connection)
    odd = "-c timezone=Asia/Tokyo -c datestyle=German -c extra_float_digits=-3 -c bytea_output=escape -c lc_time=C -c intervalstyle=iso_8601"
    with connect(database_url, odd) as connection:
        assert chain(connection) == known


def test_entries_from_before_the_chain_get_their_place_in_it(database_url: str) -> None:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    config = Config(HERE / "alembic.ini")
    with engine.connect() as opened:
        config.attributes["connection"] = opened
        command.downgrade(config, "20261122_rollouts")
        opened.commit()
        with connect(database_url) as connection:
            fill(connection)
            fill(connection, "other")
        command.upgrade(config, "head")
        opened.commit()
    engine.dispose()
    with connect(database_url) as connection:
        assert len(chain(connection)) == 3
        assert is_whole(chain(connection))
        assert is_whole(chain(connection, "other"))
        with pytest.raises(InsufficientPrivilege):
            connection.execute("UPDATE deployments SET reason = 'another'")


def predicted(connection: Connection) -> str:
    identifier = str(ids.uuid7())
    connection.execute("INSERT INTO predictions VALUES (%s, now(), 'm', '1', NULL, 'u', 'r', NULL, NULL, '{}', '{}', 0.5, NULL, 1)", [identifier])
    return identifier


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE predictions SET score = 0.1",
        "DELETE FROM predictions",
        "TRUNCATE predictions",
        "UPDATE model_versions SET data_hash = 'other'",
        "UPDATE model_versions SET data_hash = 'other', verdict = '{}'",
        "DELETE FROM model_versions",
        "TRUNCATE model_versions CASCADE",
        "UPDATE deployments SET actor = 'eve'",
        "DELETE FROM deployments",
        "UPDATE verifications SET complete = true",
        "DELETE FROM verifications",
        "TRUNCATE verifications",
    ],
)
def test_records_are_not_rewritten(database_url: str, statement: str) -> None:
    with connect(database_url) as connection:
        fill(connection)
        predicted(connection)
        connection.execute("INSERT INTO verifications SELECT id, false, 1, '[]' FROM deployments LIMIT 1")
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            connection.execute(statement.encode())


def test_a_partition_that_is_named_itself_refuses_as_well_and_goes_as_a_whole(database_url: str) -> None:
    with connect(database_url) as connection:
        identifier = predicted(connection)
        partition = connection.execute("SELECT tableoid::regclass::text FROM predictions").fetchone()
        assert partition is not None
        for statement in (f"UPDATE {partition[0]} SET score = 1", f"DELETE FROM {partition[0]}"):
            with pytest.raises(InsufficientPrivilege, match="append-only"):
                connection.execute(statement.encode())
        connection.execute("INSERT INTO predictions SELECT * FROM predictions WHERE id = %s ON CONFLICT (id) DO NOTHING", [identifier])
        connection.execute("SELECT ensure_prediction_partitions(4)")
        connection.execute(f"DROP TABLE {partition[0]}".encode())
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)


def test_the_gates_verdict_may_be_set(database_url: str) -> None:
    with connect(database_url) as connection:
        fill(connection)
        connection.execute("UPDATE model_versions SET verdict = '{\"passed\": true}' WHERE version = '1'")
        assert connection.execute("SELECT count(*) FROM model_versions WHERE verdict IS NOT NULL").fetchone() == (1,)


def test_many_at_once_make_one_chain(database_url: str) -> None:
    """Also without the lock that control takes."""
    from concurrent.futures import ThreadPoolExecutor

    with connect(database_url) as connection:
        fill(connection)

        def add(_: int) -> None:
            with connect(database_url) as own:
                own.execute("INSERT INTO deployments (model, action, to_version, actor, reason) VALUES ('m', 'promote', '1', 'ada', %s)", [str(uuid4())])

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(add, range(40)))
        rows = chain(connection)
    assert len(rows) == 43
    assert is_whole(rows)


def test_the_queries_of_the_page_answer(database_url: str) -> None:
    page = (HERE.parents[1] / "docs" / "lineage.md").read_text()
    then, chained = re.findall(r"```sql\n(.+?)```", page, re.DOTALL)
    with connect(database_url) as connection:
        fill(connection)
        predicted(connection)
        asked = then.replace("'ada'", "'u'").replace("2026-11-22 14:03+00", "2026-01-01").replace("2026-11-22 14:04+00", "2099-01-01")
        (row,) = connection.execute(asked.encode()).fetchall()
        assert row[3:5] == ("1", "d")
        assert row[8:] == ("ada", "é")
        rows = connection.execute(chained.replace("'credit_scoring'", "'m'").encode()).fetchall()
        assert [whole for _, _, whole in rows] == [True] * 3
