-- Webhooks: a team's own programs are told what happened to its sessions and
-- recordings. Triggers put a delivery into the outbox in the transaction of the
-- change, so none is lost and none is told that did not happen; a console sends it
-- until the receiver has answered 2xx.
CREATE TABLE webhooks (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id       bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    url           text NOT NULL CHECK (url ~ '^https://[^[:space:]/@?#]+(/[^[:space:]#]*)?$'
                                       AND length(url) <= 1000),
    events        text[] NOT NULL, -- names of those that are sent
    secret_sealed bytea NOT NULL,  -- key of the signature, sealed
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at       timestamptz,     -- of the last answer, or its lack
    last_status   integer,         -- HTTP; NULL: no answer
    last_error    text,            -- NULL: it was delivered
    n_lost        bigint NOT NULL DEFAULT 0, -- deliveries given up
    CHECK (cardinality(events) BETWEEN 1 AND 20)
);
CREATE INDEX webhooks_team ON webhooks (team_id);

CREATE TABLE webhook_deliveries (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(), -- receivers know repeats by it
    webhook_id bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event      text NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at    timestamptz NOT NULL DEFAULT clock_timestamp(), -- when it is sent; also a sender's lease
    tries      integer NOT NULL DEFAULT 0
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);

CREATE FUNCTION webhook_event_names() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['session.started', 'session.ended', 'recording.available', 'recording.failed',
                 'recording.expired', 'recording.locked']
$$;

CREATE FUNCTION webhook_body(what text, data jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', what, 'timestamp',
        to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'data', data)::text
$$;

-- For the triggers below.
CREATE FUNCTION webhook_add(team bigint, what text, data jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO webhook_deliveries (webhook_id, event, body)
    SELECT id, what, webhook_body(what, data) FROM webhooks
    WHERE team_id = team AND what = ANY (events)
$$;

CREATE FUNCTION webhook_of_session() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    data jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks WHERE team_id = NEW.team_id) THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_build_object('id', NEW.id, 'endpoint', e.name, 'technician', p.name,
               'access', NEW.access, 'recorded', NEW.recorded, 'started_at', NEW.started_at,
               'ended_at', NEW.ended_at, 'end_code', NEW.end_code, 'end_reason', NEW.end_reason)
    INTO data FROM endpoints e, people p WHERE e.id = NEW.endpoint_id AND p.id = NEW.person_id;
    IF TG_OP = 'INSERT' THEN
        PERFORM webhook_add(NEW.team_id, 'session.started', data);
    END IF;
    IF NEW.ended_at IS NOT NULL THEN
        PERFORM webhook_add(NEW.team_id, 'session.ended', data);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER session_webhook_new AFTER INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION webhook_of_session();
CREATE TRIGGER session_webhook AFTER UPDATE ON sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION webhook_of_session();

CREATE FUNCTION webhook_of_segment() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    data jsonb;
    was text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END;
    what text := CASE WHEN NEW.status IS NOT DISTINCT FROM was THEN NULL
                      WHEN NEW.status = 'available' THEN 'recording.available'
                      WHEN NEW.status = 'expired' THEN 'recording.expired'
                      WHEN segment_is_failed(NEW.status) THEN 'recording.failed' END;
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks WHERE team_id = NEW.team_id) THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_build_object('id', NEW.id, 'session_id', NEW.session_id, 'endpoint', e.name,
               'technician', p.name, 'status', NEW.status, 'detail', NEW.status_detail,
               'started_at', NEW.started_at, 'duration_ms', NEW.duration_ms,
               'bytes', NEW.bytes, 'locked', NEW.locked)
    INTO data FROM endpoints e, people p WHERE e.id = NEW.endpoint_id AND p.id = NEW.person_id;
    IF what IS NOT NULL THEN
        PERFORM webhook_add(NEW.team_id, what, data);
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.locked AND NOT OLD.locked THEN
        PERFORM webhook_add(NEW.team_id, 'recording.locked', data);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER segment_webhook_new AFTER INSERT ON segments
    FOR EACH ROW EXECUTE FUNCTION webhook_of_segment();
CREATE TRIGGER segment_webhook AFTER UPDATE ON segments
    FOR EACH ROW WHEN (OLD.status <> NEW.status OR OLD.locked <> NEW.locked)
    EXECUTE FUNCTION webhook_of_segment();

-- Makes one of team, for who; events NULL: all. Returns its id, or what is wrong.
CREATE FUNCTION webhook_new(team bigint, who text, origin jsonb, its_url text, its_events text[],
                            sealed bytea, OUT id bigint, OUT problem text)
LANGUAGE plpgsql AS $$
BEGIN
    its_events := coalesce(its_events, webhook_event_names());
    PERFORM FROM teams t WHERE t.id = team FOR UPDATE;
    IF NOT its_events <@ webhook_event_names() OR cardinality(its_events) = 0 THEN
        problem := 'events are ' || array_to_string(webhook_event_names(), ', ');
    ELSIF (SELECT count(*) FROM webhooks w WHERE w.team_id = team) >= 10 THEN
        problem := 'a team has 10 webhooks at most; remove one';
    ELSE
        INSERT INTO webhooks AS w (team_id, url, events, secret_sealed)
        VALUES (team, its_url, its_events, sealed) RETURNING w.id INTO id;
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (team, who, 'webhook_add', its_url,
                origin || jsonb_build_object('id', id, 'events', to_jsonb(its_events)));
    END IF;
EXCEPTION WHEN check_violation THEN
    problem := 'the address is https://HOST[:PORT]/PATH without a name or password, at most 1000 '
               'characters long';
END $$;

-- Whether there was one of that team.
CREATE FUNCTION webhook_remove(team bigint, who text, origin jsonb, its_id bigint)
RETURNS boolean LANGUAGE sql AS $$
    WITH w AS (DELETE FROM webhooks WHERE id = its_id AND team_id = team RETURNING url),
         a AS (INSERT INTO audit (team_id, actor, action, object, detail)
               SELECT team, who, 'webhook_remove', url, origin || jsonb_build_object('id', its_id)
               FROM w)
    SELECT EXISTS (SELECT FROM w)
$$;

-- The same; sends it a webhook.test.
CREATE FUNCTION webhook_test(team bigint, its_id bigint) RETURNS boolean LANGUAGE sql AS $$
    WITH d AS (INSERT INTO webhook_deliveries (webhook_id, event, body)
               SELECT id, 'webhook.test', webhook_body('webhook.test', jsonb_build_object('id', id))
               FROM webhooks WHERE id = its_id AND team_id = team RETURNING 1)
    SELECT EXISTS (SELECT FROM d)
$$;
