-- One-time logins for session codes at the console. The endpoint of a code is
-- made when the code is used first, at whichever door that is.

-- A code is used by one team.
CREATE UNIQUE INDEX endpoints_attended ON endpoints (name)
    WHERE kind = 'attended' AND deleted_at IS NULL;

-- Makes the endpoint of a session code, for the team of person p. NULL: there
-- is no such code, its time is over, or it was used before.
CREATE FUNCTION attended_endpoint_new(p bigint, wanted text) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO endpoints (team_id, name, title, access, kind, agent_version,
        agent_host, agent_node, agent_seen_at, secret_sealed, allow_clear)
    SELECT pe.team_id, c.code, c.host, 'attended', 'attended', c.version, c.host,
           c.node_id, now(), c.secret_sealed, true
    FROM people pe, attended_codes c
    WHERE pe.id = p AND c.code = wanted AND c.expires_at > now()
    ON CONFLICT DO NOTHING RETURNING id
$$;

-- Has the person to wait before the next session code is tried? After a wrong
-- one as long as after a wrong password (common/login/login_delay.h), one try at
-- a time. Failures at relays do not count: anybody can make those in that name.
CREATE FUNCTION code_try_waits(who text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('codes tried by ' || who, 0));
    RETURN EXISTS (
        SELECT FROM login_failures
        WHERE client_addr = 'codes tried at consoles by ' || who AND failed > 0
          AND last_at > now() - interval '15 minutes'
          AND clock_timestamp() < last_at + least(0.25 * 2 ^ least(failed, 10), 16)
                                            * interval '1 second');
END $$;

-- Counts for relays, too.
CREATE FUNCTION code_try_wrong(who text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO login_failures AS l (client_addr, failed)
    VALUES ('codes tried at consoles by ' || who, 1), ('codes tried by ' || who, 1)
    ON CONFLICT (client_addr) DO UPDATE SET last_at = now(), failed = CASE
        WHEN l.last_at < now() - interval '15 minutes' THEN 1 ELSE l.failed + 1 END
$$;

CREATE OR REPLACE FUNCTION console_ticket_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; refusal text; wanted text := body->>'endpoint';
    is_code boolean := wanted ~ '^[0-9]{9}$';
    seconds integer := coalesce((body->>'seconds')::integer, 60);
    rest text := coalesce('/' || (body->>'display'), '') ||
                 coalesce('+' || (body->>'monitor'), '');
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF is_code AND code_try_waits(me.name) THEN
        RETURN ('busy', NULL, 'A wrong session code was given; wait a moment.',
                NULL)::console_result;
    END IF;
    IF is_code THEN
        PERFORM attended_endpoint_new(me.id, wanted);
    END IF;
    SELECT * INTO e FROM endpoints
    WHERE team_id = me.team_id AND name = wanted AND deleted_at IS NULL;
    IF e.id IS NULL AND is_code THEN
        PERFORM code_try_wrong(me.name);
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (me.team_id, me.name, 'refused', wanted,
                origin || '{"request": "make a one-time ticket", "why": "no such session code"}');
        RETURN ('invalid', '/endpoint', 'There is no such session code. A code is valid '
                'until the program that shows it is closed.', NULL)::console_result;
    END IF;
    IF e.id IS NULL THEN
        RETURN ('invalid', '/endpoint', 'There is no endpoint of that name.',
                NULL)::console_result;
    END IF;
    refusal := ticket_new(me.id, e.id, rest, seconds, decode(body->>'hash', 'hex'));
    IF refusal IS NOT NULL THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (me.team_id, me.name, 'refused', e.name,
                origin || '{"request": "make a one-time ticket"}');
        RETURN ('forbidden', NULL, 'You may not connect to that endpoint.',
                NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'ticket', e.name,
            origin || jsonb_build_object('user', me.name, 'kind', 'ticket',
                                         'target', rest, 'port', 0, 'seconds', seconds));
    RETURN (NULL, NULL, NULL, jsonb_build_object('kind', 'ticket', 'user',
        me.name || '@' || e.name || rest, 'endpoint', e.name, 'expires_at',
        utc_text(now() + seconds * interval '1 second')))::console_result;
END $$;
