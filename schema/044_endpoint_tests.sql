-- Tests of endpoints (T1): somebody asks at the console, a relay connects, logs in
-- and says what came of it. One row per endpoint, the last test.
CREATE TABLE endpoint_tests (
    endpoint_id bigint PRIMARY KEY REFERENCES endpoints ON DELETE CASCADE,
    id          uuid NOT NULL DEFAULT gen_random_uuid(),
    asked_by    text NOT NULL, -- login name
    asked_at    timestamptz NOT NULL DEFAULT now(),
    node_id     uuid,          -- the relay that does it
    ended_at    timestamptz,
    ok          boolean,
    detail      text NOT NULL DEFAULT '',
    CHECK ((ended_at IS NULL) = (ok IS NULL))
);
CREATE INDEX endpoint_tests_by ON endpoint_tests (asked_by, asked_at);

-- A relay that has not answered by then does not any more.
CREATE FUNCTION endpoint_test_limit() RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT interval '60 s'
$$;

CREATE FUNCTION notify_endpoint_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('relaycam_test', '');
    RETURN NULL;
END $$;
CREATE TRIGGER endpoint_test_asked AFTER INSERT OR UPDATE OF asked_at ON endpoint_tests
    FOR EACH ROW WHEN (NEW.ended_at IS NULL) EXECUTE FUNCTION notify_endpoint_test();

-- The endpoint's row shows its last test.
CREATE FUNCTION event_of_endpoint_test() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM event_add('endpoint_changed', e.team_id, e.id, NULL, e.id::text)
    FROM endpoints e WHERE e.id = NEW.endpoint_id AND e.deleted_at IS NULL;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER endpoint_test_event AFTER INSERT OR UPDATE ON endpoint_tests
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION event_of_endpoint_test();

-- The last test of an endpoint as the API shows it; NULL: there was none.
CREATE FUNCTION console_endpoint_test_of(its_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('asked_by', t.asked_by, 'asked_at', utc_text(t.asked_at),
        'ended_at', utc_text(t.ended_at),
        'ok', CASE WHEN t.ended_at IS NULL AND t.asked_at < now() - endpoint_test_limit()
              THEN false ELSE t.ok END,
        'detail', CASE WHEN t.ended_at IS NULL AND t.asked_at < now() - endpoint_test_limit()
                  THEN 'No relay has answered; is one running?' ELSE t.detail END)
    FROM endpoint_tests t WHERE t.endpoint_id = its_id
$$;

-- As before; and its last test.
CREATE OR REPLACE FUNCTION console_endpoint(e endpoints) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', e.id::text, 'name', e.name, 'title', e.title,
        'kind', e.kind, 'access', e.access, 'host', e.host, 'port', e.port,
        'state', CASE
            WHEN e.kind = 'direct' THEN NULL
            WHEN e.kind = 'reverse' THEN
                CASE WHEN node_is_alive(e.parked_node) THEN 'parked' ELSE 'away' END
            WHEN node_is_alive(e.agent_node) THEN 'connected'
            WHEN e.kind = 'agent' AND e.agent_cert_sha256 IS NULL THEN 'not_enrolled'
            ELSE 'away' END,
        'agent_version', e.agent_version, 'agent_host', e.agent_host,
        'agent_displays', e.agent_displays,
        'agent_seen_at', utc_text(e.agent_seen_at),
        'parked_at', CASE WHEN e.parked_node IS NOT NULL THEN utc_text(e.parked_at) END,
        'has_id', e.reverse_secret_sha256 IS NOT NULL,
        'client_cert_sha256', encode(e.reverse_cert_sha256, 'hex'),
        'consent', coalesce(e.consent, 'team'), 'username', e.username,
        'has_password', e.secret_sealed IS NOT NULL,
        'has_ca', e.tls_ca_pem IS NOT NULL, 'tls_name', e.tls_name,
        'pin_sha256', encode(e.tls_pin_sha256, 'hex'), 'allow_clear', e.allow_clear,
        'last_session_at', (SELECT utc_text(max(s.started_at)) FROM sessions s
                            WHERE s.endpoint_id = e.id),
        'created_at', utc_text(e.created_at),
        'last_test', console_endpoint_test_of(e.id))
$$;

-- What is said of an endpoint without a connection to it: of a server that dials in,
-- whose connection would be used up, and of an agent that would ask for consent.
-- NULL: a relay connects.
CREATE FUNCTION endpoint_test_by_state(e endpoints, OUT ok boolean, OUT detail text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    state text := console_endpoint(e)->>'state';
BEGIN
    IF e.kind = 'reverse' THEN
        ok := state = 'parked';
        detail := CASE WHEN ok THEN 'A connection of its VNC server waits at a relay.'
                  ELSE 'No connection of its VNC server waits at a relay: is it running, '
                       'with its stunnel, and trying again by itself?' END;
    ELSIF e.kind = 'agent' AND coalesce(e.consent, (SELECT a.consent FROM access_settings a
            WHERE a.team_id = e.team_id AND a.access = e.access)) = 'ask' THEN
        ok := state = 'connected';
        detail := CASE state
            WHEN 'connected' THEN 'Its agent is connected. The VNC server behind it was not '
                'tried: that would ask the person there for consent.'
            WHEN 'not_enrolled' THEN 'Its agent was never enrolled: make an enrolment token.'
            ELSE 'Its agent is not connected: is the computer on, and relaycam-agent '
                'running?' END;
    END IF;
END $$;

-- An endpoint is tested once in 10 s and not while a test runs, so that its VNC server
-- shuts no relay out over a wrong password; a person starts 10 tests a minute.
CREATE FUNCTION console_endpoint_test(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; said record;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO e FROM endpoints x
    WHERE x.id = (body->>'id')::bigint AND x.team_id = me.team_id AND x.deleted_at IS NULL;
    IF e.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF e.kind = 'attended' THEN
        RETURN ('not-done', NULL, 'It is there while its session code is valid.',
                NULL)::console_result;
    ELSIF (SELECT count(*) FROM endpoint_tests t WHERE t.asked_by = me.name
             AND t.asked_at > now() - interval '1 minute') >= 10 THEN
        RETURN ('busy', NULL, 'At most 10 tests a minute are started by one person.',
                NULL)::console_result;
    END IF;
    SELECT * INTO said FROM endpoint_test_by_state(e);
    INSERT INTO endpoint_tests AS t (endpoint_id, asked_by, ended_at, ok, detail)
    VALUES (e.id, me.name, CASE WHEN said.ok IS NOT NULL THEN now() END, said.ok,
            coalesce(said.detail, ''))
    ON CONFLICT (endpoint_id) DO UPDATE
    SET id = excluded.id, asked_by = excluded.asked_by, asked_at = excluded.asked_at,
        node_id = NULL, ended_at = excluded.ended_at, ok = excluded.ok,
        detail = excluded.detail
    WHERE t.asked_at < now() - CASE WHEN t.ended_at IS NULL THEN endpoint_test_limit()
                                    ELSE interval '10 s' END;
    IF NOT FOUND THEN
        RETURN ('busy', NULL, 'A test of it runs, or ran less than 10 s ago.',
                NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_test', e.name, origin);
    RETURN (NULL, NULL, NULL, console_endpoint(e))::console_result;
END $$;
