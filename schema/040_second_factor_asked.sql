-- Is a password alone not enough for this person's login?
CREATE FUNCTION second_factor_is_asked(p bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM totp o WHERE o.person_id = p AND o.confirmed_at IS NOT NULL)
        OR t.second_factor = 'required'
           AND EXISTS (SELECT FROM passkeys k WHERE k.person_id = p)
    FROM people q JOIN teams t ON t.id = q.team_id WHERE q.id = p
$$;
