-- What changes, for people who look on (GET events of the console): sessions,
-- recordings, endpoints, and who may see them. Deferred triggers add the rows at
-- the very end of a transaction, one transaction at a time, so that numbers are in
-- the order of commits: a reader that has seen one never misses a smaller one.
-- NOTIFY makes commits wait for each other in the same way.
CREATE TABLE events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CHECK (name IN ('session_started', 'session_changed',
                    'session_ended', 'recording_changed', 'recording_removed',
                    'endpoint_changed', 'endpoint_removed', 'access')),
    team_id     bigint NOT NULL,
    endpoint_id bigint, -- the rights on it decide who sees the event; NULL: access
    person_id   bigint, -- technician; of access: whose rights changed, NULL: all of the team
    object      text NOT NULL -- id of the session, recording or endpoint
);

-- So many are kept, whatever their age.
CREATE FUNCTION events_kept() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 10000::bigint';

-- For the triggers below alone. The lock is held until the commit.
CREATE FUNCTION event_add(what text, team bigint, endpoint bigint, person bigint, its_object text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1919115629, 1702259316); -- "rcam", "evnt"
    INSERT INTO events (name, team_id, endpoint_id, person_id, object)
    VALUES (what, team, endpoint, person, its_object) RETURNING id INTO n;
    IF n % 100 = 0 THEN
        DELETE FROM events WHERE id <= n - events_kept();
    END IF;
    PERFORM pg_notify('relaycam_event', '');
END $$;

CREATE FUNCTION event_of_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM event_add(CASE
            WHEN NEW.ended_at IS NULL AND TG_OP = 'INSERT' THEN 'session_started'
            WHEN NEW.ended_at IS NULL THEN 'session_changed'
            WHEN TG_OP = 'INSERT' THEN 'session_ended'
            WHEN OLD.ended_at IS NULL THEN 'session_ended'
            ELSE 'session_changed' END,
        NEW.team_id, NEW.endpoint_id, NEW.person_id, NEW.id::text);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER session_event_new AFTER INSERT ON sessions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION event_of_session();
CREATE CONSTRAINT TRIGGER session_event AFTER UPDATE ON sessions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW)
    EXECUTE FUNCTION event_of_session();

-- Its session's row shows how the recording is, too (T5).
CREATE FUNCTION event_of_segment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    g segments; s sessions;
BEGIN
    g := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    SELECT * INTO s FROM sessions WHERE id = g.session_id;
    IF s.id IS NULL THEN -- removed together
        RETURN NULL;
    END IF;
    PERFORM event_add(CASE WHEN TG_OP = 'DELETE' THEN 'recording_removed'
                      ELSE 'recording_changed' END,
                      s.team_id, s.endpoint_id, s.person_id, g.id::text);
    PERFORM event_add('session_changed', s.team_id, s.endpoint_id, s.person_id, s.id::text);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER segment_event_new AFTER INSERT OR DELETE ON segments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION event_of_segment();
CREATE CONSTRAINT TRIGGER segment_event AFTER UPDATE ON segments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (
        (OLD.status, OLD.progress, OLD.status_detail, OLD.locked, OLD.notes, OLD.ended_at,
         OLD.bytes, OLD.stored_at, OLD.expires_at, OLD.frames, OLD.recovered, OLD.seq)
        IS DISTINCT FROM
        (NEW.status, NEW.progress, NEW.status_detail, NEW.locked, NEW.notes, NEW.ended_at,
         NEW.bytes, NEW.stored_at, NEW.expires_at, NEW.frames, NEW.recovered, NEW.seq))
    EXECUTE FUNCTION event_of_segment();

CREATE FUNCTION event_of_endpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM event_add(CASE WHEN NEW.deleted_at IS NULL THEN 'endpoint_changed'
                      ELSE 'endpoint_removed' END,
                      NEW.team_id, NEW.id, NULL, NEW.id::text);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER endpoint_event_new AFTER INSERT ON endpoints
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION event_of_endpoint();
-- agent_seen_at alone is no news
CREATE CONSTRAINT TRIGGER endpoint_event AFTER UPDATE ON endpoints
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (
        (OLD.name, OLD.title, OLD.kind, OLD.access, OLD.host, OLD.port, OLD.agent_node,
         OLD.agent_version, OLD.agent_host, OLD.agent_displays, OLD.parked_node, OLD.consent,
         OLD.agent_cert_sha256, OLD.reverse_secret_sha256, OLD.reverse_cert_sha256,
         OLD.username, OLD.secret_sealed, OLD.tls_ca_pem, OLD.tls_name, OLD.tls_pin_sha256,
         OLD.allow_clear, OLD.deleted_at)
        IS DISTINCT FROM
        (NEW.name, NEW.title, NEW.kind, NEW.access, NEW.host, NEW.port, NEW.agent_node,
         NEW.agent_version, NEW.agent_host, NEW.agent_displays, NEW.parked_node, NEW.consent,
         NEW.agent_cert_sha256, NEW.reverse_secret_sha256, NEW.reverse_cert_sha256,
         NEW.username, NEW.secret_sealed, NEW.tls_ca_pem, NEW.tls_name, NEW.tls_pin_sha256,
         NEW.allow_clear, NEW.deleted_at))
    EXECUTE FUNCTION event_of_endpoint();

