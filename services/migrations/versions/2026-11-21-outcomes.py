"""What really happened, and indexes with which every filter of history is answered from its newest row on.

An index is made while predictions wait: about a second for each million rows of the fullest months together.
"""

from alembic import op

revision = "20261121_outcomes"
down_revision = "20261121_idempotency"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    CREATE TABLE outcomes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        prediction_id uuid NOT NULL,
        value double precision NOT NULL,
        note text,
        actor text NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX outcomes_prediction ON outcomes (prediction_id, id);
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outcomes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    CREATE INDEX predictions_version ON predictions (model, model_version, id);
    CREATE INDEX predictions_decision ON predictions (decision, id) WHERE decision IS NOT NULL;
    CREATE INDEX predictions_request ON predictions (hashtext(request_id), id);
    DROP INDEX predictions_batch;
    CREATE INDEX predictions_batch ON predictions (batch_id, id) WHERE batch_id IS NOT NULL;
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    DROP INDEX predictions_version, predictions_decision, predictions_request, predictions_batch;
    CREATE INDEX predictions_batch ON predictions (batch_id) WHERE batch_id IS NOT NULL;
    DROP TABLE outcomes;
    """)
