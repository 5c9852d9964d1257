-- The console: logins of browsers and bearer tokens of programs. Both are 32
-- random bytes, of which only the SHA-256 is kept.
CREATE TABLE logins (
    hash        bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    person_id   bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    client_addr text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX ON logins (person_id);
CREATE INDEX ON logins (expires_at);

CREATE TABLE api_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    person_id    bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    UNIQUE (person_id, name)
);

-- A new password, or a person who is disabled, ends the logins in browsers.
CREATE FUNCTION logins_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM logins WHERE person_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER person_logins_end AFTER UPDATE OF password_hash, disabled ON people
    FOR EACH ROW WHEN (NEW.disabled
        OR OLD.password_hash IS DISTINCT FROM NEW.password_hash)
    EXECUTE FUNCTION logins_end();

-- Who has the login or token with the hash h, and which rights they have on
-- an object: kind is 'session', 'recording', 'endpoint' or '' and object its
-- id. No row: nobody. Objects of other teams are not found.
CREATE FUNCTION console_enter(h bytea, is_token boolean, kind text, object text)
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
        WHERE s.id = (CASE kind WHEN 'session' THEN object END)::uuid
        UNION ALL
        SELECT s.team_id, s.endpoint_id, NULL FROM segments g
        JOIN sessions s ON s.id = g.session_id
        WHERE g.id = (CASE kind WHEN 'recording' THEN object END)::uuid
        UNION ALL
        SELECT e.team_id, e.id, NULL FROM endpoints e
        WHERE e.deleted_at IS NULL
          AND e.id = (CASE kind WHEN 'endpoint' THEN object END)::bigint
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

-- A moment as the API writes it: 2026-11-21T08:15:02.123Z.
CREATE FUNCTION utc_text(t timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- A time as the API reads it: with an offset or Z, or in the team's zone.
CREATE FUNCTION console_time(t text, zone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t ~ '(Z|[+-][0-9]{2}:?[0-9]{2})$' THEN t::timestamptz
           ELSE t::timestamp AT TIME ZONE zone END
$$;

-- Pages of lists, found by the key of the row before.
CREATE INDEX sessions_page ON sessions (team_id, started_at DESC, id DESC);
CREATE INDEX segments_page ON segments (started_at DESC, id DESC);
