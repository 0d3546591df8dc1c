"""Why models were retrained or were not, and what people are told: an outbox, and how each channel stands with it."""

from alembic import op

revision = "20261122_loop"
down_revision = "20261122_drift"


def upgrade() -> None:
    # A migration that waits for a lock makes everything behind it wait too: better to fail and be run again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
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
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
    DROP TABLE deliveries, notifications, retrainings;
    DROP FUNCTION announce_notifications(), only_repeats();
    """)
