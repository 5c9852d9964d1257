-- Endpoints, rights on them and enrolment tokens at the console. As in "relaycam
-- endpoint" and "relaycam user grant": the same checks, the same audit entries.

-- The same as before, but that kind is the argument everywhere: endpoints have
-- a column of that name, so that no endpoint was ever found.
CREATE OR REPLACE FUNCTION console_enter(h bytea, is_token boolean, kind text, object text)
RETURNS TABLE (person_id bigint, person text, role text, team_id bigint, team text,
               time_zone text, scopes text[], is_found boolean, is_visible boolean,
               control boolean, record boolean, manage boolean, playback boolean)
LANGUAGE sql STABLE AS $$
    WITH c AS (
        SELECT l.person_id, '{}'::text[] AS scopes FROM logins l
        WHERE NOT is_token AND l.hash = h AND l.expires_at > now()
        UNION ALL
        SELECT t.person_id, t.scopes FROM api_tokens t
        WHERE is_token AND t.hash = h AND t.expires_at > now()
    ), o AS (
        SELECT s.team_id, s.endpoint_id, s.person_id FROM sessions s
        WHERE s.id = (CASE console_enter.kind WHEN 'session' THEN object END)::uuid
        UNION ALL
        SELECT s.team_id, s.endpoint_id, NULL FROM segments g
        JOIN sessions s ON s.id = g.session_id
        WHERE g.id = (CASE console_enter.kind WHEN 'recording' THEN object END)::uuid
        UNION ALL
        SELECT e.team_id, e.id, NULL FROM endpoints e
        WHERE e.deleted_at IS NULL
          AND e.id = (CASE console_enter.kind WHEN 'endpoint' THEN object END)::bigint
    )
    SELECT p.id, p.name, p.role, p.team_id, t.name, t.time_zone, c.scopes,
           o.endpoint_id IS NOT NULL,
           coalesce(r.control, false) OR coalesce(o.person_id = p.id, false),
           coalesce(r.control, false), coalesce(r.record, false),
           coalesce(r.manage, false), coalesce(r.playback, false)
    FROM c JOIN people p ON p.id = c.person_id AND NOT p.disabled
    JOIN teams t ON t.id = p.team_id
    LEFT JOIN o ON o.team_id = p.team_id
    LEFT JOIN LATERAL endpoint_rights_of(p.id, o.endpoint_id) r ON true
$$;

ALTER TABLE enrol_tokens ADD id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;

CREATE INDEX endpoints_page ON endpoints (team_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL;

-- Does a program run that was heard of lately?
CREATE FUNCTION node_is_alive(node uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM nodes n WHERE n.id = node AND n.stopped_at IS NULL
                   AND n.heartbeat_at > now() - interval '5 minutes')
$$;

-- An endpoint as the API shows it: no secret, and none's hash.
CREATE FUNCTION console_endpoint(e endpoints) RETURNS jsonb LANGUAGE sql STABLE AS $$
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
        'created_at', utc_text(e.created_at))
$$;

-- Why an endpoint cannot be as e is after a change with body; NULL: it can.
CREATE FUNCTION console_endpoint_refusal(e endpoints, body jsonb) RETURNS console_result
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN e.kind = 'direct' AND e.host IS NULL
            THEN ('invalid', '/host', 'Say where it is: an endpoint of kind direct '
                  'has a host.', NULL)::console_result
        WHEN e.kind <> 'direct' AND body ?| '{host,port}'
            THEN ('invalid', CASE WHEN body ? 'host' THEN '/host' ELSE '/port' END,
                  format('An endpoint of kind %s dials in and has no host and port.',
                         e.kind), NULL)::console_result
        WHEN e.kind <> 'reverse' AND body ? 'client_cert_sha256'
            THEN ('invalid', '/client_cert_sha256', 'It goes with kind reverse.',
                  NULL)::console_result
        WHEN e.allow_clear AND num_nonnulls(e.tls_ca_pem, e.tls_pin_sha256) > 0
            THEN ('invalid', '/allow_clear', 'Without TLS no certificate is checked: '
                  'leave allow_clear out, or the CA and the pin.', NULL)::console_result
        WHEN e.tls_ca_pem IS NOT NULL
             AND num_nonnulls(e.host, e.tls_name, e.tls_pin_sha256) = 0
            THEN ('invalid', '/tls_name', format('An endpoint of kind %s has no host '
                  'that its certificate could be checked against, and the CA alone '
                  'vouches for others too: give tls_name or pin_sha256.', e.kind),
                  NULL)::console_result
        END
