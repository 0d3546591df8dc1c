"""`python -m services.local.steps.database`: waits for the server of DATABASE_URL, then makes sure of the database."""

import os
import sys
import time

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PATIENCE_SECONDS = 20.0
OLDEST = 140000


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def words(error: Exception) -> str:
    """libpq's message in one line, without the question it ends with."""
    return " ".join(str(error).split()).split(" Is the server running")[0].removeprefix("connection failed: ")


def reach(url: str, patience: float) -> psycopg.Connection:
    """Tries again for that many seconds while the server is away, but not when it answers that it does not want us."""
    deadline = time.monotonic() + patience
    waited = False
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="modelyard-local")
        except psycopg.OperationalError as error:
            reason = words(error)
            final = any(words in reason for words in ("authentication failed", "does not exist", "no pg_hba.conf entry", "translate host name"))
            if final or time.monotonic() >= deadline:
                raise
            if not waited and "starting up" not in reason:
                say(f"waiting for the database: {reason}")
                waited = True
            time.sleep(0.1)


def ensure(url: str, patience: float = PATIENCE_SECONDS) -> str:
    """Returns the server's version. Raises psycopg.Error, or RuntimeError for a server that is too old."""
    try:
        connection = reach(url, patience)
    except psycopg.OperationalError as error:
        name = conninfo_to_dict(url).get("dbname")
        if not name or f'database "{name}" does not exist' not in str(error):
            raise
        with reach(make_conninfo(url, dbname="postgres"), 0) as admin:
            say(f"making the database {name}")
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))
        connection = reach(url, 5)
    with connection:
        version = connection.info.server_version
        if version < OLDEST:
            raise RuntimeError(f"PostgreSQL {OLDEST // 10000} or newer is needed; this one is {version // 10000}.{version % 10000}")
        return f"{version // 10000}.{version % 10000}"


def main() -> int:
    url = os.environ["DATABASE_URL"]
    try:
        where = conninfo_to_dict(url)
        version = ensure(url)
    except (psycopg.Error, RuntimeError) as error:
        say(f"the database cannot be used: {words(error)}")
        return 1
    say(f"PostgreSQL {version} at {where.get('host', 'localhost')}:{where.get('port', 5432)}, database {where.get('dbname')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
