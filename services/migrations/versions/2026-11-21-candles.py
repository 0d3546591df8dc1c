"""Assets and their candles, and an index that finds the forecasts of an asset in the audit."""

from alembic import op

revision = "20261121_candles"
down_revision = "20261121_explanations"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    CREATE TABLE assets (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        symbol text NOT NULL UNIQUE,
        pair text NOT NULL,
        wsname text,
        base text NOT NULL,
        quote text NOT NULL,
        added_by text NOT NULL,
        added_at timestamptz NOT NULL DEFAULT now(),
        price numeric,
        price_at timestamptz,
        backfill jsonb NOT NULL DEFAULT '{"state": "waiting", "done": 0, "total": 0, "error": null}'
    );
    CREATE TABLE candles (
        asset_id bigint NOT NULL REFERENCES assets ON DELETE CASCADE,
        interval smallint NOT NULL CHECK (interval IN (60, 1440)),
        timestamp bigint NOT NULL,
        open numeric NOT NULL,
        high numeric NOT NULL,
        low numeric NOT NULL,
        close numeric NOT NULL,
        volume numeric NOT NULL,
        trades integer NOT NULL,
        PRIMARY KEY (asset_id, interval, timestamp),
        CHECK (timestamp % (interval * 60) = 0),
        CHECK (low > 0 AND low <= open AND low <= close AND open <= high AND close <= high AND volume >= 0 AND trades >= 0)
    );
CREATE FUNCTION announce_assets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('modelyard_market', '');
    RETURN NULL;
END $$;
    CREATE TRIGGER announce AFTER INSERT OR DELETE ON assets FOR EACH STATEMENT EXECUTE FUNCTION announce_assets();
    CREATE INDEX predictions_asset ON predictions (model, (input ->> 'asset'), (input ->> 'interval'), id)
        WHERE batch_id IS NULL AND input ->> 'asset' IS NOT NULL;
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP INDEX predictions_asset; DROP TABLE candles, assets; DROP FUNCTION announce_assets")
