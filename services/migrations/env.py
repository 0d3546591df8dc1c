"""Alembic's entry: one connection handed in by `services.migrations.__main__`, so that its advisory lock covers all of it."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="modelyard_version", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
