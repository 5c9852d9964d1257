-- Codes of six digits can be guessed by somebody who knows the password and
-- comes from many addresses, whom the throttle lets try about once a second.
ALTER TABLE totp ADD tries integer NOT NULL DEFAULT 0, -- since the last right one
                 ADD tried_at timestamptz;

-- Begins a try of person p's one-time password. It is counted before it is
-- looked at, so that tries at the same time are too. After ten in a row one in
-- 15 minutes is looked at. No row: not this one, or there is no authenticator.
CREATE FUNCTION totp_try(p bigint) RETURNS TABLE (secret_sealed bytea, last_step bigint)
LANGUAGE sql AS $$
    UPDATE totp t SET tries = t.tries + 1, tried_at = now()
    WHERE t.person_id = p AND t.confirmed_at IS NOT NULL
      AND (t.tries < 10 OR t.tried_at < now() - interval '15 minutes')
    RETURNING t.secret_sealed, t.last_step
$$;

-- The same as before, but that a right code, of either kind, ends the count.
CREATE OR REPLACE FUNCTION second_factor_use(p bigint, step bigint, h bytea) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF h IS NULL THEN
        UPDATE totp SET last_step = step
        WHERE person_id = p AND confirmed_at IS NOT NULL AND last_step < step;
    ELSE
        UPDATE recovery_codes SET used_at = now()
        WHERE person_id = p AND hash = h AND used_at IS NULL;
    END IF;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE totp SET tries = 0 WHERE person_id = p;
    RETURN true;
END $$;
