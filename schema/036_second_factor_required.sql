-- Teams may require a second factor of passwords. Who has none yet gets a
-- login that is good for setting one up, and for nothing else.
ALTER TABLE teams ADD second_factor text NOT NULL DEFAULT 'optional'
    CHECK (second_factor IN ('optional', 'required'));
ALTER TABLE logins ADD is_limited boolean NOT NULL DEFAULT false;

CREATE FUNCTION second_factor_is_missing(p bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT t.second_factor = 'required'
       AND NOT EXISTS (SELECT FROM totp o WHERE o.person_id = p AND o.confirmed_at IS NOT NULL)
       AND NOT EXISTS (SELECT FROM passkeys k WHERE k.person_id = p)
    FROM people q JOIN teams t ON t.id = q.team_id WHERE q.id = p
$$;

-- With a second factor a login is as good as any.
CREATE FUNCTION logins_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE logins SET is_limited = false WHERE person_id = NEW.person_id AND is_limited;
    RETURN NULL;
END $$;
CREATE TRIGGER totp_logins_complete AFTER UPDATE OF confirmed_at ON totp
    FOR EACH ROW WHEN (NEW.confirmed_at IS NOT NULL) EXECUTE FUNCTION logins_complete();
CREATE TRIGGER passkey_logins_complete AFTER INSERT ON passkeys
    FOR EACH ROW EXECUTE FUNCTION logins_complete();

CREATE FUNCTION console_login_settings(team bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('second_factor', t.second_factor) FROM teams t WHERE t.id = team
$$;

-- body: second_factor. Logins that are open stay as they are.
CREATE FUNCTION console_login_settings_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; team teams;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO team FROM teams WHERE id = me.team_id FOR UPDATE;
    IF body->>'second_factor' <> team.second_factor THEN
        UPDATE teams SET second_factor = body->>'second_factor' WHERE id = team.id;
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (team.id, me.name, 'settings_set', 'logins.second_factor',
                origin || jsonb_build_object('before', team.second_factor,
                                             'after', body->>'second_factor'));
    END IF;
    RETURN (NULL, NULL, NULL, console_login_settings(team.id))::console_result;
END $$;

-- The same as before, but that a limited login says so in place of a scope.
CREATE OR REPLACE FUNCTION console_enter(h bytea, is_token boolean, kind text, object text)
RETURNS TABLE (person_id bigint, person text, role text, team_id bigint, team text,
               time_zone text, scopes text[], is_found boolean, is_visible boolean,
               control boolean, record boolean, manage boolean, playback boolean)
LANGUAGE sql STABLE AS $$
    WITH c AS (
        SELECT l.person_id, CASE WHEN l.is_limited THEN '{second-factor-missing}'
                                 ELSE '{}' END::text[] AS scopes FROM logins l
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
