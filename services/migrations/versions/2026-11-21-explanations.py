"""Explanations of stored predictions."""

from alembic import op

revision = "20261121_explanations"
down_revision = "20261121_outcomes"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    CREATE TABLE explanations (
        prediction_id uuid PRIMARY KEY,
        document jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE explanations")
