-- Passkeys (Web Authentication). What an authenticator calls a person is
-- random, so that it says nothing about them.
ALTER TABLE people ADD passkey_user uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE;

CREATE TABLE passkeys (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id     bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    credential_id bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    algorithm     integer NOT NULL CHECK (algorithm IN (-7, -8, -257)), -- COSE
    public_key    bytea NOT NULL,
    sign_count    bigint NOT NULL, -- 0: the authenticator does not count
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    UNIQUE (person_id, name)
);

-- Challenges that were answered, until they end: each is good once.
CREATE TABLE passkey_challenges (
    hash    bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    ends_at timestamptz NOT NULL
);
CREATE INDEX ON passkey_challenges (ends_at);

-- Uses a challenge up; h is its SHA-256. False: it was used before.
CREATE FUNCTION passkey_challenge_use(h bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM passkey_challenges WHERE ends_at < now();
    -- CHALLENGE_SECONDS, and the clocks of two machines
    INSERT INTO passkey_challenges VALUES (h, now() + interval '10 minutes')
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- The signature was right: uses the challenge up and notes the counter. NULL:
-- well; else what is wrong. A counter that does not grow is that of a copy.
CREATE FUNCTION passkey_use(passkey bigint, counter bigint, h bytea) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    k passkeys;
BEGIN
    SELECT * INTO k FROM passkeys WHERE id = passkey FOR UPDATE;
    IF k.id IS NULL THEN
        RETURN 'removed';
    ELSIF NOT passkey_challenge_use(h) THEN
        RETURN 'used';
    ELSIF greatest(counter, k.sign_count) > 0 AND counter <= k.sign_count THEN
        RETURN 'copy';
    END IF;
    UPDATE passkeys SET sign_count = counter, last_used_at = now() WHERE id = k.id;
    RETURN NULL;
END $$;

CREATE FUNCTION console_passkey(k passkeys) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', k.id::text, 'name', k.name,
        'created_at', utc_text(k.created_at), 'last_used_at', utc_text(k.last_used_at))
$$;

-- body: name, credential_id, public_key and challenge (hex), algorithm,
-- sign_count.
CREATE FUNCTION console_passkey_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; k passkeys;
BEGIN
    SELECT * INTO me FROM people WHERE id = who FOR UPDATE;
    IF NOT passkey_challenge_use(decode(body->>'challenge', 'hex')) THEN
        RETURN ('invalid', '/credential', 'Its challenge was used; begin anew.',
                NULL)::console_result;
    ELSIF (SELECT count(*) >= 20 FROM passkeys WHERE person_id = who) THEN
        RETURN ('not-done', NULL, 'A person has 20 passkeys at most.', NULL)::console_result;
    ELSIF EXISTS (SELECT FROM passkeys WHERE person_id = who AND name = body->>'name') THEN
        RETURN ('exists', NULL, 'There is a passkey of that name.', NULL)::console_result;
    END IF;
    INSERT INTO passkeys (person_id, name, credential_id, algorithm, public_key, sign_count)
    VALUES (who, body->>'name', decode(body->>'credential_id', 'hex'),
            (body->>'algorithm')::integer, decode(body->>'public_key', 'hex'),
            (body->>'sign_count')::bigint)
    ON CONFLICT (credential_id) DO NOTHING RETURNING * INTO k;
    IF k.id IS NULL THEN
        RETURN ('exists', NULL, 'That passkey is known already.', NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'passkey_new', me.name,
            origin || jsonb_build_object('name', k.name));
    RETURN (NULL, NULL, NULL, console_passkey(k))::console_result;
END $$;

-- body: id, name.
CREATE FUNCTION console_passkey_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; was passkeys; k passkeys;
BEGIN
    SELECT * INTO me FROM people WHERE id = who FOR UPDATE;
    SELECT * INTO was FROM passkeys WHERE id = (body->>'id')::bigint AND person_id = who;
    IF was.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF EXISTS (SELECT FROM passkeys WHERE person_id = who AND name = body->>'name'
                  AND id <> was.id) THEN
        RETURN ('exists', NULL, 'There is a passkey of that name.', NULL)::console_result;
    END IF;
    UPDATE passkeys SET name = body->>'name' WHERE id = was.id RETURNING * INTO k;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'passkey_set', me.name,
            origin || jsonb_build_object('before', was.name, 'after', k.name));
    RETURN (NULL, NULL, NULL, console_passkey(k))::console_result;
END $$;

-- One's own. body: id.
CREATE FUNCTION console_passkey_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; k passkeys;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    DELETE FROM passkeys WHERE id = (body->>'id')::bigint AND person_id = who
    RETURNING * INTO k;
    IF k.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'passkey_deleted', me.name,
            origin || jsonb_build_object('name', k.name));
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- An owner takes all passkeys of a person of the team. body: id.
CREATE FUNCTION console_user_passkeys_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; p people; n bigint;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO p FROM people WHERE id = (body->>'id')::bigint AND team_id = me.team_id;
    DELETE FROM passkeys WHERE person_id = p.id;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n = 0 THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'passkeys_deleted', p.name,
            origin || jsonb_build_object('passkeys', n));
    RETURN (NULL, NULL, NULL, NULL)::console_result;
END $$;

-- The same as before, with the number of passkeys.
CREATE OR REPLACE FUNCTION console_user(p people) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', p.id::text, 'name', p.name, 'title', p.title,
        'role', p.role, 'disabled', p.disabled,
        'has_password', p.password_hash IS NOT NULL,
        'has_totp', EXISTS (SELECT FROM totp t WHERE t.person_id = p.id
                            AND t.confirmed_at IS NOT NULL),
        'passkeys', (SELECT count(*) FROM passkeys k WHERE k.person_id = p.id),
        'failed_logins', p.failed_logins, 'last_login_at', utc_text(p.last_login_at),
        'created_at', utc_text(p.created_at))
$$;
