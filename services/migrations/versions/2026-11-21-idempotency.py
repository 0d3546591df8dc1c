"""Idempotency keys, and rows whose answer was not delivered."""

from alembic import op

revision = "20261121_idempotency"
down_revision = "20261121_first_schema"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    CREATE TABLE idempotency_keys (
        username text NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        prediction_id uuid,
        batch_id uuid,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (username, key),
        CHECK ((prediction_id IS NULL) <> (batch_id IS NULL))
    );
    CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
    CREATE TABLE undelivered (
        prediction_id uuid PRIMARY KEY,
        reason text NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON undelivered FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE idempotency_keys, undelivered")
