"""A challenger beside the champion: the ledger says which, with which policy, and for what share of the requests."""

from alembic import op

revision = "20261122_rollouts"
down_revision = "20261121_candles"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    ALTER TABLE deployments
        ADD COLUMN challenger text,
        ADD COLUMN challenger_policy integer,
        ADD COLUMN shadow_percent integer NOT NULL DEFAULT 0 CHECK (shadow_percent BETWEEN 0 AND 100),
        ADD COLUMN canary_percent integer NOT NULL DEFAULT 0 CHECK (canary_percent BETWEEN 0 AND 100),
        ADD FOREIGN KEY (model, challenger) REFERENCES model_versions,
        ADD FOREIGN KEY (model, challenger_policy) REFERENCES policies,
        ADD CHECK (challenger IS NOT NULL OR (challenger_policy IS NULL AND shadow_percent = 0 AND canary_percent = 0)),
        DROP CONSTRAINT deployments_action_check,
        ADD CONSTRAINT deployments_action_check CHECK (action IN ('promote', 'rollback', 'policy', 'shadow', 'canary', 'withdraw'));
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    ALTER TABLE deployments
        DROP COLUMN challenger, DROP COLUMN challenger_policy, DROP COLUMN shadow_percent, DROP COLUMN canary_percent,
        DROP CONSTRAINT deployments_action_check,
        ADD CONSTRAINT deployments_action_check CHECK (action IN ('promote', 'rollback', 'policy'));
    """)
