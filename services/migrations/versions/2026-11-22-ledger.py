"""The ledger as a chain of hashes, how soon its rows were true on every replica, and an audit that cannot be rewritten.

Rows that are there get their hashes here. Triggers come to be while predictions wait: an instant, whatever the number of rows.
"""

from alembic import op

revision = "20261122_ledger"
down_revision = "20261122_rollouts"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
ALTER TABLE deployments ADD COLUMN previous_hash bytea, ADD COLUMN hash bytea;

CREATE FUNCTION ledger_text(entry deployments) RETURNS text LANGUAGE sql STABLE SET search_path FROM CURRENT SET extra_float_digits = 1 AS $$
    SELECT jsonb_build_object(
        'id', entry.id, 'model', entry.model, 'action', entry.action,
        'from_version', entry.from_version, 'to_version', entry.to_version, 'from_policy', entry.from_policy, 'to_policy', entry.to_policy,
        'actor', entry.actor, 'reason', entry.reason, 'verdict', entry.verdict,
        'created_at', to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'challenger', entry.challenger, 'challenger_policy', entry.challenger_policy,
        'shadow_percent', entry.shadow_percent, 'canary_percent', entry.canary_percent,
        'artifact', (SELECT jsonb_build_object('sha256', sha256, 'data_hash', data_hash, 'source', source, 'run_id', run_id)
            FROM model_versions v WHERE v.model = entry.model AND v.version = entry.to_version),
        'challenger_artifact', (SELECT jsonb_build_object('sha256', sha256, 'data_hash', data_hash, 'source', source, 'run_id', run_id)
            FROM model_versions v WHERE v.model = entry.model AND v.version = entry.challenger),
        'policy', (SELECT jsonb_build_object('threshold', threshold, 'costs', costs, 'risk_levels', risk_levels)
            FROM policies p WHERE p.model = entry.model AND p.version = entry.to_policy),
        'challenger_rule', (SELECT jsonb_build_object('threshold', threshold, 'costs', costs, 'risk_levels', risk_levels)
            FROM policies p WHERE p.model = entry.model AND p.version = entry.challenger_policy)
    )::text
$$;
COMMENT ON FUNCTION ledger_text IS 'What the hash of an entry is made of: all of it, and what it refers to. Depends on no setting.';

CREATE FUNCTION chain_entry() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(NEW.model));
    SELECT id, hash INTO last, NEW.previous_hash FROM deployments WHERE model = NEW.model ORDER BY id DESC LIMIT 1;
    IF NEW.id < last THEN -- it got its number before another one that came first
        NEW.id := nextval(pg_get_serial_sequence('deployments', 'id'));
    END IF;
    NEW.hash := sha256(convert_to(coalesce(encode(NEW.previous_hash, 'hex'), repeat('0', 64)) || E'\\n' || ledger_text(NEW), 'UTF8'));
    RETURN NEW;
END $$;

ALTER TABLE deployments DISABLE TRIGGER append_only;
DO $$
DECLARE
    entry deployments;
    previous bytea;
BEGIN
    FOR entry IN SELECT * FROM deployments ORDER BY id LOOP
        SELECT hash INTO previous FROM deployments WHERE model = entry.model AND id < entry.id ORDER BY id DESC LIMIT 1;
        UPDATE deployments SET
            previous_hash = previous,
            hash = sha256(convert_to(coalesce(encode(previous, 'hex'), repeat('0', 64)) || E'\\n' || ledger_text(entry), 'UTF8'))
        WHERE id = entry.id;
    END LOOP;
END $$;
ALTER TABLE deployments ENABLE TRIGGER append_only;
ALTER TABLE deployments ALTER COLUMN hash SET NOT NULL;
CREATE TRIGGER chain BEFORE INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION chain_entry();

CREATE TABLE verifications (
    deployment_id bigint PRIMARY KEY REFERENCES deployments,
    complete boolean NOT NULL,
    seconds double precision NOT NULL,
    replicas jsonb NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON verifications FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON predictions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON predictions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_all_but_verdict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'verdict' = to_jsonb(OLD) - 'verdict' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: of a row only the verdict may be set', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER only_verdict BEFORE UPDATE ON model_versions FOR EACH ROW EXECUTE FUNCTION refuse_all_but_verdict();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON model_versions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER FUNCTION ensure_prediction_partitions SECURITY DEFINER SET search_path FROM CURRENT;
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
ALTER FUNCTION ensure_prediction_partitions SECURITY INVOKER RESET search_path;
DROP TRIGGER append_only ON model_versions;
DROP TRIGGER only_verdict ON model_versions;
DROP FUNCTION refuse_all_but_verdict;
DROP TRIGGER append_only_whole ON predictions;
DROP TRIGGER append_only ON predictions;
DROP TABLE verifications;
DROP TRIGGER chain ON deployments;
DROP FUNCTION chain_entry;
DROP FUNCTION ledger_text;
ALTER TABLE deployments DROP COLUMN previous_hash, DROP COLUMN hash;
    """)
