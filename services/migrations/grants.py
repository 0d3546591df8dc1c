"""What the services' own role may do: read and add everywhere, change and remove where no trigger makes a table append-only.

With MIGRATIONS_APPLICATION_ROLE the services need not own the tables, so that nothing they can be talked into takes the triggers away.
"""

from psycopg import sql
from sqlalchemy import Connection, text

TABLES = """
SELECT c.relname, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only')
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
AND c.relname <> 'modelyard_version'
"""
SET_LATER = {"model_versions": "verdict", "retrainings": "times, last_at"}
"""Columns of append-only tables that may be set, as far as their triggers let them."""


def make(connection: Connection, role: str, password: str) -> None:
    """A role that may log in and owns nothing. Raises ProgrammingError where the connection's own role may not make any."""
    there = connection.scalar(text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)"), {"role": role})
    # A utility statement takes no parameters.
    statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
        sql.SQL("ALTER" if there else "CREATE"), sql.Identifier(role), sql.Literal(password)
    )
    connection.exec_driver_sql(statement.as_string().replace("%", "%%"))
    connection.commit()


def grant(connection: Connection, role: str) -> None:
    """Of everything that is there, in one transaction; again after each migration, for what that has added. Raises ProgrammingError without such a role."""
    quoted = connection.dialect.identifier_preparer.quote_identifier
    to, schema = quoted(role), quoted(str(connection.scalar(text("SELECT current_schema()"))))
    statements = [f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {to}", f"GRANT USAGE ON SCHEMA {schema} TO {to}"]
    for name, append_only in connection.execute(text(TABLES)).all():
        statements.append(f"GRANT SELECT, INSERT ON {quoted(name)} TO {to}")
        if not append_only:
            statements.append(f"GRANT UPDATE, DELETE ON {quoted(name)} TO {to}")
        elif name in SET_LATER:
            statements.append(f"GRANT UPDATE ({SET_LATER[name]}) ON {quoted(name)} TO {to}")
    statements += [f"GRANT SELECT ON modelyard_version TO {to}", f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {to}"]
    for statement in statements:
        connection.execute(text(statement))
    connection.commit()