-- Somebody sees more or less than before.
CREATE FUNCTION event_of_access() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    p bigint;
BEGIN
    CASE TG_TABLE_NAME
    WHEN 'access_settings' THEN
        PERFORM event_add('access', NEW.team_id, NULL, NULL, '');
    WHEN 'people' THEN
        PERFORM event_add('access', NEW.team_id, NULL, NEW.id, '');
    ELSE
        p := CASE WHEN TG_OP = 'DELETE' THEN OLD.person_id ELSE NEW.person_id END;
        PERFORM event_add('access', team_id, NULL, id, '') FROM people WHERE id = p;
    END CASE;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER settings_event AFTER UPDATE ON access_settings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.playback_role <> NEW.playback_role) EXECUTE FUNCTION event_of_access();
CREATE CONSTRAINT TRIGGER person_event AFTER UPDATE ON people
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.role, OLD.disabled, OLD.team_id)
        IS DISTINCT FROM (NEW.role, NEW.disabled, NEW.team_id))
    EXECUTE FUNCTION event_of_access();
CREATE CONSTRAINT TRIGGER right_event AFTER INSERT OR UPDATE OR DELETE ON endpoint_rights
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION event_of_access();

-- A login that ends closes its streams; no event is kept for that.
CREATE FUNCTION notify_login_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('relaycam_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER login_ended AFTER DELETE ON logins
    FOR EACH ROW EXECUTE FUNCTION notify_login_end();
CREATE TRIGGER token_ended AFTER DELETE ON api_tokens
    FOR EACH ROW EXECUTE FUNCTION notify_login_end();

-- What those who listen get: the listeners are numbered from 1 by their place in the
-- arrays, which say how each logged in and which event it has had ("after"; NULL: it
-- begins now). A row is an event and the listeners that may see it; and besides
--   closed    whose login is over
--   ready     those that begin; they have had all up to id
--   reset     those for whom events are missing; the same
--   position  the others have had all up to id; object: the newest event there is
-- At most `at_most` events are looked at; position then says how far that was. Of
-- several changes of one object only the last is told. console_enter() and
-- endpoint_rights_of() decide, in the snapshot that the events are read from.
CREATE FUNCTION console_events(hashes bytea[], are_tokens boolean[], after bigint[], at_most integer)
RETURNS TABLE (id bigint, name text, object text, listeners integer[])
LANGUAGE sql STABLE AS $$
    WITH top AS MATERIALIZED (
        SELECT coalesce(max(x.id), 0) AS id FROM events x
    ), l AS MATERIALIZED (
        SELECT x.n::integer AS n, x.after, p.person_id, p.team_id, CASE
            WHEN p.person_id IS NULL THEN 'closed'
            WHEN x.after IS NULL THEN 'ready'
            WHEN x.after NOT BETWEEN top.id - events_kept() AND top.id THEN 'reset'
            ELSE 'position' END AS what
        FROM top, unnest(hashes, are_tokens, after) WITH ORDINALITY x (hash, is_token, after, n)
        LEFT JOIN LATERAL console_enter(x.hash, x.is_token, '', '') p ON true
    ), e AS MATERIALIZED (
        SELECT x.* FROM events x
        WHERE x.id > (SELECT min(l.after) FROM l WHERE l.what = 'position')
        ORDER BY x.id LIMIT at_most
    ), news AS MATERIALIZED (
        SELECT e.*, e.name LIKE '%changed' AND lead(e.id) OVER w IS NOT NULL AS is_superseded
        FROM e WINDOW w AS (PARTITION BY e.name, e.object ORDER BY e.id)
    ), rights AS MATERIALIZED (
        SELECT x.*, r.control, r.playback
        FROM (SELECT DISTINCT l.person_id, news.endpoint_id FROM news
              JOIN l ON l.team_id = news.team_id AND l.what = 'position'
              WHERE NOT news.is_superseded AND news.endpoint_id IS NOT NULL) x
        CROSS JOIN LATERAL endpoint_rights_of(x.person_id, x.endpoint_id) r
    )
    SELECT news.id, news.name, news.object, array_agg(l.n)
    FROM news
    JOIN l ON l.team_id = news.team_id AND l.what = 'position' AND l.after < news.id
    LEFT JOIN rights r ON r.person_id = l.person_id AND r.endpoint_id = news.endpoint_id
    WHERE NOT news.is_superseded AND CASE
        WHEN news.name = 'access' THEN coalesce(news.person_id = l.person_id, true)
        WHEN news.name LIKE 'session%' THEN coalesce(r.control, false)
            OR news.person_id = l.person_id
        WHEN news.name LIKE 'recording%' THEN r.playback
        ELSE r.control END
    GROUP BY news.id, news.name, news.object
    UNION ALL
    SELECT top.id, l.what, '', array_agg(l.n) FROM l, top
    WHERE l.what <> 'position' GROUP BY top.id, l.what
    UNION ALL
    SELECT CASE WHEN (SELECT count(*) FROM e) < at_most THEN top.id
                ELSE (SELECT max(e.id) FROM e) END, 'position', top.id::text, NULL
    FROM top
$$;