$$;

-- What a change says about an endpoint, for the audit log.
CREATE FUNCTION console_endpoint_detail(body jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('kind', body->>'kind', 'host', body->>'host',
        'port', body->>'port', 'password', body->>'sealed' IS NOT NULL,
        'ca', body->>'ca_pem' IS NOT NULL, 'tls_name', body->>'tls_name',
        'pin', body->>'pin_sha256' IS NOT NULL,
        'client_cert', body ? 'client_cert_sha256')
$$;

-- e with the values of body; another kind takes away how it got in until now.
CREATE FUNCTION console_endpoint_with(e endpoints, body jsonb) RETURNS endpoints
LANGUAGE plpgsql AS $$
BEGIN
    IF body->>'kind' <> e.kind THEN
        e.kind := body->>'kind';
        e.host := NULL;
        e.port := NULL;
        e.agent_cert_sha256 := NULL;
        e.agent_version := NULL;
        e.agent_host := NULL;
        e.agent_displays := NULL;
        e.agent_node := NULL;
        e.agent_channel := NULL;
        e.agent_seen_at := NULL;
        e.reverse_secret_sha256 := NULL;
        e.reverse_cert_sha256 := NULL;
        e.parked_node := NULL;
        e.parked_at := NULL;
    END IF;
    IF e.kind = 'direct' THEN
        e.host := coalesce(body->>'host', e.host);
        e.port := coalesce((body->>'port')::integer, e.port, 5900);
    END IF;
    e.title := coalesce(body->>'title', e.title);
    e.access := coalesce(body->>'access', e.access);
    e.allow_clear := coalesce((body->>'allow_clear')::boolean, e.allow_clear);
    IF body ? 'consent' THEN
        e.consent := nullif(body->>'consent', 'team');
    END IF;
    -- null takes these away
    IF body ? 'username' THEN
        e.username := body->>'username';
    END IF;
    IF body ? 'sealed' THEN
        e.secret_sealed := decode(body->>'sealed', 'hex');
    END IF;
    IF body ? 'ca_pem' THEN
        e.tls_ca_pem := body->>'ca_pem';
    END IF;
    IF body ? 'tls_name' THEN
        e.tls_name := body->>'tls_name';
    END IF;
    IF body ? 'pin_sha256' THEN
        e.tls_pin_sha256 := decode(body->>'pin_sha256', 'hex');
    END IF;
    IF e.kind = 'reverse' AND body ? 'client_cert_sha256' THEN
        e.reverse_cert_sha256 := decode(body->>'client_cert_sha256', 'hex');
        e.reverse_secret_sha256 := NULL;
    END IF;
    RETURN e;
END $$;

CREATE FUNCTION console_endpoint_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; r console_result; broken text;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF body->>'name' ~ '^[0-9]{9}$' THEN
        RETURN ('invalid', '/name', 'Nine digits would be taken for a session code.',
                NULL)::console_result;
    END IF;
    e.kind := coalesce(body->>'kind', 'direct');
    e.title := '';
    e.access := 'unattended';
    e.allow_clear := false;
    e := console_endpoint_with(e, body);
    r := console_endpoint_refusal(e, body);
    IF r.problem IS NOT NULL THEN
        RETURN r;
    END IF;
    INSERT INTO endpoints (team_id, name, title, access, kind, host, port, username,
                           secret_sealed, tls_ca_pem, tls_pin_sha256, allow_clear,
                           consent, tls_name, reverse_cert_sha256)
    VALUES (me.team_id, body->>'name', e.title, e.access, e.kind, e.host, e.port,
            e.username, e.secret_sealed, e.tls_ca_pem, e.tls_pin_sha256, e.allow_clear,
            e.consent, e.tls_name, e.reverse_cert_sha256)
    RETURNING * INTO e;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_add', e.name,
            origin || console_endpoint_detail(body || jsonb_build_object('kind', e.kind)));
    RETURN (NULL, NULL, NULL, console_endpoint(e))::console_result;
EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
    RETURN ('exists', NULL, CASE broken
        WHEN 'endpoints_reverse_cert' THEN
            'Another endpoint has this client certificate; each needs its own.'
        ELSE 'There is an endpoint of that name.' END, NULL)::console_result;
END $$;

-- The person's team's endpoint of that number, locked; all NULL: there is none.
CREATE FUNCTION console_endpoint_lock(team bigint, wanted text) RETURNS endpoints
LANGUAGE sql AS $$
    SELECT * FROM endpoints
    WHERE team_id = team AND id = wanted::bigint AND deleted_at IS NULL FOR UPDATE
$$;

CREATE FUNCTION console_endpoint_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; was endpoints; e endpoints; r console_result;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    was := console_endpoint_lock(me.team_id, body->>'id');
    IF was.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF was.kind = 'attended' THEN
        RETURN ('not-done', NULL, 'This endpoint belongs to a session code: it cannot '
                'be changed, only removed.', NULL)::console_result;
    END IF;
    e := console_endpoint_with(was, body);
    r := console_endpoint_refusal(e, body);
    IF r.problem IS NOT NULL THEN
        RETURN r;
    END IF;
    IF e.kind <> was.kind THEN
        DELETE FROM enrol_tokens WHERE endpoint_id = e.id;
    END IF;
    UPDATE endpoints SET title = e.title, access = e.access, kind = e.kind,
        host = e.host, port = e.port, username = e.username,
        secret_sealed = e.secret_sealed, tls_ca_pem = e.tls_ca_pem,
        tls_pin_sha256 = e.tls_pin_sha256, allow_clear = e.allow_clear,
        consent = e.consent, tls_name = e.tls_name,
        agent_cert_sha256 = e.agent_cert_sha256, agent_version = e.agent_version,
        agent_host = e.agent_host, agent_displays = e.agent_displays,
        agent_node = e.agent_node, agent_channel = e.agent_channel,
        agent_seen_at = e.agent_seen_at,
        reverse_secret_sha256 = e.reverse_secret_sha256,
        reverse_cert_sha256 = e.reverse_cert_sha256,
        parked_node = e.parked_node, parked_at = e.parked_at
    WHERE id = e.id RETURNING * INTO e;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_set', e.name,
            origin || console_endpoint_detail(body));
    RETURN (NULL, NULL, NULL, console_endpoint(e))::console_result;
EXCEPTION WHEN unique_violation THEN
    RETURN ('exists', NULL, 'Another endpoint has this client certificate; each needs '
            'its own.', NULL)::console_result;
END $$;

