"""MLflow's tables stand in a schema of their own in the platform's database."""

from contextlib import suppress
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import errors

SCHEMA = "mlflow"


def store_of(database_url: str) -> str:
    """The database's address as MLflow takes it."""
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query))
    query["options"] = f"{query.get('options', '')} -csearch_path={SCHEMA}".strip()
    return urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, urlencode(query, quote_via=quote), ""))


def ensure_schema(database_url: str) -> None:
    """Raises psycopg.OperationalError when the database is away."""
    with psycopg.connect(database_url, autocommit=True, connect_timeout=5, application_name="modelyard-mlflow") as connection, suppress(errors.UniqueViolation):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")  # refused as a duplicate when another one makes it at the same moment
