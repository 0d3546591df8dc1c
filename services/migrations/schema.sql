-- The whole schema on one page. A test compares it with what the migrations make.

CREATE TABLE users (
    username text PRIMARY KEY CHECK (username ~ '^[a-z0-9][a-z0-9._-]{1,62}$'),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'analyst', 'engineer', 'admin')),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- One row per refresh token ever given; a family is one log-in, and ends as a whole.
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY,
    family uuid NOT NULL,
    username text NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_username ON refresh_tokens (username);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    username text NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_username ON api_keys (username);

-- What administrators and users did to accounts.
CREATE TABLE admin_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- The audit. Partitioned by month of the id: a UUIDv7 begins with its creation time in milliseconds, so the primary
-- key alone is unique over all partitions, finds its partition, and pages by time.
CREATE TABLE predictions (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    policy_version integer,
    username text NOT NULL,
    request_id text NOT NULL,
    batch_id uuid,
    row_number integer,
    input jsonb NOT NULL,
    output jsonb NOT NULL,
    score double precision,
    decision text,
    latency_ms real NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX predictions_model ON predictions (model, id);
CREATE INDEX predictions_username ON predictions (username, id);
CREATE INDEX predictions_batch ON predictions (batch_id) WHERE batch_id IS NOT NULL;
CREATE TABLE predictions_default PARTITION OF predictions DEFAULT;

CREATE FUNCTION uuid7_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
COMMENT ON FUNCTION uuid7_floor IS 'The smallest id that a prediction of that moment can have.';

-- Safe to call from several processes at once: they take turns.
CREATE FUNCTION ensure_prediction_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7239001);
    FOR step IN 0..months_ahead LOOP
        IF to_regclass('predictions_' || to_char(month, 'YYYY_MM')) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF predictions FOR VALUES FROM (%L) TO (%L)',
                'predictions_' || to_char(month, 'YYYY_MM'),
                uuid7_floor(month AT TIME ZONE 'UTC'), uuid7_floor((month + interval '1 month') AT TIME ZONE 'UTC'));
            made := made + 1;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;
SELECT ensure_prediction_partitions(2);

-- What the pipeline registered, with the numbers that the gate and the dashboards read.
CREATE TABLE model_versions (
    model text NOT NULL,
    version text NOT NULL,
    run_id text NOT NULL,
    artifact text NOT NULL,
    sha256 text NOT NULL,
    source text NOT NULL,
    data_hash text NOT NULL,
    engine text NOT NULL,
    metrics jsonb NOT NULL,
    policy jsonb,
    verdict jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version)
);

CREATE TABLE policies (
    model text NOT NULL,
    version integer NOT NULL,
    threshold double precision NOT NULL CHECK (threshold > 0 AND threshold < 1),
    costs jsonb NOT NULL,
    risk_levels jsonb NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version)
);

-- The ledger. What serves now is what the last row of a model says: there is no second record of it.
CREATE TABLE deployments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    action text NOT NULL CHECK (action IN ('promote', 'rollback', 'policy')),
    from_version text,
    to_version text NOT NULL,
    from_policy integer,
    to_policy integer,
    actor text NOT NULL,
    reason text NOT NULL,
    verdict jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (model, to_version) REFERENCES model_versions,
    FOREIGN KEY (model, to_policy) REFERENCES policies
);
CREATE INDEX deployments_model ON deployments (model, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON deployments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policies FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION announce_deployment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('modelyard_serving', NEW.model);
    RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION announce_deployment();

-- What each runner replica last said about itself; worthless after a crash, hence unlogged.
CREATE UNLOGGED TABLE replicas (
    model text NOT NULL,
    replica text NOT NULL,
    state jsonb NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, replica)
);

CREATE TABLE workflow_runs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    model text NOT NULL,
    parameters jsonb NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    status text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'stopped')),
    steps jsonb NOT NULL DEFAULT '[]',
    result jsonb,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX workflow_runs_created ON workflow_runs (created_at DESC, id DESC);

-- The first answer to each Idempotency-Key, for 24 hours: one prediction or one batch. Written in the transaction of its rows.
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

-- Rows of the audit whose caller was told something else: the commit came through after the deadline.
CREATE TABLE undelivered (
    prediction_id uuid PRIMARY KEY,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON undelivered FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
