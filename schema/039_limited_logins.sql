-- Setting up a second factor completes the login that it was done in, and no other:
-- another limited one may be of somebody who knows the password alone.

-- The setting relaycam.login has the hash of that login, in hex.
CREATE OR REPLACE FUNCTION logins_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE logins SET is_limited = false
    WHERE person_id = NEW.person_id AND is_limited
      AND hash = decode(nullif(current_setting('relaycam.login', true), ''), 'hex');
    DELETE FROM logins WHERE person_id = NEW.person_id AND is_limited;
    RETURN NULL;
END $$;

-- The login with the hash h sets up a second factor. False: it is limited, though
-- its person has one already.
CREATE FUNCTION login_completes(who bigint, h text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('relaycam.login', h, true);
    RETURN second_factor_is_missing(who) OR NOT EXISTS (
        SELECT FROM logins WHERE hash = decode(h, 'hex') AND is_limited);
END $$;

-- console_totp_confirm() and console_passkey_new() in a login; body has its hash
-- besides, as login.
CREATE FUNCTION console_login_totp_confirm(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
BEGIN
    IF NOT login_completes(who, body->>'login') THEN
        RETURN ('forbidden', NULL, 'You have a second factor; log in with it.',
                NULL)::console_result;
    END IF;
    RETURN console_totp_confirm(who, origin, body);
END $$;

CREATE FUNCTION console_login_passkey_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
BEGIN
    IF NOT login_completes(who, body->>'login') THEN
        RETURN ('forbidden', NULL, 'You have a second factor; log in with it.',
                NULL)::console_result;
    END IF;
    RETURN console_passkey_new(who, origin, body);
END $$;
