"""The services under a role that owns nothing: they work, and cannot rewrite any record, triggers or not."""

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from bentos import contract
from tests.conftest import ROOT
from tests.whole import whole

MODEL = "attrition"


@pytest.fixture
def application_url(database_url: str) -> Iterator[str]:
    """Of the same database, as the role."""
    role = f"app_{uuid4().hex[:8]}"
    parts = urlsplit(database_url)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        environment = os.environ | {"DATABASE_URL": database_url, "MIGRATIONS_APPLICATION_ROLE": role}
        subprocess.run([sys.executable, "-m", "services.migrations"], check=True, cwd=ROOT, env=environment, capture_output=True)
        yield urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


def test_the_migrations_make_it(database_url: str) -> None:
    role, parts = f"app_{uuid4().hex[:8]}", urlsplit(database_url)
    for password in ('it\'s 100% \\ "secret"', "another"):
        environment = os.environ | {"DATABASE_URL": database_url, "MIGRATIONS_APPLICATION_ROLE": role, "MIGRATIONS_APPLICATION_PASSWORD": password}
        ran = subprocess.run([sys.executable, "-m", "services.migrations"], check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        with psycopg.connect(database_url) as owner:
            (kept,) = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [role]).fetchone() or ("",)
        assert matches(kept, password)
    with psycopg.connect(urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)
        assert connection.execute("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


def matches(kept: str, password: str) -> bool:
    """Whether a SCRAM verifier, `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, is of this password (RFC 5802): the tests' server trusts everybody."""
    _, costs, keys = kept.split("$")
    iterations, salt = costs.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client = hmac.digest(salted, b"Client Key", "sha256")
    return base64.b64encode(hashlib.sha256(client).digest()).decode() == keys.split(":")[0]


@pytest.mark.parametrize(
    "statement",
    [
        *[f"{verb} {table}{more}" for table in ("predictions", "deployments", "policies", "outcomes", "verifications", "undelivered")
          for verb, more in (("DELETE FROM", ""), ("TRUNCATE", ""))],
        "UPDATE predictions SET score = 1",
        "UPDATE deployments SET actor = 'x'",
        "UPDATE model_versions SET data_hash = 'x'",
        "ALTER TABLE deployments DISABLE TRIGGER ALL",
        "DROP TABLE deployments CASCADE",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    ],
)  # fmt: skip
def test_nothing_recorded_can_be_taken_back(application_url: str, statement: str) -> None:
    with psycopg.connect(application_url, autocommit=True) as connection, pytest.raises(InsufficientPrivilege, match=r"permission denied|must be owner"):
        connection.execute(statement.encode())


async def test_the_services_need_no_more(application_url: str, tmp_path: Path) -> None:
    async with whole(application_url, tmp_path, MODEL, replicas=1) as served:
        assert (await served.change("promote", version="1"))["verification"]["complete"]
        assert (await served.change("promote", version="2"))["verification"]["complete"]
        assert (await served.change("rollback"))["verification"]["complete"]
        example = contract.schema(MODEL).EXAMPLE
        headers = served.headers["engineer"] | {"Idempotency-Key": "once"}
        answer = await served.gateway.client.post(f"/predict/{MODEL}", json=example, headers=headers)
        assert answer.status_code == 200, answer.text
        identifier = answer.json()["prediction_id"]
        await served.ask("POST", f"/predict/{MODEL}/batch", json={"rows": [example] * 20})
        await served.ask("POST", f"/predictions/{identifier}/outcome", status=201, json={"value": 1})
        assert (await served.ask("GET", f"/predictions/{identifier}/reproduction"))["exact"]
        await served.ask("GET", f"/predictions/{identifier}/explanation")
        assert (await served.ask("GET", f"/models/{MODEL}/ledger/verify"))["ok"]
        assert (await served.gateway.client.get("/readyz")).status_code == 200
        with psycopg.connect(application_url) as connection:
            assert connection.execute("SELECT ensure_prediction_partitions(5)").fetchone() == (3,)
