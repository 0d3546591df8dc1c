"""`python -m services.migrations`: brings the schema of DATABASE_URL up to date. Safe to run twice, and by several at once."""

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

HERE = Path(__file__).parent
LOCK = 7239000


def migrate(url: str) -> tuple[str | None, str | None]:
    """The revision before and after. Others that migrate at the same time wait for the advisory lock, then find nothing to do."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), connect_args={"application_name": "modelyard-migrations", "connect_timeout": 5})
    config = Config(HERE / "alembic.ini")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.commit()
        context = MigrationContext.configure(connection, opts={"version_table": "modelyard_version"})
        before = context.get_current_revision()
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        after = context.get_current_revision()
        connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
        connection.commit()
    engine.dispose()
    return before, after


def main() -> int:
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.stderr.write("DATABASE_URL is not set: say which database to migrate, as postgresql://user:password@host:port/name.\n")
        return 2
    try:
        before, after = migrate(url)
    except OperationalError as error:
        sys.stderr.write(f"The database could not be reached: {str(error.orig).strip()}\n")
        return 1
    sys.stdout.write(f"schema {after}" + (" (already there)\n" if before == after else f" (was {before or 'empty'})\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
