-- The second factor of logins at the console: one-time passwords of an
-- authenticator, whose secret is sealed with the installation's key, and
-- recovery codes, of which the SHA-256 is kept.
CREATE TABLE totp (
    person_id     bigint PRIMARY KEY REFERENCES people ON DELETE CASCADE,
    secret_sealed bytea NOT NULL,
    confirmed_at  timestamptz,              -- NULL: it is being set up, and not asked for
    last_step     bigint NOT NULL DEFAULT 0, -- of the last code used; none is used twice
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE recovery_codes (
    person_id bigint NOT NULL REFERENCES totp ON DELETE CASCADE,
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    used_at   timestamptz,
    PRIMARY KEY (person_id, hash)
);

-- Uses a code of person p up: a one-time password by its step, or a recovery
-- code by its hash. False: it is not one, or was used.
CREATE FUNCTION second_factor_use(p bigint, step bigint, h bytea) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF h IS NULL THEN
        UPDATE totp SET last_step = step
        WHERE person_id = p AND confirmed_at IS NOT NULL AND last_step < step;
    ELSE
        UPDATE recovery_codes SET used_at = now()
        WHERE person_id = p AND hash = h AND used_at IS NULL;
    END IF;
    RETURN FOUND;
END $$;

-- What a person is told of their own.
CREATE FUNCTION console_totp(p bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('is_on', count(t.confirmed_at) > 0,
        'confirmed_at', utc_text(max(t.confirmed_at)), 'recovery_codes_left',
        (SELECT count(*) FROM recovery_codes r WHERE r.person_id = p AND r.used_at IS NULL))
    FROM totp t WHERE t.person_id = p
$$;

-- body: sealed (hex).
CREATE FUNCTION console_totp_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO totp (person_id, secret_sealed)
    VALUES (who, decode(body->>'sealed', 'hex'))
    ON CONFLICT (person_id) DO UPDATE SET secret_sealed = excluded.secret_sealed,
        created_at = now(), last_step = 0
    WHERE totp.confirmed_at IS NULL;
    IF NOT FOUND THEN
        RETURN ('exists', NULL, 'Codes of an authenticator are asked for already; take '
                'that away first.', NULL)::console_result;
    END IF;
    RETURN (NULL, NULL, NULL, '{}')::console_result;
END $$;

-- New recovery codes for p, in place of the ones before.
CREATE FUNCTION recovery_codes_set(p bigint, hashes jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM recovery_codes WHERE person_id = p;
    INSERT INTO recovery_codes (person_id, hash)
    SELECT p, decode(h, 'hex') FROM jsonb_array_elements_text(hashes) h;
END $$;

-- The first code was right: from now on codes are asked for. body: step of
-- that code, hashes of the recovery codes.
CREATE FUNCTION console_totp_confirm(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    UPDATE totp SET confirmed_at = now(), last_step = (body->>'step')::bigint
    WHERE person_id = who AND confirmed_at IS NULL;
    IF NOT FOUND THEN
        RETURN ('not-done', NULL, 'There is nothing to confirm; begin anew.',
                NULL)::console_result;
    END IF;
    PERFORM recovery_codes_set(who, body->'hashes');
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'totp_on', me.name, origin);
    RETURN (NULL, NULL, NULL, console_totp(who))::console_result;
END $$;

-- A code was right. body: hashes.
CREATE FUNCTION console_recovery_codes_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    PERFORM recovery_codes_set(who, body->'hashes');
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'recovery_codes_new', me.name, origin);
    RETURN (NULL, NULL, NULL, console_totp(who))::console_result;
END $$;

-- A code was right: one's own.
CREATE FUNCTION console_totp_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    DELETE FROM totp WHERE person_id = who;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'totp_off', me.name, origin);
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- An owner takes that of a person of the team away, who lost it. body: id.
CREATE FUNCTION console_user_totp_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; p people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO p FROM people WHERE id = (body->>'id')::bigint AND team_id = me.team_id;
    DELETE FROM totp WHERE person_id = p.id;
    IF p.id IS NULL OR NOT FOUND THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'totp_off', p.name, origin);
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- The same as before, with whether codes are asked for.
CREATE OR REPLACE FUNCTION console_user(p people) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', p.id::text, 'name', p.name, 'title', p.title,
        'role', p.role, 'disabled', p.disabled,
        'has_password', p.password_hash IS NOT NULL,
        'has_totp', EXISTS (SELECT FROM totp t WHERE t.person_id = p.id
                            AND t.confirmed_at IS NOT NULL),
        'failed_logins', p.failed_logins, 'last_login_at', utc_text(p.last_login_at),
        'created_at', utc_text(p.created_at))
$$;
