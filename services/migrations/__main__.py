"""`python -m services.migrations`: brings the schema of DATABASE_URL up to date. Safe to run twice, and by several at once.

A database that is still starting is waited for, MIGRATIONS_WAIT_SECONDS long (default: not at all). MIGRATIONS_APPLICATION_ROLE names the role that the
services connect as, where that is another one: it gets what they need, and nothing with which records could be rewritten. With
MIGRATIONS_APPLICATION_PASSWORD the role is made where there is none, and has this password from then on.
"""

import os
import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from services.kit.locks import AdvisoryLock
from services.migrations.grants import grant, make

HERE = Path(__file__).parent


def migrate(url: str) -> tuple[str | None, str | None]:
    """The revision before and after. Others that migrate at the same time wait for the advisory lock, then find nothing to do."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), connect_args={"application_name": "modelyard-migrations", "connect_timeout": 5})
    config = Config(HERE / "alembic.ini")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": AdvisoryLock.MIGRATIONS})
        connection.commit()
        context = MigrationContext.configure(connection, opts={"version_table": "modelyard_version"})
        before = context.get_current_revision()
        connection.commit()
        config.attributes["connection"] = connection
        if before is None or before in known(config):
            command.upgrade(config, "head")
        after = context.get_current_revision()
        connection.commit()
        if role := os.environ.get("MIGRATIONS_APPLICATION_ROLE"):
            if password := os.environ.get("MIGRATIONS_APPLICATION_PASSWORD"):
                make(connection, role, password)
            grant(connection, role)
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": AdvisoryLock.MIGRATIONS})
        connection.commit()
    engine.dispose()
    return before, after


def known(config: Config) -> set[str]:
    """The revisions that this version has."""
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def main() -> int:
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.stderr.write("DATABASE_URL is not set: say which database to migrate, as postgresql://user:password@host:port/name.\n")
        return 2
    deadline = time.monotonic() + float(os.environ.get("MIGRATIONS_WAIT_SECONDS", "0"))
    waited = False
    while True:
        try:
            before, after = migrate(url)
            break
        except OperationalError as error:
            reason = " ".join(str(error.orig).split())
            if time.monotonic() >= deadline:
                sys.stderr.write(f"The database could not be reached: {reason}\n")
                return 1
            if not waited:
                sys.stderr.write(f"Waiting for the database: {reason}\n")
                waited = True
            time.sleep(0.5)
    if after is not None and after not in known(Config(HERE / "alembic.ini")):
        sys.stdout.write(f"schema {after} is newer than this version, which works on it as it is; nothing was changed\n")
    else:
        sys.stdout.write(f"schema {after}" + (" (already there)\n" if before == after else f" (was {before or 'empty'})\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
