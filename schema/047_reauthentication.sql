-- Who changes credentials confirms a login that is not new: a cookie alone, which may
-- be stolen, makes no passkey, code, token or person (X7).
ALTER TABLE logins ADD confirmed_at timestamptz NOT NULL DEFAULT now();
UPDATE logins SET confirmed_at = created_at;
-- It proved a password alone: a second factor that is set up later ends it.
ALTER TABLE logins ADD is_one_factor boolean NOT NULL DEFAULT true;

-- Setting up a second factor completes the login that it was done in, and ends all
-- others that had one factor: they may be of somebody who knows the password alone.
-- The setting relaycam.login has the hash of that login, in hex.
CREATE OR REPLACE FUNCTION logins_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE logins SET is_limited = false, is_one_factor = false
    WHERE person_id = NEW.person_id
      AND hash = decode(nullif(current_setting('relaycam.login', true), ''), 'hex');
    DELETE FROM logins WHERE person_id = NEW.person_id AND (is_limited OR is_one_factor);
    RETURN NULL;
END $$;

-- The same as before, for the secret that the code is of: another tab may have made
-- a new one meanwhile. body: sealed (hex) besides.
CREATE OR REPLACE FUNCTION console_totp_confirm(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    UPDATE totp SET confirmed_at = now(), last_step = (body->>'step')::bigint
    WHERE person_id = who AND confirmed_at IS NULL
      AND secret_sealed = decode(body->>'sealed', 'hex');
    IF NOT FOUND THEN
        RETURN ('not-done', NULL, 'There is nothing to confirm, or another secret by now; '
                'begin anew.', NULL)::console_result;
    END IF;
    PERFORM recovery_codes_set(who, body->'hashes');
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'totp_on', me.name, origin);
    RETURN (NULL, NULL, NULL, console_totp(who))::console_result;
END $$;

-- The ways in which a person can confirm a login.
CREATE FUNCTION console_reauthentication(p bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('password', q.password_hash IS NOT NULL,
        'code', EXISTS (SELECT FROM totp t WHERE t.person_id = p AND t.confirmed_at IS NOT NULL),
        'passkey', EXISTS (SELECT FROM passkeys k WHERE k.person_id = p),
        'single_sign_on', EXISTS (
            SELECT FROM single_sign_on s JOIN identities i
                ON i.team_id = s.team_id AND i.issuer = s.issuer AND i.person_id = p
            WHERE s.team_id = q.team_id AND s.enabled))
    FROM people q WHERE q.id = p
$$;

-- Why `me` may not take the credentials of p away; problem NULL: they may.
CREATE FUNCTION console_user_end_problem(me people, p people, origin jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
BEGIN
    IF p.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF p.role = 'owner' AND me.role <> 'owner' THEN
        RETURN console_owner_refusal(me, origin, p.name);
    END IF;
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- All bearer tokens of a person. body: id.
CREATE FUNCTION console_user_tokens_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; p people; problem console_result; n bigint;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO p FROM people WHERE id = (body->>'id')::bigint AND team_id = me.team_id;
    problem := console_user_end_problem(me, p, origin);
    IF problem.problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    DELETE FROM api_tokens WHERE person_id = p.id;
    GET DIAGNOSTICS n = ROW_COUNT;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'tokens_deleted', p.name,
            origin || jsonb_build_object('tokens', n));
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- All logins of a person in browsers. body: id.
CREATE FUNCTION console_user_logins_end(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; p people; problem console_result; n bigint;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO p FROM people WHERE id = (body->>'id')::bigint AND team_id = me.team_id;
    problem := console_user_end_problem(me, p, origin);
    IF problem.problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    DELETE FROM logins WHERE person_id = p.id;
    GET DIAGNOSTICS n = ROW_COUNT;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'logins_ended', p.name,
            origin || jsonb_build_object('logins', n));
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- The same as before, but that a login says in place of a scope for how many seconds it
-- has been confirmed.
CREATE OR REPLACE FUNCTION console_enter(h bytea, is_token boolean, kind text, object text)
RETURNS TABLE (person_id bigint, person text, role text, team_id bigint, team text,
               time_zone text, scopes text[], is_found boolean, is_visible boolean,
               control boolean, record boolean, manage boolean, playback boolean)
LANGUAGE sql STABLE AS $$
    WITH c AS (
        SELECT l.person_id, array_remove(ARRAY[
                   CASE WHEN l.is_limited THEN 'second-factor-missing' END,
                   'confirmed:' || greatest(0, extract(epoch FROM now() - l.confirmed_at)::bigint)
               ], NULL) AS scopes FROM logins l
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
