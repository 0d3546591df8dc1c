"""What challengers say of rows that the champion answered."""

from alembic import op

revision = "20261122_shadow"
down_revision = "20261122_loop"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    -- One row for each prediction that a version has scored in the shadow of the one that answered. `*_us`: of some rows, the time of a call with it alone.
    CREATE TABLE shadow_scores (
        model text NOT NULL,
        version text NOT NULL,
        prediction_id uuid NOT NULL,
        score double precision,
        decision text,
        error text,
        latency_us real,
        champion_us real,
        scored_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (model, version, prediction_id)
    );

    -- How far a version has come, who scores for it, until when nobody else may, and the last report.
    CREATE TABLE shadow_progress (
        model text NOT NULL,
        version text NOT NULL,
        last_id uuid NOT NULL,
        holder text NOT NULL,
        until timestamptz NOT NULL,
        report jsonb,
        reported_at timestamptz,
        PRIMARY KEY (model, version)
    );
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE shadow_progress; DROP TABLE shadow_scores")