-- Sessions and recordings keep pointing at it; endpoint_removed() takes its
-- secrets, rights and tokens.
CREATE FUNCTION console_endpoint_delete(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    e := console_endpoint_lock(me.team_id, body->>'id');
    IF e.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    UPDATE endpoints SET deleted_at = now() WHERE id = e.id;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_remove', e.name, origin);
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- Shuts an agent or a server that dials in out.
CREATE FUNCTION console_endpoint_revoke(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    e := console_endpoint_lock(me.team_id, body->>'id');
    IF e.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF e.kind NOT IN ('agent', 'reverse') THEN
        RETURN ('not-done', NULL, 'Only endpoints of kind agent or reverse dial in.',
                NULL)::console_result;
    END IF;
    DELETE FROM enrol_tokens WHERE endpoint_id = e.id AND used_at IS NULL;
    UPDATE endpoints SET agent_cert_sha256 = NULL, agent_node = NULL,
        agent_channel = NULL, reverse_secret_sha256 = NULL, reverse_cert_sha256 = NULL,
        parked_node = NULL
    WHERE id = e.id RETURNING * INTO e;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_revoke', e.name, origin);
    RETURN (NULL, NULL, NULL, console_endpoint(e))::console_result;
END $$;

-- Rights of one person on one endpoint: exactly those of body (control, record,
-- manage) from now on; none is as no grant at all.
CREATE FUNCTION console_right_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; p people; was endpoint_rights; n endpoint_rights;
    given text[]; taken text[];
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    e := console_endpoint_lock(me.team_id, body->>'id');
    SELECT * INTO p FROM people WHERE name = body->>'user' AND team_id = me.team_id;
    IF e.id IS NULL OR p.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    SELECT * INTO was FROM endpoint_rights
    WHERE person_id = p.id AND endpoint_id = e.id FOR UPDATE;
    n := (p.id, e.id, coalesce((body->>'control')::boolean, false),
          coalesce((body->>'record')::boolean, false),
          coalesce((body->>'manage')::boolean, false));
    IF n.control OR n.record OR n.manage THEN
        INSERT INTO endpoint_rights (person_id, endpoint_id, control, record, manage)
        VALUES (p.id, e.id, n.control, n.record, n.manage)
        ON CONFLICT (person_id, endpoint_id) DO UPDATE SET control = excluded.control,
            record = excluded.record, manage = excluded.manage;
    ELSE
        DELETE FROM endpoint_rights WHERE person_id = p.id AND endpoint_id = e.id;
    END IF;
    SELECT array_agg(r.name) FILTER (WHERE r.now_is AND NOT r.was),
           array_agg(r.name) FILTER (WHERE r.was AND NOT r.now_is) INTO given, taken
    FROM (VALUES ('control', coalesce(was.control, false), n.control),
                 ('record', coalesce(was.record, false), n.record),
                 ('manage', coalesce(was.manage, false), n.manage)) r (name, was, now_is);
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT me.team_id, me.name, c.action, p.name,
           origin || jsonb_build_object('endpoint', e.name, 'rights', c.rights)
    FROM (VALUES ('right_grant', given), ('right_revoke', taken)) c (action, rights)
    WHERE c.rights IS NOT NULL;
    RETURN (NULL, NULL, NULL, jsonb_build_object('user', p.name, 'role', p.role,
        'control', n.control, 'record', n.record, 'manage', n.manage))::console_result;
END $$;

-- A new way in for an endpoint that dials in: an agent's token (token_hash), or
-- the secret in the ID of kind reverse (secret_hash). What was made before and
-- not used is worth nothing then.
CREATE FUNCTION console_enrol_token_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; k enrol_tokens;
    seconds integer := coalesce((body->>'seconds')::integer, 86400);
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO e FROM endpoints
    WHERE team_id = me.team_id AND name = body->>'endpoint' AND deleted_at IS NULL
    FOR UPDATE;
    IF e.id IS NULL THEN
        RETURN ('invalid', '/endpoint', 'There is no endpoint of that name.',
                NULL)::console_result;
    ELSIF e.kind NOT IN ('agent', 'reverse') THEN
        RETURN ('not-done', NULL, 'Only endpoints of kind agent or reverse dial in.',
                NULL)::console_result;
    ELSIF e.kind = 'reverse' AND body ? 'seconds' THEN
        RETURN ('invalid', '/seconds', 'It goes with kind agent: the ID of kind '
                'reverse does not expire.', NULL)::console_result;
    END IF;
    DELETE FROM enrol_tokens WHERE endpoint_id = e.id AND used_at IS NULL;
    IF e.kind = 'agent' THEN
        INSERT INTO enrol_tokens (hash, endpoint_id, created_by, expires_at)
        VALUES (decode(body->>'token_hash', 'hex'), e.id, me.name,
                now() + seconds * interval '1 second')
        RETURNING * INTO k;
    ELSE
        UPDATE endpoints SET reverse_cert_sha256 = NULL,
            reverse_secret_sha256 = decode(body->>'secret_hash', 'hex')
        WHERE id = e.id;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_token', e.name,
            origin || jsonb_build_object('kind', e.kind, 'seconds', seconds));
    RETURN (NULL, NULL, NULL, jsonb_build_object('id', k.id::text, 'endpoint', e.name,
        'kind', e.kind, 'expires_at', utc_text(k.expires_at)))::console_result;
END $$;

-- Takes a token back that was not used.
CREATE FUNCTION console_enrol_token_delete(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; k enrol_tokens;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO k FROM enrol_tokens WHERE id = (body->>'id')::bigint;
    SELECT * INTO e FROM endpoints WHERE id = k.endpoint_id AND team_id = me.team_id;
    IF e.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    DELETE FROM enrol_tokens WHERE id = k.id AND used_at IS NULL;
    IF NOT FOUND THEN
        RETURN ('not-done', NULL, 'It was used: "revoke" of its endpoint shuts the '
                'agent out.', NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'endpoint_token_deleted', e.name, origin);
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;
