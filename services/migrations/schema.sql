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
CREATE INDEX predictions_batch ON predictions (batch_id, id) WHERE batch_id IS NOT NULL;
-- For each filter of history an index that ends with the id, so that the newest rows of any value are read from its end.
CREATE INDEX predictions_version ON predictions (model, model_version, id);
CREATE INDEX predictions_decision ON predictions (decision, id) WHERE decision IS NOT NULL;
CREATE INDEX predictions_request ON predictions (hashtext(request_id), id);
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
    action text NOT NULL CHECK (action IN ('promote', 'rollback', 'policy', 'shadow', 'canary', 'withdraw')),
    from_version text,
    to_version text NOT NULL,
    from_policy integer,
    to_policy integer,
    actor text NOT NULL,
    reason text NOT NULL,
    verdict jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    challenger text,
    challenger_policy integer,
    shadow_percent integer NOT NULL DEFAULT 0 CHECK (shadow_percent BETWEEN 0 AND 100),
    canary_percent integer NOT NULL DEFAULT 0 CHECK (canary_percent BETWEEN 0 AND 100),
    previous_hash bytea,
    hash bytea NOT NULL,
    FOREIGN KEY (model, to_version) REFERENCES model_versions,
    FOREIGN KEY (model, to_policy) REFERENCES policies,
    FOREIGN KEY (model, challenger) REFERENCES model_versions,
    FOREIGN KEY (model, challenger_policy) REFERENCES policies,
    CHECK (challenger IS NOT NULL OR (challenger_policy IS NULL AND shadow_percent = 0 AND canary_percent = 0))
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

-- Why a stored prediction was made, computed when somebody first asks. Can be made again from the version that answered.
CREATE TABLE explanations (
    prediction_id uuid PRIMARY KEY,
    document jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- What really happened. The last row of a prediction is the truth; those before it are what was believed until then.
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
-- What is traded, as Kraken names it. `symbol` is Kraken's altname, `pair` its own key; `price` the last one of the ticker;
-- `backfill` {state, done, total, error, since}: candles wanted and there, and for each interval from when on there can be any.
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

-- Completed ones only. `interval` in minutes, `timestamp` the open time in UNIX seconds; prices have the digits that the exchange gave them.
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

-- Forecasts of an asset in the audit, newest first.
CREATE INDEX predictions_asset ON predictions (model, (input ->> 'asset'), (input ->> 'interval'), id)
    WHERE batch_id IS NULL AND input ->> 'asset' IS NOT NULL;

-- The ledger is a chain for each model: an entry's hash is the SHA-256 of the hash before it, in hex (64 zeros before the first), a line feed and ledger_text.
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
    NEW.hash := sha256(convert_to(coalesce(encode(NEW.previous_hash, 'hex'), repeat('0', 64)) || E'\n' || ledger_text(NEW), 'UTF8'));
    RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION chain_entry();

-- When the answers of every replica were those that the entry says, asked of each at its own address. `seconds` from the entry's created_at.
CREATE TABLE verifications (
    deployment_id bigint PRIMARY KEY REFERENCES deployments,
    complete boolean NOT NULL,
    seconds double precision NOT NULL,
    replicas jsonb NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON verifications FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Answers stay as they were given; retention drops whole partitions. Of a version only the gate's verdict may be set.
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

-- A role that may only read and add needs new months too.
ALTER FUNCTION ensure_prediction_partitions SECURITY DEFINER SET search_path FROM CURRENT;

-- What each check for drift found: the newest rows of a version beside what it learned from.
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

-- What became of a model's answers, by version, day and segment, as far as outcomes were known at the time.
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
-- What was decided when something asked for a retraining. A refusal that repeats the model's last one for the same reason within an hour is counted in it.
CREATE TABLE retrainings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('drift', 'performance', 'schedule', 'data', 'manual')),
    decision text NOT NULL CHECK (decision IN ('submitted', 'refused')),
    rule text,
    why text NOT NULL,
    detail jsonb NOT NULL,
    actor text NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    times integer NOT NULL DEFAULT 1,
    last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((decision = 'submitted') = (run_id IS NOT NULL)),
    CHECK ((decision = 'refused') = (rule IS NOT NULL))
);
CREATE INDEX retrainings_model ON retrainings (model, id);
CREATE FUNCTION only_repeats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR OLD.decision <> 'refused' OR NEW.times <= OLD.times
        OR to_jsonb(NEW) - '{times,last_at}'::text[] <> to_jsonb(OLD) - '{times,last_at}'::text[] THEN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON retrainings FOR EACH ROW EXECUTE FUNCTION only_repeats();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON retrainings FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What people are told, written in the transaction of what it tells. `document` {title, words, fields, level}; `planned` once its deliveries are there.
CREATE TABLE notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    event text NOT NULL,
    model text NOT NULL,
    document jsonb NOT NULL,
    planned boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX notifications_unplanned ON notifications (id) WHERE NOT planned;
CREATE INDEX notifications_recent ON notifications (model, event, created_at);

-- How each channel stands with each notification that it wants.
CREATE TABLE deliveries (
    notification_id bigint NOT NULL REFERENCES notifications,
    channel text NOT NULL,
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    error text,
    PRIMARY KEY (notification_id, channel)
);
CREATE INDEX deliveries_waiting ON deliveries (channel, next_at) WHERE status = 'waiting';

CREATE FUNCTION announce_notifications() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('modelyard_notifications', '');
    RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT ON notifications FOR EACH STATEMENT EXECUTE FUNCTION announce_notifications();

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
