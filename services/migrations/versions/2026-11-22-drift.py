"""What checks for drift and of live performance found."""

from alembic import op

revision = "20261122_drift"
down_revision = "20261122_ledger"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    CREATE TABLE drift_reports (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        model text NOT NULL,
        version text NOT NULL,
        window_from timestamptz NOT NULL,
        window_to timestamptz NOT NULL,
        rows integer NOT NULL,
        alarm boolean NOT NULL,
        document jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX drift_reports_model ON drift_reports (model, id);
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON drift_reports FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    CREATE TABLE performance_reports (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        model text NOT NULL,
        rows integer NOT NULL,
        alarm boolean NOT NULL,
        document jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX performance_reports_model ON performance_reports (model, id);
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON performance_reports FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE drift_reports, performance_reports")
