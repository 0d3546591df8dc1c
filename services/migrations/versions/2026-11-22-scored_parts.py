"""What was scored of files and tables, part by part."""

from alembic import op

revision = "20261122_scored"
down_revision = "20261122_shadow"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    -- One row for each part of a scored file or table, whatever is repeated: which version and policy answered how many rows, and the hashes of what went in
    -- and came out. `batch_id`: where each row is in predictions too.
    CREATE TABLE scored_parts (
        run_id text NOT NULL,
        part integer NOT NULL,
        model text NOT NULL,
        version text NOT NULL,
        policy_version integer,
        audit text NOT NULL CHECK (audit IN ('summary', 'rows')),
        rows integer NOT NULL,
        refused integer NOT NULL,
        input_sha256 text NOT NULL,
        output_sha256 text NOT NULL,
        artifact text NOT NULL,
        batch_id uuid,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (run_id, part)
    );
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON scored_parts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE scored_parts")
