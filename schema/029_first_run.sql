-- One-time links that make an owner: of a team that is there already, or,
-- while there is no owner at all, of a new one. Of the token in a link the
-- SHA-256 is kept.
CREATE TABLE first_run_links (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    team_id    bigint REFERENCES teams ON DELETE CASCADE, -- NULL: a new team
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    CHECK (expires_at > created_at AND expires_at <= created_at + interval '1 hour')
);
CREATE INDEX ON first_run_links (expires_at);

-- Is there somebody who owns a team? Links without a team are for the first.
CREATE FUNCTION has_owner() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM people WHERE role = 'owner' AND NOT disabled)
$$;

-- Can the link with this hash be used now?
CREATE FUNCTION first_run_is_open(h bytea) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM first_run_links l
                   WHERE l.hash = h AND l.used_at IS NULL AND l.expires_at > now()
                     AND (l.team_id IS NOT NULL OR NOT has_owner()))
$$;

-- Uses a link. Nobody is logged in: the audit entries name the new owner. The
-- row is locked, so that of two requests with one link one is refused; and so
-- are all links without a team, of which one makes the first owner. body: hash
-- (hex), team, name, password_hash, time_zone.
CREATE FUNCTION console_first_run(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    link first_run_links; team teams; p people;
    zone text := body->>'time_zone'; via jsonb := origin || '{"by": "first-run link"}';
BEGIN
    PERFORM FROM first_run_links WHERE team_id IS NULL ORDER BY hash FOR UPDATE;
    SELECT * INTO link FROM first_run_links
    WHERE hash = decode(body->>'hash', 'hex') FOR UPDATE;
    IF link.hash IS NULL OR NOT first_run_is_open(link.hash) THEN
        RETURN ('dead-link', NULL, 'This link was used, is too old, or never was one.',
                NULL)::console_result;
    END IF;
    IF zone IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_timezone_names WHERE name = zone) THEN
        RETURN ('invalid', '/time_zone', 'There is no such time zone; use a '
                'name such as Europe/Berlin or UTC.', NULL)::console_result;
    END IF;
    SELECT * INTO team FROM teams WHERE id = link.team_id FOR UPDATE;
    IF team.id IS NULL AND body->>'team' IS NULL THEN
        RETURN ('invalid', '/team', 'It is needed: this link makes a team.',
                NULL)::console_result;
    ELSIF team.id IS NOT NULL AND body->>'team' <> team.name THEN
        RETURN ('invalid', '/team', format('This link makes an owner of team %s.',
                team.name), NULL)::console_result;
    ELSIF EXISTS (SELECT FROM people WHERE name = body->>'name') THEN
        RETURN ('exists', NULL, 'That name is taken; names are shared by all teams.',
                NULL)::console_result;
    END IF;
    IF team.id IS NULL THEN
        INSERT INTO teams (name, time_zone) VALUES (body->>'team', coalesce(zone, 'UTC'))
        ON CONFLICT (name) DO NOTHING RETURNING * INTO team;
        IF team.id IS NULL THEN
            RETURN ('exists', NULL, 'There is a team of that name.', NULL)::console_result;
        END IF;
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (team.id, body->>'name', 'team_add', team.name,
                via || jsonb_build_object('time_zone', team.time_zone));
    ELSIF zone <> team.time_zone THEN
        UPDATE teams SET time_zone = zone WHERE id = team.id;
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (team.id, body->>'name', 'team_set', team.name,
                via || jsonb_build_object('title', team.title, 'time_zone', zone,
                                          'before', team.time_zone, 'after', zone));
        team.time_zone := zone;
    END IF;
    INSERT INTO people (team_id, name, role, password_hash)
    VALUES (team.id, body->>'name', 'owner', body->>'password_hash')
    RETURNING * INTO p;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (team.id, p.name, 'user_add', p.name, via || '{"role": "owner"}');
    UPDATE first_run_links SET used_at = now() WHERE hash = link.hash;
    RETURN (NULL, NULL, NULL, jsonb_build_object('id', p.id::text, 'user', p.name,
        'role', p.role, 'team_id', team.id::text, 'team', team.name,
        'time_zone', team.time_zone))::console_result;
END $$;
